/**
 * A database with the largest pages grows past SQLite's lock page, at 1 GiB, shrinks below it, and grows past it again. That page never
 * holds data and never appears in a WAL.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { inOneProcess, SqlApplication } from '../../support/applications/sql-application.ts';
import { Scene } from './scene.ts';

const PAGE_BYTES = 65_536;
const LOCK_PAGE = 2 ** 30 / PAGE_BYTES + 1;
const FIRST_ROWS = 63;
const FIRST_ROW_BYTES = 16_700_000;
const GROW = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4) INSERT INTO t (b) SELECT randomblob(8000000) FROM n`;
const PAUSE_MS = 700;

test('past the lock page, back, and past it again', async () => {
  await using scene = new Scene();
  await inOneProcess(scene.path, [
    `PRAGMA page_size=${PAGE_BYTES}`,
    'PRAGMA auto_vacuum=2',
    'PRAGMA journal_mode=wal',
    'PRAGMA synchronous=off',
    'CREATE TABLE t (id INTEGER PRIMARY KEY, b)',
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${FIRST_ROWS}) INSERT INTO t (b) SELECT zeroblob(${FIRST_ROW_BYTES}) FROM n`,
  ]);
  await scene.start();
  await using application = new SqlApplication(scene.path);
  await application.run('PRAGMA synchronous=off');
  const pages = async (): Promise<number> =>
    Number((await application.run('PRAGMA page_count'))[0]?.['page_count']);
  assert.ok((await pages()) < LOCK_PAGE);
  await application.run(GROW);
  assert.ok((await pages()) > LOCK_PAGE);
  await delay(PAUSE_MS);
  await application.run(`DELETE FROM t WHERE id > ${FIRST_ROWS - 1}`, 'PRAGMA incremental_vacuum');
  assert.ok((await pages()) < LOCK_PAGE);
  await delay(PAUSE_MS);
  await application.run(GROW, GROW);
  assert.ok((await pages()) > LOCK_PAGE);
  await application.close();
  await scene.assertRestoreEquals();
});
