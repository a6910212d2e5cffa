/** What others wrote (objects, servers, programs, notes, names) reaches a terminal or a log only as visible text. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { visibleText } from '../../src/base/visible-text.ts';
import { runCommandLine } from '../../src/cli/run.ts';
import { runRivulet } from '../support/run-rivulet.ts';
import { Scratch } from '../support/scratch.ts';

/** Clears the screen (in 7 and in 8 bits), sets the title, forges a line, reverses the order, hides, and is half a pair. */
const HOSTILE =
  '\u001B[2J\u009B31mevil\u001B]0;title\u0007\r\nrivulet: all is well\u202E\u200B\u2066\u{E0041}\uD800\u2028';

let scratch = new Scratch();
beforeEach(() => void (scratch = new Scratch()));
afterEach(() => scratch[Symbol.dispose]());

/** Nothing but visible characters and the line breaks of honest lines. */
function assertHarmless(text: string, about: string): void {
  for (const line of text.split('\n')) {
    assert.equal(visibleText(line, 1_000_000), line, about);
    assert.doesNotMatch(line, /^rivulet: all is well/, about);
  }
  assert.match(
    text,
    /\\(?:u001b|e)\[2J/,
    `${about}: the hostile text is shown, so that this test looks at something`,
  );
}

async function run(...words: string[]): Promise<string> {
  let text = '';
  const stream = { write: (chunk: string) => void (text += chunk) };
  const env = { PATH: process.env['PATH'], AWS_EC2_METADATA_DISABLED: 'true' };
  await runCommandLine(words, { stdout: stream, stderr: stream, env });
  return text;
}

function configure(databases: readonly object[]): string[] {
  const file = scratch.file('rivulet.yml');
  // JSON is YAML, and its escapes are.
  writeFileSync(file, JSON.stringify({ dbs: databases }));
  return ['-no-expand-env', '-config', file];
}

function leaveLease(replica: string): void {
  mkdirSync(join(replica, 'rivulet-lease'), { recursive: true });
  const time = '2999-01-01T00:00:00Z';
  const record = { version: 1, state: 'held', epoch: 5, owner: 'o', session: 's', serial: 1, host: HOSTILE };
  const more = { pid: 1, database: HOSTILE, program: 'p', acquiredAt: time, renewedAt: time };
  const rest = { durationMs: 604_800_000, generations: [], superseded: [] };
  writeFileSync(
    join(replica, 'rivulet-lease', '0000000000000001.json'),
    JSON.stringify({ ...record, ...more, ...rest }),
  );
}

describe('a lease', () => {
  for (const type of ['text', 'json']) {
    test(`whose fields are terminal codes: replicate -once, ${type}`, async () => {
      const path = scratch.file('app.db');
      const database = new DatabaseSync(path);
      database.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x)');
      database.close();
      leaveLease(scratch.file('replica'));
      const file = scratch.file('rivulet.yml');
      const dbs = [{ path, replicas: [{ path: scratch.file('replica') }] }];
      writeFileSync(file, JSON.stringify({ logging: { type }, dbs }));
      const { out, err } = await runRivulet(['replicate', '-once', '-no-expand-env', '-config', file]);
      assertHarmless(out + err, 'replicate');
    });
  }
});

test('names in a configuration: tables, JSON, YAML, findings, status, errors', async () => {
  // A name with a bracket is taken for wildcards where there is no such file.
  const path = scratch.file(`${HOSTILE}.db`);
  writeFileSync(path, '');
  const flags = configure([{ path, replicas: [{ path: scratch.file(HOSTILE) }] }]);
  for (const words of [
    ['databases'],
    ['databases', '-json'],
    ['config'],
    ['config', '-json'],
    ['check'],
    ['status'],
  ])
    assertHarmless(await run(...words, ...flags), words.join(' '));
  for (const words of [
    [HOSTILE],
    ['config', HOSTILE],
    ['check', HOSTILE, ...flags],
    ['config', '-config', HOSTILE],
  ])
    assertHarmless(await run(...words), JSON.stringify(words));
});

test('the effective configuration loads to the same names again', async () => {
  const name = `/nowhere/\u202Ea\u001B.db`;
  const text = await run('config', ...configure([{ path: name, replicas: [{ path: '/r' }] }]));
  writeFileSync(scratch.file('again.yml'), text);
  const json = await run('config', '-json', '-no-expand-env', '-config', scratch.file('again.yml'));
  assert.equal((JSON.parse(json) as { dbs: { path: string }[] }).dbs[0]?.path, name);
});

test('the note of a daemon: status', async () => {
  const path = scratch.file('app.db');
  const metaPath = scratch.file('.app.db-rivulet');
  mkdirSync(metaPath, { mode: 0o700 });
  writeFileSync(
    join(metaPath, 'daemon.json'),
    JSON.stringify({ version: 1, pid: 1, socket: `${scratch.file('x'.repeat(200))}${HOSTILE}` }),
  );
  const flags = configure([{ path, 'meta-path': metaPath, replicas: [{ path: scratch.file('r') }] }]);
  for (const json of [[], ['-json']]) assertHarmless(await run('status', ...json, ...flags), 'status');
});

test('an answer of whoever listens on the control socket: status', async () => {
  const socket = scratch.file('s');
  const replica = { name: HOSTILE, state: HOSTILE, destination: HOSTILE, lagBytes: 0, lagMs: 0 };
  const lastError = { message: HOSTILE, code: HOSTILE, atMs: 0 };
  const lease = { phase: HOSTILE, holder: { host: HOSTILE, pid: HOSTILE } };
  const status = {
    path: HOSTILE,
    state: HOSTILE,
    spoolBytes: 0,
    lastError,
    replicas: [{ ...replica, lease }],
  };
  const reasons = [{ db: HOSTILE, reason: HOSTILE, message: HOSTILE }];
  const answer = { version: '', pid: 1, startedAtMs: 0, nowMs: 0, ok: true, reasons, databases: [status] };
  const server = createServer((_request, response) => response.end(JSON.stringify(answer)));
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  try {
    for (const json of [[], ['-json']])
      assertHarmless(await run('status', '-socket', socket, ...json), 'status');
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('standard error of a credential process: generations, check', async () => {
  const script = scratch.file('keys.mjs');
  writeFileSync(script, `process.stderr.write(${JSON.stringify(HOSTILE)}); process.exitCode = 1;`);
  const credentials = { source: 'process', command: `"${process.execPath}" "${script}"` };
  const url = 's3://bucket/path?endpoint=http://127.0.0.1:9&region=us-east-1';
  const flags = configure([{ path: scratch.file('app.db'), replicas: [{ url, credentials }] }]);
  for (const words of [['generations', scratch.file('app.db')], ['check']])
    assertHarmless(await run(...words, ...flags), words.join(' '));
});

test('an answer of an S3 endpoint: message, code, region and host are claims and visible', async () => {
  const xml = `<?xml version="1.0"?><Error><Code>Evil\u009B2J</Code><Message>\u001B[2J ${HOSTILE.slice(0, -3)}</Message><Region>evil.example/#</Region></Error>`;
  const server = createServer((_request, response) => {
    response.writeHead(400, { 'content-type': 'application/xml', 'x-amz-bucket-region': 'evil.example/x#' });
    response.end(xml);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const replica = { url: `s3://bucket/path?endpoint=http://127.0.0.1:${port}`, 'access-key-id': 'a' };
    const flags = configure([
      { path: scratch.file('app.db'), replicas: [{ ...replica, 'secret-access-key': 'b' }] },
    ]);
    for (const words of [['generations', scratch.file('app.db')], ['check']]) {
      const text = await run(...words, ...flags);
      for (const line of text.split('\n')) assert.equal(visibleText(line, 1_000_000), line);
      assert.doesNotMatch(text, /evil\.example/);
      assert.match(text, /Evil/);
    }
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
