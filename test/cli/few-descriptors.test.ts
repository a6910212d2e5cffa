/** More databases than the limit of open files allows: some are better than none. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { runRivulet, startRivulet } from '../support/run-rivulet.ts';
import { Scratch } from '../support/scratch.ts';
import { until } from '../support/until.ts';

const DATABASES = 12;
const LIMIT = 128;

test(
  'those that fit are replicated on, the others are told',
  { skip: existsSync('/proc/self/limits') ? false : 'the system does not tell the limit' },
  async () => {
    using scratch = new Scratch();
    const names = Array.from({ length: DATABASES }, (_, n) => `app${n}`);
    const databases = names.map((name) => new DatabaseSync(scratch.file(`${name}.db`), { timeout: 10_000 }));
    for (const one of databases)
      one.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)');
    const dbs = names.map((name) => ({
      path: scratch.file(`${name}.db`),
      replicas: [{ path: scratch.file(`${name}-replica`) }],
    }));
    writeFileSync(scratch.file('rivulet.yml'), JSON.stringify({ 'shutdown-timeout': '5s', dbs }));
    const words = ['replicate', '-no-expand-env', '-config', scratch.file('rivulet.yml')];
    const running = startRivulet(words, { descriptorsMax: LIMIT });
    const refused = (): string[] =>
      names.filter((name) => running.text().includes(`${name}.db cannot be opened:`));
    const stored = (): string[] =>
      names.filter((name) => running.text().includes(`snapshot written db=${scratch.file(`${name}.db`)}`));
    await until(
      'each is replicated or told',
      () => refused().length + stored().length === DATABASES,
      () => running.text(),
    );
    const fitting = stored();
    assert.ok(fitting.length >= 3, running.text());
    assert.match(running.text(), /TOO_MANY_FILES/);
    assert.match(running.text(), /hint="Too many files are open: raise the limit/);
    const limits = readFileSync(`/proc/${running.process.pid}/limits`, 'utf8');
    assert.match(limits, new RegExp(`Max open files +${LIMIT} `));
    for (const one of databases) {
      one.exec('INSERT INTO t VALUES (2)');
      one.close();
    }
    running.process.kill('SIGTERM');
    // The others could not be stored.
    const { code, out } = await running.ended;
    assert.doesNotMatch(out, /EMFILE/, out);
    assert.ok(code === 0 || code === 3, String(code));
    for (const name of fitting) {
      const output = scratch.file(`${name}-out.db`);
      const restored = await runRivulet([
        'restore',
        '-o',
        output,
        `file://${scratch.file(`${name}-replica`)}`,
      ]);
      assert.equal(restored.code, 0, restored.err);
      const database = new DatabaseSync(output, { readOnly: true });
      assert.equal(database.prepare('SELECT count(*) AS n FROM t').get()?.['n'], 2, name);
      database.close();
    }
  },
);
