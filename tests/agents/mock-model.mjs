// Plays the model for the real agent CLIs: the OpenAI Responses API and the Anthropic Messages API on one loopback port.
//   node mock-model.mjs [--script FILE] [--log FILE] [--dump DIR] [--port N]
// Prints "port=N". Ends with its standard input, or with the process that started it. README.md has the script's format.
import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import { appendFileSync, fstatSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";

const options = Object.fromEntries(
  process.argv.slice(2).flatMap((word, i, all) => (word.startsWith("--") ? [[word.slice(2), all[i + 1]]] : [])));

// ---- the script

let rules = [];
let readAt = "";

function reload() {
  if (!options.script) return;
  let seen;
  try {
    const { mtimeNs, size, ino } = statSync(options.script, { bigint: true });
    seen = `${mtimeNs} ${size} ${ino}`;
    if (seen === readAt) return;
    rules = JSON.parse(readFileSync(options.script, "utf8")).rules ?? [];
  } catch (error) {
    return void console.error(`mock-model: the script cannot be read: ${error.message}`); // the last good one stays
  }
  readAt = seen;
}

const conversations = new Map(); // key -> {requests, steps, asked, taken: Map(rule -> turns used up), last}

// The turn that answers this request. A request with no more steps of the model than the one before is the same, tried again.
function choose(request) {
  const talk = conversations.get(request.conversation) ?? { requests: 0, steps: -1, asked: "", taken: new Map() };
  conversations.set(request.conversation, talk);
  const question = `${request.questions} ${request.user}`;
  if (talk.asked !== question) talk.taken = new Map();
  const again = talk.asked === question && talk.steps === request.steps;
  talk.asked = question;
  talk.steps = request.steps;
  if (!again) ++talk.requests;
  request.ordinal = talk.requests;
  if (again && talk.last) {
    const { turn, captures } = talk.last;
    if (!turn.error || !turn.times || ++talk.last.used <= turn.times) return { ...turn, captures };
  }
  for (const rule of rules) {
    const when = rule.when ?? {};
    const captures = { user: match(when.user, request.user), tool: match(when.tool, request.tool) };
    if (!captures.user || !captures.tool) continue;
    if (when.api !== undefined && when.api !== request.api) continue;
    if (when.request !== undefined && when.request !== request.ordinal) continue;
    if (when.conversation !== undefined && !match(when.conversation, request.conversation)) continue;
    const key = JSON.stringify(rule);
    const used = talk.taken.get(key) ?? 0;
    if (used >= rule.turns.length && !rule.repeat) continue;
    talk.taken.set(key, used + 1);
    const turn = rule.turns[Math.min(used, rule.turns.length - 1)];
    talk.last = { turn, captures, used: 1 };
    return { ...turn, captures };
  }
  talk.last = undefined;
  return { text: "Nothing to do." };
}

function match(pattern, text) {
  if (pattern === undefined) return [];
  return text === undefined ? null : new RegExp(pattern, "s").exec(text);
}

// "{{user.1}}" is a capture as text; "{{int user.1}}", alone in its string, as a number; "{{cwd}}" where the agent works.
function fill(value, request, captures) {
  if (Array.isArray(value)) return value.map((one) => fill(one, request, captures));
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, fill(one, request, captures)]));
  if (typeof value !== "string") return value;
  const number = /^\{\{int (user|tool)\.(\d)\}\}$/.exec(value);
  if (number) return parseInt(captures?.[number[1]]?.[number[2]] ?? "0", 10);
  return value.replace(/\{\{(?:(user|tool)\.(\d)|cwd)\}\}/g,
    (_, from, group) => (from ? captures?.[from]?.[group] ?? "" : request.cwd ?? ""));
}

// ---- what the tools are called

// shell, write and edit are the same for both: each CLI has its own words for them.
const own_words = {
  anthropic: {
    shell: ({ command }) => ["Bash", { command, description: "Run a command" }],
    write: ({ path, content }) => ["Write", { file_path: path, content }],
    edit: ({ path, old, new: text }) => ["Edit", { file_path: path, old_string: old, new_string: text }],
  },
  openai: {
    shell: ({ command, ...more }, tools) => has(tools, "exec_command")
      ? ["exec_command", { cmd: command, ...more }]
      : has(tools, "shell_command") ? ["shell_command", { command, ...more }] : ["shell", { command: ["bash", "-c", command], ...more }],
    write: ({ path, content }) => patch(`*** Add File: ${path}\n${lines("+", content)}`),
    edit: ({ path, old, new: text }) => patch(`*** Update File: ${path}\n@@\n${lines("-", old)}${lines("+", text)}`),
  },
};
const has = (tools, name) => tools.some((tool) => tool.name === name);
const lines = (mark, text) => text.replace(/\n$/, "").split("\n").map((line) => `${mark}${line}\n`).join("");
const patch = (body) => ["apply_patch", { input: `*** Begin Patch\n${body}*** End Patch\n` }];

function calls_of(turn, request) {
  return [turn.call ?? []].flat().map((call) => {
    const filled = fill(call, request, turn.captures);
    const own = own_words[request.api][filled.name];
    return own ? own(filled.arguments ?? {}, request.tools) : [filled.name, filled.arguments ?? {}];
  });
}

// ---- answers

const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// Words with pauses between them, or all at once.
function pieces(turn) {
  return turn.slow === undefined ? [turn.text] : turn.text.match(/\s*\S+/g) ?? [];
}

async function answer(request, response, events) {
  const turn = request.turn;
  if (turn.delay) await sleep(turn.delay);
  if (turn.hang === "silent") return; // not even a header
  if (turn.error) {
    const { status = 500, message = "scripted failure", type = "server_error", headers = {} } = turn.error;
    response.writeHead(status, { "content-type": "application/json", ...headers });
    return response.end(JSON.stringify({ type: "error", error: { type, message, code: turn.error.code ?? type } }));
  }
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache", "request-id": randomUUID() });
  for await (const event of events(request, turn)) {
    if (response.destroyed) return;
    response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  }
  if (!turn.hang && !turn.cut) response.end();
  if (turn.cut) response.destroy();
}

async function* openai_events(request, turn) {
  const id = `resp_${randomUUID()}`;
  const output = [];
  yield { type: "response.created", response: { id, object: "response", status: "in_progress", output: [] } };
  if (turn.text !== undefined) {
    const item = { type: "message", id: `msg_${randomUUID()}`, role: "assistant", status: "in_progress", content: [] };
    yield { type: "response.output_item.added", output_index: 0, item };
    const text = fill(turn.text, request, turn.captures);
    for (const delta of pieces({ ...turn, text })) {
      yield { type: "response.output_text.delta", item_id: item.id, output_index: 0, content_index: 0, delta };
      if (turn.slow !== undefined) await sleep(turn.slow);
    }
    output.push({ ...item, status: "completed", content: [{ type: "output_text", text, annotations: [] }] });
    yield { type: "response.output_item.done", output_index: 0, item: output[0] };
  }
  if (turn.hang || turn.cut) return;
  for (const [name, values] of calls_of(turn, request)) {
    const call_id = `call_${randomUUID().replaceAll("-", "").slice(0, 24)}`;
    const known = request.tools.find((tool) => tool.name === name) ?? { plain: name };
    const item = known.type === "custom"
      ? { type: "custom_tool_call", id: `ctc_${randomUUID()}`, call_id, name: known.plain, input: values.input ?? JSON.stringify(values), status: "completed" }
      : { type: "function_call", id: `fc_${randomUUID()}`, call_id, name: known.plain, arguments: JSON.stringify(values), status: "completed" };
    if (known.namespace) item.namespace = known.namespace;
    yield { type: "response.output_item.added", output_index: output.length, item };
    yield { type: "response.output_item.done", output_index: output.length, item };
    output.push(item);
  }
  const usage = { input_tokens: 100, input_tokens_details: { cached_tokens: 0 }, output_tokens: 10,
    output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 110 };
  yield { type: "response.completed", response: { id, object: "response", status: "completed", output, usage } };
}

async function* anthropic_events(request, turn) {
  const called = calls_of(turn, request);
  const usage = { input_tokens: 100, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 10 };
  yield { type: "message_start", message: { id: `msg_${randomUUID()}`, type: "message", role: "assistant",
    model: request.model, content: [], stop_reason: null, stop_sequence: null, usage } };
  let index = 0;
  if (turn.text !== undefined) {
    yield { type: "content_block_start", index, content_block: { type: "text", text: "" } };
    for (const text of pieces({ ...turn, text: fill(turn.text, request, turn.captures) })) {
      yield { type: "content_block_delta", index, delta: { type: "text_delta", text } };
      if (turn.slow !== undefined) await sleep(turn.slow);
    }
    if (turn.hang || turn.cut) return;
    yield { type: "content_block_stop", index: index++ };
  }
  if (turn.hang || turn.cut) return;
  for (const [name, values] of called) {
    const id = `toolu_${randomUUID().replaceAll("-", "").slice(0, 24)}`;
    yield { type: "content_block_start", index, content_block: { type: "tool_use", id, name, input: {} } };
    yield { type: "content_block_delta", index, delta: { type: "input_json_delta", partial_json: JSON.stringify(values) } };
    yield { type: "content_block_stop", index: index++ };
  }
  yield { type: "message_delta", delta: { stop_reason: called.length ? "tool_use" : "end_turn", stop_sequence: null }, usage };
  yield { type: "message_stop" };
}

// The same as one JSON body, for a client that does not want a stream.
function anthropic_message(request, text) {
  return { id: `msg_${randomUUID()}`, type: "message", role: "assistant", model: request.model,
    content: [{ type: "text", text }], stop_reason: "end_turn", stop_sequence: null,
    usage: { input_tokens: 1, output_tokens: 1 } };
}

// ---- requests

const text_of = (content) => typeof content === "string"
  ? content
  : (content ?? []).map((part) => part.text ?? (part.content ? text_of(part.content) : "")).join("\n");

// What the CLI adds to a prompt on its own, in tags.
const added = /^\s*<(system-reminder|environment_context|user_instructions|permissions|skills|recommended_plugins|local-command|command-)/;

function read_openai(body, headers) {
  const input = typeof body.input === "string" ? [{ type: "message", role: "user", content: body.input }] : body.input ?? [];
  const asked = (item) => item.type === "message" && item.role === "user" && !added.test(text_of(item.content)) &&
    !text_of(item.content).startsWith("# AGENTS.md instructions");
  const last = input.findLastIndex(asked);
  const results = input.slice(last + 1).filter((item) => /_call_output$/.test(item.type ?? ""));
  const offered = [body.tools ?? [], ...input.filter((item) => item.type === "additional_tools").map((item) => item.tools ?? [])].flat();
  const tools = offered.flatMap((tool) => tool.type !== "namespace"
    ? [{ name: tool.name ?? tool.type, plain: tool.name, type: tool.type }]
    : (tool.tools ?? []).map((one) => ({ plain: one.name, namespace: tool.name, type: one.type,
      name: tool.name === "functions" ? one.name : `${tool.name.replace(/_+$/, "")}__${one.name}` })));
  const at_work = input.some((item) => /<environment_context>/.test(text_of(item.content)));
  return {
    api: "openai", model: body.model, tools, steps: input.filter((item) => item.type !== "message" || item.role === "assistant").length, questions: input.filter(asked).length,
    conversation: body.prompt_cache_key ?? headers.session_id ?? headers["session-id"] ?? "?",
    user: last < 0 ? undefined : text_of(input[last].content),
    tool: results.length ? output_text(results.at(-1).output) : undefined,
    results: results.map((item) => output_text(item.output)),
    cwd: /<cwd>(.*?)<\/cwd>/.exec(input.map((item) => text_of(item.content)).join("\n"))?.[1],
    side: !at_work || tools.every((tool) => tool.name === "apply_patch") || side_request.test(text_of(input.at(-1)?.content)),
  };
}
const side_request = /^Generate a concise, single-line task title/;
const output_text = (output) => typeof output === "string" ? output : text_of(output?.content ?? output);

// Several lines pasted into Claude Code arrive in a tag.
const pasted = /^\s*<pasted_content[^>]*>\n(.*)\n<\/pasted_content[^>]*>\s*$/s;

function read_anthropic(body, headers) {
  const messages = body.messages ?? [];
  const parts = (message) => typeof message.content === "string" ? [{ type: "text", text: message.content }] : message.content ?? [];
  // Prompts without an answer between them come merged, one part each.
  const asked = messages.flatMap((message, place) => message.role !== "user" ? [] : parts(message)
    .filter((part) => part.type === "text" && !added.test(part.text)).map((part) => ({ place, text: part.text })));
  const last = asked.at(-1)?.place ?? 0;
  const results = messages.slice(last).flatMap(parts).filter((part) => part.type === "tool_result");
  const tools = (body.tools ?? []).map((tool) => ({ name: tool.name, plain: tool.name, type: tool.type }));
  const system = text_of(body.system);
  let user_id = body.metadata?.user_id ?? "";
  try { user_id = JSON.parse(user_id).session_id ?? user_id; } catch {}
  return {
    api: "anthropic", model: body.model, tools, steps: messages.filter((message) => message.role === "assistant").length,
    questions: asked.length,
    conversation: headers["x-claude-code-session-id"] ?? user_id,
    user: asked.at(-1)?.text.replace(pasted, "$1"),
    tool: results.length ? text_of(results.at(-1).content) : undefined,
    results: results.map((part) => text_of(part.content)),
    cwd: /working directory: (.*)/i.exec(system + text_of(messages.flatMap(parts)))?.[1],
    side: tools.length === 0,
  };
}

let count = 0;
function note(request, body, headers) {
  if (options.log) {
    const { api, conversation, ordinal, side, user, results, model, tools } = request;
    appendFileSync(options.log, JSON.stringify({ api, conversation, ordinal, side, model, user, results, tools: tools.map((tool) => tool.name) }) + "\n");
  }
  if (options.dump) {
    mkdirSync(options.dump, { recursive: true });
    writeFileSync(`${options.dump}/${String(++count).padStart(4, "0")}.json`, JSON.stringify({ headers, body }, null, 1));
  }
}

const json = (response, value, status = 200) => {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
};

// A title or a summary the CLI wants for itself: any words do, and as JSON when it says so.
function side_text(body) {
  const format = body.text?.format ?? body.output_config?.format ?? body.output_format;
  const schema = format?.schema ?? format?.json_schema?.schema;
  if (!schema?.properties) return "Scripted task";
  return JSON.stringify(Object.fromEntries(Object.entries(schema.properties).map(([name, { type, enum: words }]) =>
    [name, words?.[0] ?? { string: "Scripted task", boolean: false, integer: 0, number: 0, array: [], object: {} }[type] ?? null])));
}

async function serve(message, response) {
  const path = new URL(message.url, "http://mock").pathname;
  let text = "";
  for await (const chunk of message.setEncoding("utf8")) text += chunk;
  const post = message.method === "POST";
  const openai = post && path.endsWith("/responses");
  if (post && path.endsWith("/messages/count_tokens")) return json(response, { input_tokens: 100 });
  if (!openai && !(post && path.endsWith("/messages"))) {
    if (message.method === "HEAD" || message.method === "GET" && path === "/") return response.writeHead(200).end();
    if (path.endsWith("/models")) return json(response, { object: "list", data: [], models: [] });
    if (options.log) appendFileSync(options.log, JSON.stringify({ unknown: `${message.method} ${path}` }) + "\n");
    return json(response, { type: "error", error: { type: "not_found_error", message: "not here" } }, 404);
  }
  const body = JSON.parse(text);
  const request = (openai ? read_openai : read_anthropic)(body, message.headers);
  if (!request.side) reload();
  request.turn = request.side ? { text: side_text(body) } : choose(request);
  note(request, body, message.headers);
  if (!openai && !body.stream && !request.turn.error) return json(response, anthropic_message(request, request.turn.text ?? ""));
  await answer(request, response, openai ? openai_events : anthropic_events);
}

const server = createServer((message, response) => {
  serve(message, response).catch((error) => {
    console.error(`mock-model: ${error.stack}`);
    if (!response.headersSent) json(response, { error: { message: error.message } }, 500);
    else response.destroy();
  });
});
server.keepAliveTimeout = 600_000;
server.listen(Number(options.port ?? 0), "127.0.0.1", () => console.log(`port=${server.address().port}`));

const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(0), 300);
const input = fstatSync(0);
if (!input.isCharacterDevice() || process.stdin.isTTY) process.stdin.resume().on("end", () => process.exit(0)).on("error", () => process.exit(0));
