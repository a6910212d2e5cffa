import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { createLogger } from '../../src/daemon/logging.ts';
import { exitCodeOfChild, superviseChild } from '../../src/daemon/child.ts';
import type { SupervisedChild } from '../../src/daemon/child.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rivulet child '));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function start(command: string): Promise<SupervisedChild> {
  return superviseChild(command, { logger: silentLogger, stdio: 'ignore' });
}

async function contentOf(file: string): Promise<string> {
  for (;;) {
    try {
      const text = readFileSync(file, 'utf8');
      if (text.endsWith('\n')) return text;
    } catch {
      // not written yet
    }
    await delay(5);
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function untilGone(pid: number): Promise<void> {
  while (isAlive(pid)) await delay(5);
}

describe('a supervised child', () => {
  test("gives its own exit code, and a signal's as a shell does", async () => {
    const own = await (await start(`sh -c 'exit 7'`)).exited;
    assert.deepEqual([own, exitCodeOfChild(own)], [{ code: 7, signal: null }, 7]);
    const killed = await (await start(`sh -c 'kill -KILL $$'`)).exited;
    assert.deepEqual([killed, exitCodeOfChild(killed)], [{ code: null, signal: 'SIGKILL' }, 137]);
  });

  test('is logged by the name of its program: arguments may hold a secret', async () => {
    for (const [command, program] of [
      ['sh -c "true TOP-SECRET"', 'sh'],
      ['TOKEN=TOP-SECRET true', '/bin/sh'],
    ] as const) {
      const lines: string[] = [];
      const logger = await createLogger({
        level: 'debug',
        type: 'text',
        stderr: false,
        isTerminal: false,
        write: (line) => void lines.push(line),
      });
      await (
        await superviseChild(command, { logger, stdio: 'ignore' })
      ).exited;
      const text = lines.join('');
      assert.match(text, new RegExp(`program=${program} `));
      assert.doesNotMatch(text, /SECRET/);
    }
    await assert.rejects(start('sh -c "TOP-SECRET'), (error: Error) => !error.message.includes('SECRET'));
  });

  test('runs every part of a shell command', async () => {
    const file = join(directory, 'out');
    const { exited } = await start(`echo one > "${file}" && echo two >> "${file}" && exit 3`);
    assert.equal((await exited).code, 3);
    assert.equal(readFileSync(file, 'utf8'), 'one\ntwo\n');
  });

  test('gets a signal exactly once and may end in its own way', async () => {
    const [ready, got] = [join(directory, 'ready'), join(directory, 'got')];
    const script = `trap 'echo term >> "${got}"; exit 5' TERM; echo up > "${ready}"; while :; do sleep 0.01; done`;
    const child = await start(script);
    await contentOf(ready);
    child.kill('SIGTERM');
    assert.equal((await child.exited).code, 5);
    assert.equal(readFileSync(got, 'utf8'), 'term\n');
  });

  test('signals reach what a shell command started, too', async () => {
    const file = join(directory, 'pid');
    const child = await start(`sleep 60 & echo $! > "${file}"; wait`);
    const grandchild = Number(await contentOf(file));
    assert.equal(isAlive(grandchild), true);
    child.kill('SIGKILL');
    assert.equal((await child.exited).signal, 'SIGKILL');
    await untilGone(grandchild);
  });

  test('is over when nothing of its group lives, dead ones that nobody has waited for aside', async () => {
    const [ready, ended] = [join(directory, 'ready'), join(directory, 'ended')];
    const application = `trap 'sleep 0.3; echo x > "${ended}"; exit 0' TERM; echo up > "${ready}"; while :; do sleep 0.01; done`;
    const child = await start(`(${application}); echo over`);
    await contentOf(ready);
    const enough = new AbortController();
    child.kill('SIGTERM');
    assert.equal((await child.exited).signal, 'SIGTERM');
    enough.abort();
    assert.equal(await child.groupEnded(systemClock, enough.signal), false);
    assert.equal(await child.groupEnded(systemClock, new AbortController().signal), true);
    assert.equal(readFileSync(ended, 'utf8'), 'x\n');
  });

  test('a signal after the end does nothing, and no listener stays behind', async () => {
    const before = process.listenerCount('exit');
    const child = await start('true');
    await child.exited;
    child.kill('SIGTERM');
    await delay(0);
    assert.equal(process.listenerCount('exit'), before);
  });

  test('a command that cannot be started is one clear error', async () => {
    await assert.rejects(start('rivulet-no-such-command x'), {
      code: 'EXEC_FAILED',
      message: 'cannot start "rivulet-no-such-command" for -exec: there is no such command',
    });
    await assert.rejects(start(`"${directory}"`), { code: 'EXEC_FAILED', message: /not an executable file/ });
  });
});
