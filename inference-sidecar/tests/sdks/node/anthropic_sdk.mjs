// Anthropic's SDK for Node, unchanged, against an egress: `anthropic_sdk.mjs BASE_URL`.

import assert from "node:assert/strict";

import Anthropic, { APIError, BadRequestError, InternalServerError, NotFoundError } from "@anthropic-ai/sdk";

import { check, each } from "./checks.mjs";

const MODELS = ["gpt", "claude"];
const messages = [{ role: "user", content: "Invite Zoë to the webinar." }];
const system = [{ type: "text", text: "Write warmly.", cache_control: { type: "ephemeral" } }];
const SCHEMA = {
  type: "object",
  properties: { city: { type: "string", enum: ["Bonn"] } },
  required: ["city"],
  additionalProperties: false,
};
const tools = [{ name: "weather", description: "Tells degrees.", input_schema: SCHEMA }];

const client = new Anthropic({ baseURL: process.argv[2], apiKey: "unused" });

check(MODELS, "a stream says the same as a plain answer", async (model) => {
  const asked = { model, max_tokens: 20, system, messages };
  const plain = await client.messages.create(asked);
  const { text } = plain.content[0];
  assert(text && plain.usage.output_tokens > 0);
  let streamed = "";
  const stream = client.messages.stream(asked).on("text", (piece) => (streamed += piece));
  const final = await stream.finalMessage();
  assert.equal(streamed, text);
  assert.equal(final.content[0].text, text);
  assert.equal(final.stop_reason, plain.stop_reason);
  assert.equal(final.usage.output_tokens, plain.usage.output_tokens);
});

check(MODELS, "an answer that is cut says why", async (model) => {
  const message = await client.messages.create({ model, max_tokens: 2, messages });
  assert.equal(message.stop_reason, "max_tokens");
});

check(MODELS, "a tool is called and its result taken", async (model) => {
  const called = await client.messages.create({ model, max_tokens: 99, messages, tools });
  assert.equal(called.stop_reason, "tool_use");
  const [call] = called.content;
  assert.deepEqual(call.input, { city: "Bonn" });
  const turns = [
    ...messages,
    { role: "assistant", content: called.content },
    { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "21" }] },
  ];
  const after = await client.messages.create({ model, max_tokens: 99, messages: turns, tools });
  assert(after.stop_reason === "end_turn" && after.content[0].text);
});

check(MODELS, "a streamed tool call is whole", async (model) => {
  const final = await client.messages.stream({ model, max_tokens: 99, messages, tools }).finalMessage();
  assert.deepEqual(final.content[0].input, { city: "Bonn" });
});

check(MODELS, "an answer has the shape asked for", async (model) => {
  const output_config = { format: { type: "json_schema", schema: SCHEMA } };
  const message = await client.messages.create({ model, max_tokens: 99, messages, output_config });
  assert.deepEqual(JSON.parse(message.content[0].text), { city: "Bonn" });
});

check(MODELS, "tokens are counted", async (model) => {
  assert((await client.messages.countTokens({ model, messages })).input_tokens > 0);
});

check(["gpt"], "models are listed and found", async (model) => {
  const listed = [];
  for await (const one of client.models.list()) listed.push(one.id);
  assert(listed.includes(model), listed);
  assert.equal((await client.models.retrieve(model)).id, model);
});

check(["gpt"], "a mistake is named", async (model) => {
  const begun = [...messages, { role: "assistant", content: "Dear" }];
  const asked = client.messages.create({ model, max_tokens: 9, messages: begun });
  await assert.rejects(
    asked,
    (error) => error instanceof BadRequestError && error.error.error.param === "messages[1].role",
  );
});

check(["nobody"], "an unknown model is not found", async (model) => {
  const asked = client.messages.create({ model, max_tokens: 9, messages });
  await assert.rejects(asked, (error) => error instanceof NotFoundError && error.type === "not_found_error");
});

check(["failing"], "a failure that the egress gave up on is not tried again", async (model) => {
  const asked = client.messages.create({ model, max_tokens: 9, messages });
  await assert.rejects(
    asked,
    (error) => error instanceof InternalServerError && error.error.error.code === "routes_exhausted",
  );
});

check(["breaking"], "a stream that breaks is no success", async (model) => {
  let said = "";
  const stream = client.messages.stream({ model, max_tokens: 99, messages }).on("text", (piece) => (said += piece));
  await assert.rejects(
    stream.finalMessage(),
    (error) => error instanceof APIError && error.message.includes("stream_cut"),
  );
  assert(said);
});

await each();
