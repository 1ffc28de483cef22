// OpenAI's SDK for Node, unchanged, against an egress: `openai_sdk.mjs BASE_URL`.

import assert from "node:assert/strict";

import OpenAI, { APIError, BadRequestError, InternalServerError, NotFoundError } from "openai";

import { check, each } from "./checks.mjs";

const MODELS = ["gpt", "claude"];
const ASKED = [
  { role: "system", content: "Write warmly." },
  { role: "user", content: "Invite Zoë to the webinar." },
];
const SCHEMA = {
  type: "object",
  properties: { city: { type: "string", enum: ["Bonn"] } },
  required: ["city"],
  additionalProperties: false,
};
const TOOL = { type: "function", function: { name: "weather", parameters: SCHEMA, strict: true } };
const SHAPE = { type: "json_schema", json_schema: { name: "place", schema: SCHEMA, strict: true } };

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "unused" });
const chat = client.chat.completions;

check(MODELS, "a stream says the same as a plain answer", async (model) => {
  const plain = await chat.create({ model, messages: ASKED, max_tokens: 20 });
  const text = plain.choices[0].message.content;
  assert(text && plain.usage.completion_tokens > 0);
  const asked = { model, messages: ASKED, max_tokens: 20, stream: true, stream_options: { include_usage: true } };
  let streamed = "";
  let usage;
  for await (const chunk of await chat.create(asked)) {
    streamed += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(streamed, text);
  assert.equal(usage.completion_tokens, plain.usage.completion_tokens);
});

check(MODELS, "a tool is called and its result taken", async (model) => {
  const called = await chat.create({ model, messages: ASKED, tools: [TOOL] });
  assert.equal(called.choices[0].finish_reason, "tool_calls");
  const message = called.choices[0].message;
  const [call] = message.tool_calls;
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "Bonn" });
  const result = { role: "tool", tool_call_id: call.id, content: "21" };
  const after = await chat.create({ model, messages: [...ASKED, message, result], tools: [TOOL] });
  assert(after.choices[0].finish_reason === "stop" && after.choices[0].message.content);
});

check(MODELS, "a streamed tool call is whole", async (model) => {
  const final = await chat.stream({ model, messages: ASKED, tools: [TOOL] }).finalChatCompletion();
  const [call] = final.choices[0].message.tool_calls;
  assert.equal(call.function.name, "weather");
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "Bonn" });
});

check(MODELS, "an answer has the shape asked for", async (model) => {
  const parsed = await chat.parse({ model, messages: ASKED, response_format: SHAPE });
  assert.deepEqual(JSON.parse(parsed.choices[0].message.content), { city: "Bonn" });
});

check(MODELS, "a response streams the same as it says at once", async (model) => {
  const asked = { model, input: "Invite Zoë.", instructions: "Write warmly." };
  const plain = await client.responses.create(asked);
  assert(plain.status === "completed" && plain.output_text && plain.usage.total_tokens > 0);
  const stream = client.responses.stream(asked);
  let streamed = "";
  for await (const event of stream) {
    if (event.type === "response.output_text.delta") streamed += event.delta;
  }
  const final = await stream.finalResponse();
  assert.equal(streamed, plain.output_text);
  assert.equal(final.output_text, plain.output_text);
  assert.equal(final.usage.output_tokens, plain.usage.output_tokens);
});

check(MODELS, "a response calls a tool and takes its result", async (model) => {
  const tools = [{ type: "function", name: "weather", parameters: SCHEMA, strict: true }];
  const input = [{ role: "user", content: "How warm is it?" }];
  const called = await client.responses.create({ model, input, tools });
  const call = called.output[0];
  assert.equal(call.type, "function_call");
  assert.deepEqual(JSON.parse(call.arguments), { city: "Bonn" });
  const result = { type: "function_call_output", call_id: call.call_id, output: "21" };
  const after = await client.responses.create({ model, input: [...input, call, result], tools });
  assert(after.output_text);
});

check(MODELS, "a response has the shape asked for", async (model) => {
  const format = { type: "json_schema", name: "place", schema: SCHEMA, strict: true };
  const parsed = await client.responses.parse({ model, input: "Where?", text: { format } });
  assert.deepEqual(JSON.parse(parsed.output_text), { city: "Bonn" });
});

check(["gpt"], "texts are embedded", async (model) => {
  const embedded = await client.embeddings.create({ model, input: ["a", "b"] });
  assert(embedded.data.length === 2 && embedded.data[0].embedding.length > 0);
});

check(["gpt"], "texts are judged", async (model) => {
  const judged = await client.moderations.create({ model, input: "Invite Zoë." });
  assert(judged.results[0].flagged === false && judged.results[0].category_scores.violence < 0.5);
});

check(["gpt"], "models are listed and found", async (model) => {
  const listed = [];
  for await (const one of client.models.list()) listed.push(one.id);
  assert(listed.includes(model), listed);
  assert.equal((await client.models.retrieve(model)).id, model);
});

check(MODELS, "a mistake is named", async (model) => {
  const asked = client.responses.create({ model, input: "x", previous_response_id: "resp_1" });
  await assert.rejects(asked, (error) => error instanceof BadRequestError && error.param === "previous_response_id");
});

check(["nobody"], "an unknown model is not found", async (model) => {
  const asked = chat.create({ model, messages: ASKED });
  await assert.rejects(asked, (error) => error instanceof NotFoundError && error.code === "model_not_found");
});

check(["failing"], "a failure that the egress gave up on is not tried again", async (model) => {
  const asked = chat.create({ model, messages: ASKED });
  await assert.rejects(asked, (error) => error instanceof InternalServerError && error.code === "routes_exhausted");
});

check(["breaking"], "a stream that breaks is no success", async (model) => {
  let said = "";
  const told = async () => {
    for await (const chunk of await chat.create({ model, messages: ASKED, stream: true })) {
      said += chunk.choices[0].delta.content ?? "";
    }
  };
  await assert.rejects(told, (error) => error instanceof APIError && error.code === "stream_cut");
  assert(said);
  let last;
  for await (const event of await client.responses.create({ model, input: "x", stream: true })) last = event.type;
  assert.equal(last, "response.failed");
});

check(["gpt"], "a stream that nobody reads any more is let go", async (model) => {
  const stream = await chat.create({ model, messages: ASKED, stream: true });
  for await (const _ of stream) break;
  assert(stream.controller.signal.aborted);
});

await each();
