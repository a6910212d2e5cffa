import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { RivuletError, systemCode } from '../../src/base/errors.ts';
import type { Logger } from '../../src/base/log.ts';
import { createLogger } from '../../src/daemon/logging.ts';
import type { LoggerOptions } from '../../src/daemon/logging.ts';
import { SyncOutput, type WriteSync } from '../../src/daemon/sync-output.ts';
import { makeFifo } from '../support/fifo.ts';
import { Scratch } from '../support/scratch.ts';

/** A thread that waits for room has written by then. */
const QUIET_MS = 250;
const TIME = new Date(2026, 0, 31, 9, 5, 7, 25);

async function capture(options: Partial<LoggerOptions>, speak: (logger: Logger) => void): Promise<string[]> {
  const lines: string[] = [];
  const logger = await createLogger({
    level: 'info',
    type: 'text',
    stderr: false,
    isTerminal: false,
    write: (line) => lines.push(line),
    now: () => TIME,
    ...options,
  });
  speak(logger);
  return lines;
}

async function captureJson(speak: (logger: Logger) => void): Promise<unknown[]> {
  const lines = await capture({ type: 'json', level: 'debug' }, speak);
  for (const line of lines) assert.match(line, /^[^\n]*\n$/);
  return lines.map((line) => JSON.parse(line) as unknown);
}

const circular: Record<string, unknown> = {};
circular['self'] = circular;

test('text: one line with local time, level, message and fields', async () => {
  const lines = await capture({}, (logger) => {
    logger.info('replicating', {
      db: '/a b.db',
      bytes: 12n,
      at: new Date(0),
      nothing: undefined,
      none: null,
    });
    logger.warn('100% of "it"');
  });
  assert.match(lines[0] ?? '', /^2026-01-31T09:05:07\.025[+-]\d\d:\d\d INFO  replicating /);
  assert.equal(
    lines[0]?.slice(36),
    'replicating db="/a b.db" bytes=12 at=1970-01-01T00:00:00.000Z none=null\n',
  );
  assert.equal(lines[1]?.slice(30), 'WARN  100% of "it"\n');
});

test('text on a terminal: short time and a colour', async () => {
  const lines = await capture({ isTerminal: true }, (logger) => logger.error('no', { key: 'value' }));
  assert.deepEqual(lines, ['09:05:07 \u001B[31mERROR\u001B[0m no key=value\n']);
});

test('text: nothing in a message or value breaks the line or reaches the terminal as a command', async () => {
  const lines = await capture({ isTerminal: true }, (logger) => {
    logger.info('a\nb\u001B[2J', { x: 'c\nd', y: '\u001B[2J', z: 'a=b', empty: '' });
  });
  assert.deepEqual(lines, [
    '09:05:07 \u001B[32mINFO \u001B[0m a\\nb\\u001b[2J x="c\\nd" y="\\u001b[2J" z="a=b" empty=""\n',
  ]);
});

test('text: an error whose message the line says already is its code alone', async () => {
  const lines = await capture({ isTerminal: true }, (logger) => {
    logger.error('locked', { error: new RivuletError('DB_BUSY', 'locked'), more: 1 });
    logger.error('odd', { error: new Error('odd'), more: 1 });
    logger.error('not read: locked', { error: new RivuletError('DB_BUSY', 'locked') });
    logger.error('not locked', { error: new RivuletError('DB_BUSY', 'locked') });
  });
  assert.deepEqual(
    lines.map((line) => line.slice(24)),
    [
      'locked error=DB_BUSY more=1\n',
      'odd more=1\n',
      'not read: locked error=DB_BUSY\n',
      'not locked error="locked (DB_BUSY)"\n',
    ],
  );
});

test('text: errors are their message and code', async () => {
  const lines = await capture({ isTerminal: true }, (logger) => {
    logger.info('x', {
      a: new RivuletError('DB_BUSY', 'locked'),
      b: Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT' }),
      c: { d: new Error('inner'), n: 1n },
      e: circular,
      f: new Uint8Array(3),
      g: [1, 2n],
    });
  });
  const fields = lines[0]?.slice(lines[0].indexOf(' x ') + 3) ?? '';
  assert.match(
    fields,
    /^a="locked \(DB_BUSY\)" b="ENOENT: no such file" c=\{"d":\{"message":"inner","stack":/,
  );
  assert.match(fields, /"n":1\} e="<ref \*1> \{ self: \[Circular \*1\] \}" f="3 bytes" g=\[1,2\]\n$/);
});

test('json: one object a line with time, level and msg', async () => {
  const [line] = await captureJson((logger) => {
    logger.info('100% %s done', {
      big: 2n ** 63n,
      small: 5n,
      at: TIME,
      error: new RivuletError('DB_BUSY', 'locked', { cause: new Error('why') }),
      nan: Number.NaN,
      level: 9,
      time: 'x',
      msg: 'y',
      circular,
      map: { m: new Map([['a', 1]]) },
    });
  });
  assert.deepEqual(line, {
    level: 'info',
    time: TIME.toISOString(),
    big: '9223372036854775808',
    small: 5,
    at: TIME.toISOString(),
    error: { message: 'locked', code: 'DB_BUSY', cause: 'why' },
    nan: 'NaN',
    field_level: 9,
    field_time: 'x',
    field_msg: 'y',
    circular: '<ref *1> { self: [Circular *1] }',
    map: { m: [['a', 1]] },
    msg: '100% %s done',
  });
});

test('levels below the chosen one are silent, in children too', async () => {
  const speak = (logger: Logger): void => {
    for (const one of [logger, logger.child({})]) {
      one.debug('d');
      one.info('i');
      one.warn('w');
      one.error('e');
    }
  };
  for (const type of ['text', 'json'] as const) {
    for (const [level, count] of [
      ['debug', 8],
      ['info', 6],
      ['warn', 4],
      ['error', 2],
    ] as const) {
      assert.equal((await capture({ type, level }, speak)).length, count, `${type} ${level}`);
    }
  }
});

test('a child adds its fields; the nearer one wins and appears once', async () => {
  const speak = (logger: Logger): void =>
    logger.child({ db: 'a', n: 1 }).child({ n: 2 }).info('x', { db: 'b' });
  const [text] = await capture({ isTerminal: true }, speak);
  assert.match(text ?? '', / x db=b n=2\n$/);
  const [json] = await capture({ type: 'json' }, speak);
  assert.equal(json?.match(/"db"/g)?.length, 1);
  assert.equal((JSON.parse(json ?? '') as { n: number }).n, 2);
});

/** Runs a script in a child whose output is a pipe. */
function run(script: string): { stdout: string; stderr: string; status: number | null } {
  const source = `import { createLogger } from ${JSON.stringify(import.meta.resolve('../../src/daemon/logging.ts'))};\n${script}`;
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
  });
  return { stdout: child.stdout, stderr: child.stderr, status: child.status };
}

test('everything is out when the process ends at once, and goes to the stream that was chosen', () => {
  for (const type of ['text', 'json']) {
    for (const stderr of [false, true]) {
      const settings = JSON.stringify({ level: 'info', type, stderr });
      const script = `const log = await createLogger(${settings});
        for (let i = 0; i < 2000; i += 1) log.info('line', { i, fill: 'x'.repeat(200) });
        process.exit(3);`;
      const result = run(script);
      assert.equal(result.status, 3);
      const [used, unused] = stderr ? [result.stderr, result.stdout] : [result.stdout, result.stderr];
      assert.equal(used.trimEnd().split('\n').length, 2000);
      assert.equal(unused, '');
    }
  }
});

test('only json loads pino', () => {
  const script = (type: string): string => `import { createRequire } from 'node:module';
    const log = await createLogger({ level: 'info', type: '${type}', stderr: false });
    const files = Object.keys(createRequire(import.meta.url).cache);
    log.info('pino', { loaded: files.some((file) => file.includes('/pino/')) });`;
  assert.match(run(script('text')).stdout, /loaded=false\n$/);
  assert.match(run(script('json')).stdout, /"loaded":true/);
});

function failing(code: string): Error {
  return Object.assign(new Error(code), { code });
}

test('output: waits for a slow reader and puts partial writes together', () => {
  let written = '';
  let calls = 0;
  const write: WriteSync = (_descriptor, bytes) => {
    calls += 1;
    if (calls % 2 === 0) throw failing('EAGAIN');
    const part = bytes.subarray(0, 3);
    written += Buffer.from(part).toString();
    return part.length;
  };
  const output = new SyncOutput(1, { write });
  output.write('one line\n');
  output.write('two lines\n');
  assert.equal(written, 'one line\ntwo lines\n');
});

const lostLine = (lines: number): string => `lost ${lines}\n`;

test('output: a reader that is stuck costs one wait, then whole lines are dropped, and counted', () => {
  let written = '';
  let room = 4;
  let refusals = 0;
  const write: WriteSync = (_descriptor, bytes) => {
    if (room === 0) {
      refusals += 1;
      throw failing('EAGAIN');
    }
    const part = bytes.subarray(0, room);
    room -= part.length;
    written += Buffer.from(part).toString();
    return part.length;
  };
  const output = new SyncOutput(1, { write, waitMaxMs: 20, lostLine });
  output.write('first\n');
  room = 2;
  output.write('lost as well\n');
  for (let line = 0; line < 50; line += 1) output.write(`dropped ${line}\n`);
  assert.ok(refusals < 100, `waited again and again: ${refusals}`);
  room = 1_000;
  output.write('last\n');
  output.write('more\n');
  assert.equal(written, 'first\nlost 51\nlast\nmore\n');
});

test('output: a reader that is gone, and comes back, and a full disk are survived', () => {
  for (const code of ['EPIPE', 'ENOSPC', 'EIO']) {
    let written = '';
    let room = Number.POSITIVE_INFINITY;
    const write: WriteSync = (_descriptor, bytes) => {
      if (room === 0) throw failing(code);
      const part = bytes.subarray(0, room);
      room -= part.length;
      written += Buffer.from(part).toString();
      return part.length;
    };
    const output = new SyncOutput(1, { write, lostLine });
    output.write('kept\n');
    room = 2;
    output.write('half\n');
    output.write('lost\n');
    room = 9;
    output.write('again\n');
    room = Number.POSITIVE_INFINITY;
    output.write('last\n');
    output.write('more\n');
    assert.equal(written, 'kept\nha\nlost 2\na\nlost 3\nlast\nmore\n', code);
  }
});

test('output: a descriptor that is closed is left alone', () => {
  let calls = 0;
  const output = new SyncOutput(1, {
    write: () => {
      calls += 1;
      throw failing('EBADF');
    },
  });
  output.write('a\n');
  output.write('b\n');
  assert.equal(calls, 1);
});

function nonNull<T>(value: T | null): T {
  assert.ok(value !== null);
  return value;
}

/** All that is in the pipe now. */
function drained(descriptor: number): string {
  const pieces: Buffer[] = [];
  for (;;) {
    const piece = Buffer.alloc(64 * 1024);
    try {
      pieces.push(piece.subarray(0, readSync(descriptor, piece)));
    } catch (error) {
      if (systemCode(error) === 'EAGAIN') return Buffer.concat(pieces).toString();
      throw error;
    }
  }
}

test('a pipe that blocks, and that nobody reads, keeps neither the work nor the end; what was lost is told', async () => {
  using scratch = new Scratch();
  const pipe = makeFifo(scratch.file('pipe'));
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(pipe, constants.O_WRONLY);
  const source = `import { createLogger } from ${JSON.stringify(import.meta.resolve('../../src/daemon/logging.ts'))};
    import { readSync } from 'node:fs';
    const log = await createLogger({ level: 'info', type: 'text', stderr: false, isTerminal: false });
    for (const round of ['first', 'second']) {
      for (let i = 0; i < 1000; i += 1) log.info(round, { i, fill: 'x'.repeat(200) });
      process.stderr.write('ready\\n');
      readSync(0, Buffer.alloc(3));
    }
    process.exit(3);`;
  // As the application of -exec makes it for all who share it: spawning makes it block.
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['pipe', writer, 'pipe'],
  });
  const ended = once(child, 'exit');
  try {
    await once(nonNull(child.stderr), 'data');
    const first = await allOf(reader);
    assert.match(first, /^\S+ INFO  first i=0 /);
    nonNull(child.stdin).write('go\n');
    await once(nonNull(child.stderr), 'data');
    const second = await allOf(reader);
    assert.match(second, /WARN  lines of the log were lost: .* lines=\d+\n\S+ INFO  second i=0 /);
    nonNull(child.stdin).write('go\n');
    assert.deepEqual(await ended, [3, null]);
  } finally {
    child.kill('SIGKILL');
    for (const descriptor of [reader, writer]) closeSync(descriptor);
  }
});

/** What is in the pipe, and what a thread that waited for room puts there then. */
async function allOf(descriptor: number): Promise<string> {
  let all = '';
  for (let piece = drained(descriptor); piece !== ''; piece = drained(descriptor)) {
    all += piece;
    await sleep(QUIET_MS);
  }
  return all;
}

test('an error says what to do when it knows', async () => {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const logger = await createLogger({ level: 'info', type: 'json', stderr: false, write });
  const error = new RivuletError('DB_UNREADABLE', 'it is not to be read', { hint: 'Look at it.' });
  logger.error('a', { error });
  logger.error('b', { error, hint: 'Do this.' });
  logger.warn('c', { error });
  const hints = lines.map((line) => (JSON.parse(line) as { hint?: string }).hint);
  assert.deepEqual(hints, ['Look at it.', 'Do this.', undefined]);
});
