// What the server looks like to the official MCP client; run.sh starts this.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, test } from 'node:test';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { ResourceUpdatedNotificationSchema, SUPPORTED_PROTOCOL_VERSIONS } from '@modelcontextprotocol/sdk/types.js';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';

const program = process.env.ORCH_TEST_PROGRAM;
const repository = process.env.ORCH_TEST_REPOSITORY;
const legacyVersions = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'];
const newestLegacy = legacyVersions.at(-1);
const modern = '2026-07-28';
const versionKey = 'io.modelcontextprotocol/protocolVersion';
const limit = { timeout: 20_000 };

const catalog = JSON.parse(execFileSync(program, ['methods', '--json'], { maxBuffer: 2 ** 26 }));
const toolName = (method) => method.replaceAll('.', '_');

/** The client asks for its newest version only; this asks for any. */
class AskingTransport extends StdioClientTransport {
  constructor(version) {
    super({ command: program, args: ['serve', '--repo', repository], env: { HOME: process.env.HOME } });
    this.version = version;
  }
  send(message) {
    if (message.method === 'initialize') message.params.protocolVersion = this.version;
    return super.send(message);
  }
  setProtocolVersion(version) {
    this.negotiated = version;
  }
}

const leftovers = new Set();
after(async () => {
  for (const end of leftovers) await end();
});

async function connected(version = newestLegacy) {
  const transport = new AskingTransport(version);
  const client = new Client({ name: 'orch-test', title: 'Test', version: '1' });
  const errors = [];
  client.onerror = (error) => errors.push(error);
  await client.connect(transport);
  const { pid } = transport;
  const close = async () => {
    leftovers.delete(close);
    await client.close();
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, 'the server ends with its client');
  };
  leftovers.add(close);
  // Late answers, lines that are no messages and the like come here.
  const closeWithoutErrors = async () => {
    await close();
    assert.deepEqual(errors, []);
  };
  return { client, transport, close: closeWithoutErrors };
}

/** Calls the tool of a method, which must succeed; gives its structured content. */
async function call(client, method, args = {}) {
  const answer = await client.callTool({ name: toolName(method), arguments: args });
  assert.ok(!answer.isError, `${method}: ${answer.content[0]?.text}`);
  assert.deepEqual(JSON.parse(answer.content[0].text), answer.structuredContent, method);
  return answer.structuredContent;
}

/** Calls the tool of a method, which must fail; gives the error object of the result. */
async function refusal(client, method, args) {
  const answer = await client.callTool({ name: toolName(method), arguments: args });
  assert.equal(answer.isError, true, `${method} must fail`);
  const { error } = answer.structuredContent;
  assert.ok(answer.content[0].text.includes(error.message));
  return error;
}

/** A server that is spoken to in lines. */
class RawServer {
  constructor() {
    this.child = spawn(program, ['serve', '--repo', repository], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.exited = once(this.child, 'exit');
    this.lines = [];
    this.waiting = [];
    this.nextId = 1;
    let text = '';
    this.child.stdout.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
      const lines = text.split('\n');
      text = lines.pop();
      for (const line of lines) {
        const message = JSON.parse(line);
        const taker = this.waiting.shift();
        if (taker) taker(message);
        else this.lines.push(message);
      }
    });
    this.kill = async () => {
      this.child.kill('SIGKILL');
      await this.exited;
    };
    leftovers.add(this.kill);
  }
  send(message) {
    this.child.stdin.write(`${JSON.stringify(message)}\n`);
  }
  receive() {
    if (this.lines.length) return Promise.resolve(this.lines.shift());
    return new Promise((resolve) => this.waiting.push(resolve));
  }
  async ask(method, params, id = this.nextId++) {
    this.send({ jsonrpc: '2.0', id, method, params });
    const answer = await this.receive();
    assert.equal(answer.jsonrpc, '2.0');
    assert.strictEqual(answer.id, id);
    return answer;
  }
  async close() {
    this.child.stdin.end();
    const [code, signal] = await this.exited;
    leftovers.delete(this.kill);
    assert.deepEqual([code, signal, this.lines], [0, null, []]);
  }
}

const meta = (version = modern) => ({
  _meta: { [versionKey]: version, 'io.modelcontextprotocol/clientCapabilities': {} },
});

/** Asks in the stateless era, for a result. */
async function askModern(server, method, params = {}) {
  const answer = await server.ask(method, { ...meta(), ...params });
  assert.equal(answer.error, undefined, `${method}: ${JSON.stringify(answer.error)}`);
  assert.equal(answer.result.resultType, 'complete', method);
  return answer.result;
}

function checkCacheable(result) {
  assert.ok(Number.isInteger(result.ttlMs) && result.ttlMs >= 0);
  assert.ok(['public', 'private'].includes(result.cacheScope));
}

test('every tool has schemas that compile and fit its method', limit, async () => {
  const { client, close } = await connected();
  const { tools, nextCursor } = await client.listTools();
  assert.equal(nextCursor, undefined);
  assert.deepEqual(tools.map((tool) => tool.name).sort(), catalog.map((m) => toolName(m.name)).sort());
  assert.equal(new Set(tools.map((tool) => tool.name.toLowerCase())).size, tools.length);
  const dialects = [new Ajv({ strict: true, strictRequired: true }), new Ajv2020({ strict: true })];
  for (const tool of tools) {
    assert.match(tool.name, /^[a-z0-9_]{1,64}$/);
    assert.ok(tool.title && tool.description, tool.name);
    for (const schema of [tool.inputSchema, tool.outputSchema]) {
      assert.equal(schema.type, 'object', tool.name);
      for (const ajv of dialects) {
        assert.ok(ajv.validateSchema(schema), `${tool.name}: ${ajv.errorsText()}`);
        ajv.compile(schema);
      }
    }
    assert.equal(tool.inputSchema.additionalProperties, false, tool.name);
    assert.ok(JSON.stringify(tool.inputSchema).length < 4096, tool.name);
    const validInput = dialects[1].compile(tool.inputSchema);
    assert.ok(!validInput({ no_such_parameter: 1 }), tool.name);
    assert.equal(validInput({}), !tool.inputSchema.required?.length, tool.name);

    const method = catalog.find((m) => toolName(m.name) === tool.name);
    const { readOnlyHint, destructiveHint, openWorldHint } = tool.annotations;
    assert.equal(readOnlyHint, method.read_only, tool.name);
    assert.equal(openWorldHint, false, tool.name);
    if (!readOnlyHint) {
      const loses = ['session_cleanup', 'worktree_remove', 'worktree_prune'].includes(tool.name);
      assert.equal(destructiveHint, loses, tool.name);
    }
  }
  await close();
});

test('tools of every group answer as their schema says', limit, async () => {
  const { client, close } = await connected();
  // After a list the client checks each structured content against its output schema.
  await client.listTools();
  const workspace = await call(client, 'workspace.init');
  assert.equal(workspace.repo_path, repository);

  const opened = await call(client, 'session.open', { user_request: 'fix the login', owner: 'test' });
  const session_id = opened.session_context.session.id;
  const owner_session = String(session_id);
  const root = opened.session_context.session_root_worktree.id;
  await call(client, 'session.heartbeat', { session_id });
  await call(client, 'session.context', { session_id });
  assert.equal((await call(client, 'session.list')).count, 1);

  const feature = await call(client, 'task.create', { level: 'feature', title: 'login' });
  const group = await call(client, 'task.create', { level: 'test_group', title: 'fails', parent_id: feature.id });
  const first = await call(client, 'task.create', { level: 'case', title: '빈 암호', parent_id: group.id, priority: 3 });
  await call(client, 'task.update', { task_id: group.id, priority: 2 });
  assert.equal((await call(client, 'task.list', { level: 'case' })).tasks[0].title, '빈 암호');

  const { task } = await call(client, 'resume.next', { session_id });
  assert.equal(task.id, first.id);
  await call(client, 'case.begin', { case_id: first.id, session_id, steps: ['red', 'green'], fixtures: [1, null, { a: 'b' }] });
  await call(client, 'step.check', { case_id: first.id, step_title: 'red', result: { exit: 1 }, session_id, artifacts: ['log.txt'] });
  const { checkpoints } = await call(client, 'checkpoint.list', { task_id: first.id });
  assert.deepEqual(checkpoints.map((c) => c.step_title), ['red', 'case.begin']);
  const point = await call(client, 'work.current_ref', { session_id, required_files: ['src/main.cpp'] });
  assert.equal(point.next_step, 'green');
  await call(client, 'work.current_ref.ack', { session_id, ref_id: point.current_ref.id });

  const plan = await call(client, 'plan.bootstrap', { initiative_title: 'i', plan_title: 'p', owner_session_id: session_id });
  const { slices } = await call(client, 'plan.slice.generate', {
    plan_node_id: plan.plan.id,
    slice_specs: [{ title: 'one', affected_files: ['src/main.cpp'], token_estimate: 100 }, { title: 'two', priority: 5 }],
  });
  assert.equal(slices.length, 2);
  await call(client, 'graph.edge.create', { from_node_id: slices[1].id, to_node_id: slices[0].id, edge_type: 'depends_on' });
  const ready = await call(client, 'graph.ready', { node_type: 'slice' });
  assert.deepEqual(ready.nodes.map((node) => node.id), [slices[0].id]);
  await call(client, 'graph.checklist.upsert', { node_id: slices[0].id, item_text: 'tests' });
  await call(client, 'plan.rollup.preview', { parent_node_id: plan.plan.id });
  await call(client, 'plan.rollup.submit', { node_id: plan.plan.id, summary: 'done' });
  await call(client, 'plan.rollup.approve', { node_id: plan.plan.id });

  const choice = await call(client, 'scheduler.decide_worktree', { changed_files: 20, risk: 2 });
  assert.equal(choice.mode, 'worktree');
  const child = await call(client, 'worktree.spawn', { session_id, parent_worktree_id: root, slug: 'child' });
  await call(client, 'worktree.status', { worktree_id: child.id });
  const { worktrees } = await call(client, 'worktree.list');
  assert.ok(worktrees.length === 3 && worktrees.every((worktree) => worktree.exists_on_disk));

  const lock = await call(client, 'lock.acquire', { scope_type: 'prefix', scope_path: 'src', owner_session });
  await call(client, 'lock.heartbeat', { lock_id: lock.id, ttl_seconds: 60 });
  assert.equal((await call(client, 'lock.list', { path: 'src/main.cpp' })).locks.length, 1);
  assert.equal((await call(client, 'lock.release', { lock_id: lock.id })).state, 'released');

  const request = await call(client, 'merge.request', { feature_task_id: feature.id, notes: { risk: 'low' } });
  await call(client, 'merge.review_context', { merge_request_id: request.id });
  assert.deepEqual(await call(client, 'merge.main.next'), {});

  assert.equal((await call(client, 'mirror.status')).outdated, true);
  await call(client, 'mirror.refresh', { requester_role: 'doc-mirror-manager' });
  assert.equal((await call(client, 'mirror.status')).outdated, false);

  await call(client, 'case.complete', { case_id: first.id, session_id, summary: 'works' });
  assert.deepEqual((await call(client, 'task.get', { task_id: feature.id })).progress, { done: 1, total: 1 });
  await call(client, 'session.close', { session_id });
  await close();
});

test('what a caller can correct is a result with isError', limit, async () => {
  const { client, close } = await connected();
  await client.listTools();
  const path = { scope_type: 'file', scope_path: 'src/main.cpp' };
  const { id } = await call(client, 'lock.acquire', { ...path, owner_session: 'one' });
  const conflict = await refusal(client, 'lock.acquire', { ...path, owner_session: 'two' });
  assert.deepEqual([conflict.code, conflict.data.holder.id], ['conflict', id]);
  await call(client, 'lock.release', { lock_id: id });

  assert.equal((await refusal(client, 'task.get', { task_id: 999_999 })).code, 'not_found');
  const unknown = await refusal(client, 'task.create', { level: 'case', title: 't', titel: 't' });
  assert.deepEqual([unknown.code, unknown.data.field], ['invalid_params', 'titel']);
  const wrong = await refusal(client, 'task.create', { level: 'case', title: 7 });
  assert.deepEqual([wrong.code, wrong.data.field], ['invalid_params', 'title']);
  assert.equal((await refusal(client, 'mirror.refresh', { requester_role: 'me' })).code, 'permission_denied');

  await assert.rejects(client.callTool({ name: 'no_such_tool', arguments: {} }), { code: -32602 });
  await assert.rejects(client.listTools({ cursor: 'nonsense' }), { code: -32602 });
  await assert.rejects(client.request({ method: 'no/such/method' }, { parse: (x) => x }), { code: -32601 });
  // The name with the dot means the same tool.
  const dotted = await client.callTool({ name: 'workspace.init', arguments: {} });
  assert.equal(dotted.structuredContent.repo_path, repository);
  await close();
});

test('a subscriber is told when a resource changes', limit, async () => {
  const { client, close } = await connected();
  const other = await connected();
  assert.equal(client.getServerCapabilities().resources.subscribe, true);
  const task = await call(client, 'task.create', { level: 'epic', title: 'before' });
  const uri = `orch://tasks/${task.id}`;
  const told = [];
  let wake;
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    told.push(params.uri);
    wake();
  });
  await client.subscribeResource({ uri });
  const next = new Promise((resolve) => (wake = resolve));
  await call(other.client, 'task.update', { task_id: task.id, title: 'after' });
  await next;
  assert.deepEqual(told, [uri]);
  await client.unsubscribeResource({ uri });
  await assert.rejects(client.subscribeResource({ uri: 'orch://nothing' }), { code: -32002 });
  await other.close();
  await close();
});

test('resources and prompts can be listed and read', limit, async () => {
  const { client, close } = await connected();
  const task = await call(client, 'task.create', { level: 'epic', title: 'ε' });
  const { resources } = await client.listResources();
  assert.deepEqual(resources.map((r) => r.uri).sort(), [
    'orch://locks',
    'orch://merge-queue',
    'orch://mirror',
    'orch://status',
  ]);
  for (const { uri, mimeType } of resources) {
    const { contents } = await client.readResource({ uri });
    assert.deepEqual([contents.length, contents[0].uri, contents[0].mimeType], [1, uri, mimeType]);
    if (mimeType === 'application/json') JSON.parse(contents[0].text);
    else assert.match(contents[0].text, /^#/);
  }
  const { resourceTemplates } = await client.listResourceTemplates();
  assert.deepEqual(resourceTemplates.map((t) => t.uriTemplate).sort(), [
    'orch://sessions/{id}',
    'orch://tasks/{id}',
    'orch://threads/{id}',
  ]);
  const read = await client.readResource({ uri: `orch://tasks/${task.id}` });
  assert.equal(JSON.parse(read.contents[0].text).title, 'ε');
  const opened = await call(client, 'session.open', { intent: 'resume_work' });
  const session = await client.readResource({ uri: `orch://sessions/${opened.session.id}` });
  assert.equal(JSON.parse(session.contents[0].text).session.id, opened.session.id);
  await call(client, 'session.close', { session_id: opened.session.id });
  for (const uri of ['orch://nothing', 'orch://tasks/999999', 'file:///etc/passwd'])
    await assert.rejects(client.readResource({ uri }), { code: -32002 }, uri);

  const { prompts } = await client.listPrompts();
  assert.deepEqual(prompts.map((p) => p.name).sort(), ['mirror-manager', 'planner', 'reviewer', 'root', 'worker']);
  for (const { name } of prompts) {
    const { messages } = await client.getPrompt({ name });
    assert.equal(messages[0].role, 'user');
    assert.ok(messages[0].content.text.length > 100, name);
  }
  await assert.rejects(client.getPrompt({ name: 'nobody' }), { code: -32602 });
  await close();
});

test('a cancelled lock_acquire waits no more', limit, async () => {
  const { client, close } = await connected();
  const path = { scope_type: 'prefix', scope_path: 'legacy' };
  const { id } = await call(client, 'lock.acquire', { ...path, owner_session: 'holder' });
  const cancel = new AbortController();
  const waiting = client.callTool(
    { name: 'lock_acquire', arguments: { ...path, owner_session: 'waiter', wait_seconds: 45 } },
    undefined,
    { signal: cancel.signal },
  );
  const refused = assert.rejects(waiting, /stopped by the test/);
  // Requests take effect in order: after these answers the other one is waiting.
  await client.ping();
  assert.equal((await call(client, 'lock.list', { path: 'legacy' })).locks.length, 1);
  cancel.abort(new Error('stopped by the test'));
  await refused;
  await call(client, 'lock.release', { lock_id: id });
  assert.deepEqual((await call(client, 'lock.list', { path: 'legacy' })).locks, []);
  await close();
});

for (const version of legacyVersions) {
  test(`version ${version} is served when asked for`, limit, async () => {
    assert.ok(SUPPORTED_PROTOCOL_VERSIONS.includes(version));
    const { client, transport, close } = await connected(version);
    assert.equal(transport.negotiated, version);
    const { name, title, version: release } = client.getServerVersion();
    assert.deepEqual([name, Boolean(title), Boolean(release)], ['codex-orchestrator', true, true]);
    assert.ok(client.getInstructions());
    assert.deepEqual(Object.keys(client.getServerCapabilities()).sort(), ['prompts', 'resources', 'tools']);
    await client.ping();
    assert.equal((await client.listTools()).tools.length, catalog.length);
    await call(client, 'task.list');
    assert.equal((await refusal(client, 'task.get', { task_id: 999_999 })).code, 'not_found');
    await assert.rejects(client.callTool({ name: 'no_such_tool', arguments: {} }), { code: -32602 });
    assert.equal((await client.listResources()).resources.length, 4);
    assert.equal((await client.listPrompts()).prompts.length, 5);
    await close();
  });
}

test('a version that nobody knows gets the newest of the handshake', limit, async () => {
  const { transport, close } = await connected('2099-01-01');
  assert.equal(transport.negotiated, newestLegacy);
  await close();
});

test('the stateless era begins with server/discover', limit, async () => {
  const server = new RawServer();
  const found = await askModern(server, 'server/discover');
  assert.deepEqual(found.supportedVersions, [modern]);
  assert.deepEqual(Object.keys(found.capabilities).sort(), ['prompts', 'resources', 'tools']);
  assert.ok(found.instructions);
  assert.equal(found._meta['io.modelcontextprotocol/serverInfo'].name, 'codex-orchestrator');
  checkCacheable(found);

  const listed = await askModern(server, 'tools/list');
  checkCacheable(listed);
  assert.deepEqual((await askModern(server, 'tools/list')).tools, listed.tools);
  const ajv = new Ajv2020({ strict: true });
  const valid = (method, content) => {
    const check = ajv.compile(listed.tools.find((tool) => tool.name === toolName(method)).outputSchema);
    assert.ok(check(content), `${method}: ${ajv.errorsText(check.errors)}`);
  };
  const created = await askModern(server, 'tools/call', {
    name: 'task_create',
    arguments: { level: 'case', title: 'modern' },
  });
  assert.ok(!created.isError);
  valid('task.create', created.structuredContent);
  const failed = await askModern(server, 'tools/call', { name: 'task_get', arguments: { task_id: 999_999 } });
  assert.deepEqual([failed.isError, failed.structuredContent.error.code], [true, 'not_found']);

  for (const [method, member] of [
    ['resources/list', 'resources'],
    ['resources/templates/list', 'resourceTemplates'],
    ['prompts/list', 'prompts'],
  ]) {
    const result = await askModern(server, method);
    assert.ok(result[member].length > 1, method);
    checkCacheable(result);
  }
  const uri = `orch://tasks/${created.structuredContent.id}`;
  const read = await askModern(server, 'resources/read', { uri });
  checkCacheable(read);
  assert.equal(JSON.parse(read.contents[0].text).title, 'modern');
  assert.ok((await askModern(server, 'prompts/get', { name: 'worker' })).messages.length);
  await server.close();
});

test('the stateless era has its own errors', limit, async () => {
  const server = new RawServer();
  for (const method of ['server/discover', 'tools/list', 'tools/call']) {
    const { error } = await server.ask(method, { ...meta('2031-01-01'), name: 'workspace_init' }, `of ${method}`);
    assert.equal(error?.code, -32022, method);
    assert.deepEqual(error.data, { supported: [modern], requested: '2031-01-01' });
  }
  for (const [method, params, code] of [
    ['tools/call', { name: 'no_such_tool', arguments: {} }, -32602],
    ['tools/list', { cursor: 'nonsense' }, -32602],
    ['resources/read', { uri: 'orch://nothing' }, -32602],
    ['resources/read', { uri: 'orch://tasks/999999' }, -32602],
    ['prompts/get', { name: 'nobody' }, -32602],
    ['no/such/method', {}, -32601],
    ['logging/setLevel', { level: 'info' }, -32601],
  ]) {
    const { error } = await server.ask(method, { ...meta(), ...params });
    assert.equal(error?.code, code, `${method} ${JSON.stringify(params)}`);
  }
  await server.close();
});

test('nothing is sent for a cancelled request of the stateless era', limit, async () => {
  const server = new RawServer();
  const path = { scope_type: 'prefix', scope_path: 'modern' };
  const tool = (name, args) => ({ ...meta(), name, arguments: args });
  const held = await askModern(server, 'tools/call', tool('lock_acquire', { ...path, owner_session: 'holder' }));
  server.send({
    jsonrpc: '2.0',
    id: 'waits',
    method: 'tools/call',
    params: tool('lock_acquire', { ...path, owner_session: 'waiter', wait_seconds: 45 }),
  });
  server.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { ...meta(), requestId: 'waits' } });
  server.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { ...meta(), requestId: 'unknown' } });
  await askModern(server, 'tools/call', tool('lock_release', { lock_id: held.structuredContent.id }));
  const left = await askModern(server, 'tools/call', tool('lock_list', { path: 'modern' }));
  assert.deepEqual(left.structuredContent.locks, []);
  await server.close();
});

test('a client of both eras may probe first and shake hands then', limit, async () => {
  const server = new RawServer();
  const probe = await server.ask('server/discover', {});
  assert.ok(probe.result || Number.isInteger(probe.error.code));
  const hello = await server.ask('initialize', {
    protocolVersion: newestLegacy,
    capabilities: {},
    clientInfo: { name: 'both', version: '1' },
  });
  assert.equal(hello.result.protocolVersion, newestLegacy);
  server.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
  assert.deepEqual((await server.ask('ping')).result, {});
  const legacy = await server.ask('tools/list', {});
  assert.ok(legacy.result.tools.length && !('resultType' in legacy.result));
  await server.close();
});
