/**
 * What applications do between two looks at their database, chosen because a follower that counts commits can be wrong about it.
 * Whoever follows the database must end with exactly what it holds: by what it copied, or by a fresh snapshot.
 *
 * Nobody has a transaction open meanwhile, unless that is said: a checkpoint that finds one fails the test.
 */
import assert from 'node:assert/strict';
import { inOneProcess, SqlApplication } from './sql-application.ts';
import type { SqlSettings } from './settings.ts';

export interface Sequence {
  readonly title: string;
  /** How the application stays open throughout; absent where all of its processes close before the follower comes. */
  readonly stays?: SqlSettings;
  /** Makes the database, before the follower comes. */
  readonly make: readonly string[];
  /** All of it between two looks. `application` is the one that stays open. */
  readonly unseen: (path: string, application: SqlApplication | undefined) => Promise<void>;
  /** How often `unseen` happens, each time after quiet; once when absent. */
  readonly rounds?: number;
  /** Whether what was missed must be noticed (a fresh snapshot), or all can be followed. Absent: either is right. */
  readonly expects?: 'continuity' | 'snapshot';
}

/** As if the index had counted many commits already: a follower may trust it. */
const COUNTED = 'count 1000000';
const TWO_TABLES = [
  'PRAGMA journal_mode=wal',
  'PRAGMA synchronous=full',
  'CREATE TABLE x (a)',
  'CREATE TABLE y (a)',
  'INSERT INTO x VALUES (0)',
  'INSERT INTO y VALUES (0)',
];
/** A checkpoint that is refused shall not make a test slow. */
const IMPATIENT: SqlSettings = { busyTimeoutMs: 1_000 };
const X = 'UPDATE x SET a = a + 111';
const Y = 'UPDATE y SET a = a + 222';

async function present(application: SqlApplication | undefined): Promise<SqlApplication> {
  assert.ok(application !== undefined);
  return Promise.resolve(application);
}

/** X is overwritten before anybody reads it. */
async function truncateBetween(_path: string, application: SqlApplication | undefined): Promise<void> {
  const app = await present(application);
  await app.run(X);
  await app.checkpoint('TRUNCATE');
  await app.run(Y);
}

/** The same where a follower may have good reason to keep a transaction open: TRUNCATE is refused then. */
async function tryTruncateBetween(_path: string, application: SqlApplication | undefined): Promise<void> {
  const app = await present(application);
  await app.run(X, 'PRAGMA wal_checkpoint(TRUNCATE)', Y);
}

/** A commit that its writer was killed over, and what others do then: they recover the index. */
function torn(...others: readonly string[]): Sequence['unseen'] {
  return async (path) => {
    await using killed = new SqlApplication(path, IMPATIENT);
    await killed.run('SELECT * FROM x');
    await killed.tear(X);
    if (others.length > 0) await inOneProcess(path, others, IMPATIENT);
  };
}

export const SEQUENCES: readonly Sequence[] = [
  {
    title: 'a commit, TRUNCATE, another commit: the first one is gone from the WAL',
    stays: IMPATIENT,
    make: [...TWO_TABLES, COUNTED],
    unseen: truncateBetween,
    expects: 'snapshot',
  },
  {
    title: 'checkpoints of all kinds around one commit: nothing is missed',
    stays: IMPATIENT,
    make: [...TWO_TABLES, COUNTED],
    unseen: async (_path, application) => {
      const app = await present(application);
      for (const mode of ['TRUNCATE', 'TRUNCATE', 'RESTART', 'PASSIVE', 'TRUNCATE', 'FULL'] as const)
        await app.checkpoint(mode);
      await app.run(X);
    },
    rounds: 3,
    expects: 'continuity',
  },
  {
    title: 'padded commits: the repeated frames of Y count as X',
    stays: { ...IMPATIENT, padsCommits: true },
    make: [...TWO_TABLES, COUNTED],
    unseen: async (path, application) => {
      await tryTruncateBetween(path, application);
      const [index] = await (await present(application)).run('index');
      assert.ok(Number(index?.['frames']) > 1, 'this disk repeats no commit frames');
    },
    rounds: 3,
  },
  {
    title: 'padded commits with an automatic checkpoint at each',
    stays: { ...IMPATIENT, padsCommits: true },
    make: [...TWO_TABLES, 'PRAGMA wal_autocheckpoint=1', COUNTED],
    unseen: async (_path, application) => {
      await (await present(application)).run(X, Y, X, Y, Y);
    },
    rounds: 4,
  },
  {
    title: 'killed while it published X; recovery, TRUNCATE, Y: the counter begins again and fits',
    make: TWO_TABLES,
    unseen: torn('PRAGMA wal_checkpoint(TRUNCATE)', Y),
  },
  {
    title: 'killed while it published X; recovery by another application in the same WAL',
    make: TWO_TABLES,
    unseen: torn('INSERT INTO x VALUES (5)'),
  },
  {
    title: 'killed while it published X, and nobody else opens the database',
    make: TWO_TABLES,
    unseen: torn(),
  },
  {
    title: 'killed while it published X beside an application that stays; that one recovers, and checkpoints',
    stays: IMPATIENT,
    make: [...TWO_TABLES, COUNTED],
    unseen: async (path, application) => {
      await torn()(path, application);
      await tryTruncateBetween(path, application);
    },
    rounds: 2,
  },
  {
    title: 'VACUUM, TRUNCATE, and a smaller database',
    stays: IMPATIENT,
    make: [
      ...TWO_TABLES,
      'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) INSERT INTO x SELECT randomblob(3000) FROM n',
      COUNTED,
    ],
    unseen: async (_path, application) => {
      const app = await present(application);
      await app.run('DELETE FROM x WHERE rowid > 20', 'VACUUM');
      await app.checkpoint('TRUNCATE');
      await app.run(Y);
    },
  },
  {
    title: 'rolled back transactions that had spilled into the WAL, between restarts',
    stays: IMPATIENT,
    make: [...TWO_TABLES, 'PRAGMA cache_size=5', 'PRAGMA cache_spill=5', COUNTED],
    unseen: async (_path, application) => {
      const app = await present(application);
      const spill =
        'INSERT INTO x WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) SELECT randomblob(3000) FROM n';
      await app.run('BEGIN', spill, 'ROLLBACK');
      await app.checkpoint('RESTART');
      await app.run('BEGIN', spill, 'ROLLBACK', Y);
      await app.checkpoint('TRUNCATE');
      await app.run('BEGIN', spill, 'ROLLBACK', X);
    },
  },
];
