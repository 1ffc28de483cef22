// Runs checks, each by models, and tells all that failed.

const checks = [];

export function check(models, name, run) {
  for (const model of models) checks.push({ model, name, run });
}

export async function each() {
  let failed = 0;
  for (const { model, name, run } of checks) {
    try {
      await run(model);
    } catch (error) {
      failed += 1;
      console.log(`${name} (${model})\n${error.stack}`);
    }
  }
  console.log(`${checks.length - failed} of ${checks.length} passed`);
  process.exit(failed ? 1 : 0);
}
