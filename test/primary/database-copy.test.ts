/**
 * Copies of a live database that are made without a lock. What an application does in the middle of one is done here between
 * two pieces; the same with calls in between the calls, kills and power cuts is simulated.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import {
  array,
  assert as assertFor,
  asyncProperty,
  constantFrom,
  integer,
  record,
  type Arbitrary,
} from 'fast-check';
import { type Files, systemFiles } from '../../src/base/files.ts';
import type { CopySizes } from '../../src/primary/copies.ts';
import { type Machine, systemMachine } from '../../src/primary/machine.ts';
import type { Primary } from '../../src/primary/primary.ts';
import type { Snapshot } from '../../src/primary/snapshot-source.ts';
import {
  LiveDatabase,
  NO_READER,
  NOT_IN_MEMORY,
  openPrimary,
  type PrimaryShape,
} from '../support/live-database.ts';
import { RecordingLogger } from '../support/recording-logger.ts';
import { Follower } from '../support/take-all.ts';

/** Makes it possible to do something between two pieces of a copy. */
class Between {
  #action: (() => Promise<void>) | undefined;
  readonly machine: Machine = {
    ...systemMachine,
    pause: async () => {
      const action = this.#action;
      this.#action = undefined;
      await action?.();
    },
  };

  /** For `onCopied`: a piece is there, and the pause after it comes next. */
  next(action: () => Promise<void>): void {
    this.#action = action;
  }
}

async function contentOf(snapshot: Snapshot): Promise<Buffer> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of snapshot.pages()) pieces.push(Buffer.from(piece));
  } finally {
    snapshot.close();
  }
  return Buffer.concat(pieces);
}

const ACTIONS = {
  commit: (live) => live.insert(3, 700),
  update: (live) => live.exec('UPDATE t SET body = randomblob(300) WHERE id % 5 = abs(random() % 5)'),
  grow: (live) => live.insert(40, 1500),
  shrink: (live) => live.exec('DELETE FROM t WHERE id % 3 = 0; VACUUM'),
  empty: (live) => live.exec('DELETE FROM t; VACUUM'),
  'roll back': (live) => live.exec('BEGIN; UPDATE t SET body = zeroblob(2000); ROLLBACK'),
  passive: (live) => void live.checkpoint('PASSIVE'),
  full: (live) => void live.checkpoint('FULL'),
  restart: (live) => void live.checkpoint('RESTART'),
  truncate: (live) => void live.checkpoint('TRUNCATE'),
  'commit, look': async (live, primary) => {
    live.insert(3, 700);
    await primary.refresh();
  },
  'grow, look': async (live, primary) => {
    live.insert(40, 1500);
    await primary.refresh();
  },
  look: async (_, primary) => void (await primary.refresh()),
  nothing: () => undefined,
} as const satisfies Record<string, (live: LiveDatabase, primary: Primary) => void | Promise<void>>;

type Action = keyof typeof ACTIONS;

interface Course {
  readonly pageSizeBytes: number;
  readonly rows: number;
  readonly inMemoryBytes: number;
  readonly pieceBytes: number;
  readonly minPages: number;
  /** Done before the copy begins, and in the first and second half of it. */
  readonly before: readonly Action[];
  readonly during: readonly (readonly Action[])[];
}

const action = constantFrom<Action[]>(...(Object.keys(ACTIONS) as Action[]));
const course: Arbitrary<Course> = record({
  pageSizeBytes: constantFrom(512, 1024, 4096, 65_536),
  rows: integer({ min: 0, max: 150 }),
  inMemoryBytes: constantFrom(0, 2 ** 30),
  pieceBytes: constantFrom(512, 8_192, 70_000),
  minPages: constantFrom(1, 20, 1_000_000),
  before: array(action, { maxLength: 4 }),
  during: array(array(action, { maxLength: 3 }), { maxLength: 12 }),
});

/** Follows a course; answers what the copy held, and what the database held at that moment. */
async function follow(one: Course): Promise<{ copy: Buffer; live: Buffer }> {
  const between = new Between();
  using live = new LiveDatabase(one.pageSizeBytes);
  live.exec('PRAGMA busy_timeout=0');
  live.insert(Math.max(1, one.rows), 900);
  const { inMemoryBytes, pieceBytes, minPages } = one;
  const shape: PrimaryShape = { machine: between.machine, checkpoint: { minPages } };
  const primary = openPrimary(live.path, { ...shape, copySizes: { inMemoryBytes, pieceBytes } });
  try {
    await primary.refresh();
    for (const name of one.before) await ACTIONS[name](live, primary);
    const rest = [...one.during];
    const onCopied = (): void =>
      between.next(async () => {
        for (const name of rest.shift() ?? []) await ACTIONS[name](live, primary);
      });
    const snapshot = await primary.openSnapshot({ onCopied });
    assert.deepEqual(snapshot.position, primary.position);
    const copy = await contentOf(snapshot);
    assert.equal(copy.length, snapshot.pageCount * snapshot.pageSizeBytes);
    assert.equal(primary.pin, undefined);
    await primary.close();
    assert.equal(live.checkpoint('TRUNCATE').busy, 0);
    return { copy, live: readFileSync(live.path) };
  } finally {
    await primary.close();
  }
}

describe('a copy of a live database', () => {
  it('is exactly the database at its position, whatever is done between its pieces', async () => {
    await assertFor(
      asyncProperty(course, async (one) => {
        const { copy, live } = await follow(one);
        assert.equal(copy.length, live.length, 'as long as the database');
        assert.ok(copy.equals(live), 'the same bytes');
      }),
      { numRuns: 60 },
    );
  });

  for (const [name, during] of Object.entries({
    'is exactly a database whose log is restarted twice behind the copy': [
      ['grow', 'look'],
      ['update', 'look'],
      ['grow', 'look'],
      ['update'],
    ],
    'is exactly a database that shrinks when half of it is copied': [
      ['nothing'],
      ['shrink', 'look'],
      ['commit', 'look'],
      ['commit'],
    ],
    'is exactly a database that is emptied and filled again': [
      ['nothing'],
      ['empty', 'look'],
      ['commit', 'look'],
      ['grow', 'look'],
    ],
    'is exactly a database of which the last commit comes with the last piece': [
      ['nothing'],
      ['nothing'],
      ['nothing'],
      ['update'],
    ],
  } satisfies Record<string, Action[][]>)) {
    it(name, async () => {
      const shape = { pageSizeBytes: 4096, rows: 150, pieceBytes: 40_960, minPages: 1, before: [] };
      for (const inMemoryBytes of [0, 2 ** 30]) {
        const { copy, live } = await follow({ ...shape, inMemoryBytes, during });
        assert.ok(copy.equals(live));
      }
    });
  }

  it('leads to what is written while it is made, and keeps the log of its position for the destination', async () => {
    const between = new Between();
    using live = new LiveDatabase();
    live.insert(200, 900);
    const shape = {
      machine: between.machine,
      checkpoint: { minPages: 1 },
      copySizes: { ...NOT_IN_MEMORY, pieceBytes: 8192 },
    };
    const primary = openPrimary(live.path, shape);
    try {
      await primary.refresh();
      const follower = new Follower(primary);
      const { index = -1 } = primary.position ?? {};
      let pieces = 0;
      const onCopied = (): void =>
        between.next(async () => {
          live.insert(2, 900);
          if (pieces++ % 3 === 0) await primary.refresh();
        });
      const snapshot = await primary.openSnapshot({ keepFor: 'memory', onCopied });
      assert.ok(snapshot.position.index > index + 3, 'the log was restarted some times');
      for (let round = 0; round < 4; round++) {
        live.insert(30, 900);
        await primary.refresh();
      }
      await follower.startWith(snapshot);
      follower.take();
      const sql = 'SELECT count(*) AS n, hex(max(body)) AS greatest FROM t';
      assert.deepEqual(follower.rows(sql), [{ ...live.app.prepare(sql).get() }]);
      assert.equal(primary.spoolBytes, 0, 'nothing is kept any more');
    } finally {
      await primary.close();
    }
  });

  it('waits until the end of the log can be told', async () => {
    const between = new Between();
    using live = new LiveDatabase();
    live.insert(100, 900);
    // As if a writer stood still between the two copies of the header.
    let tornUntilMs = 0;
    let index = -1;
    const files: Files = {
      ...systemFiles,
      open: (path) => {
        const descriptor = systemFiles.open(path);
        if (path.endsWith('-shm')) index = descriptor;
        return descriptor;
      },
      read: (descriptor, into, at, length, position) => {
        const got = systemFiles.read(descriptor, into, at, length, position);
        if (descriptor === index && performance.now() < tornUntilMs) into[at] = (into[at] ?? 0) ^ 1;
        return got;
      },
    };
    const machine: Machine = { ...between.machine, files };
    const primary = openPrimary(live.path, { machine });
    try {
      await primary.refresh();
      const onCopied = (): void =>
        between.next(async () => {
          live.exec('UPDATE t SET body = randomblob(900)');
          tornUntilMs = performance.now() + 40;
        });
      const copy = await contentOf(await primary.openSnapshot({ onCopied }));
      await primary.close();
      live.checkpoint('TRUNCATE');
      assert.ok(copy.equals(readFileSync(live.path)));
    } finally {
      await primary.close();
    }
  });

  it('begins no read transaction, and none is open while it is read', async () => {
    using live = new LiveDatabase();
    live.insert(300, 3000);
    for (const copySizes of [NOT_IN_MEMORY, {}] satisfies CopySizes[]) {
      const primary = openPrimary(live.path, { machine: NO_READER, copySizes });
      try {
        await primary.refresh();
        const snapshot = await primary.openSnapshot();
        assert.ok((await contentOf(snapshot)).length > 900_000);
      } finally {
        await primary.close();
      }
    }
  });

  it('ends with the generation that it is of, while it is made and while it is read', async () => {
    const between = new Between();
    using live = new LiveDatabase();
    live.insert(300, 3000);
    const copySizes = { ...NOT_IN_MEMORY, pieceBytes: 65_536 };
    const primary = openPrimary(live.path, { machine: between.machine, copySizes });
    try {
      await primary.refresh();
      const end = async (): Promise<void> =>
        primary.abandonGeneration(primary.generation as string, 'a test');
      const made = primary.openSnapshot({ onCopied: () => between.next(end) });
      await assert.rejects(made, { code: 'CANCELLED' });
      const snapshot = await primary.openSnapshot();
      await end();
      await assert.rejects(contentOf(snapshot), { code: 'CANCELLED' });
    } finally {
      await primary.close();
    }
  });

  it('ends with its signal, and nothing stays open or kept', async () => {
    const between = new Between();
    using live = new LiveDatabase();
    live.insert(300, 3000);
    const open = new Set<number>();
    const files = {
      ...systemFiles,
      createScratch: (path: string, mode: number) => {
        const descriptor = systemFiles.createScratch(path, mode);
        open.add(descriptor);
        return descriptor;
      },
      close: (descriptor: number) => {
        open.delete(descriptor);
        systemFiles.close(descriptor);
      },
    };
    const machine = { ...between.machine, files };
    const copySizes = { ...NOT_IN_MEMORY, pieceBytes: 65_536 };
    const primary = openPrimary(live.path, { machine, copySizes, checkpoint: { minPages: 1 } });
    try {
      await primary.refresh();
      const stop = new AbortController();
      const reason = new Error('enough');
      const onCopied = (): void => between.next(async () => stop.abort(reason));
      await assert.rejects(primary.openSnapshot({ signal: stop.signal, onCopied }), reason);
      assert.equal(open.size, 0);
      live.insert(20, 3000);
      await primary.refresh();
      live.insert(20, 3000);
      await primary.refresh();
      assert.equal(primary.spoolBytes, 0);
    } finally {
      await primary.close();
    }
  });

  it('begins again when the log that it needs was not kept, and is given up when that goes on', async () => {
    const between = new Between();
    using live = new LiveDatabase();
    live.insert(100, 900);
    const logger = new RecordingLogger();
    const copySizes = { ...NOT_IN_MEMORY, pieceBytes: 8192 };
    const shape = { machine: between.machine, copySizes, logger, checkpoint: { minPages: 1 } };
    const primary = openPrimary(live.path, shape);
    try {
      await primary.refresh();
      let losses = 1;
      const onCopied = (): void =>
        between.next(async () => {
          if (losses-- <= 0) return;
          live.insert(3, 900);
          await primary.refresh();
          live.insert(3, 900);
          await primary.refresh();
          for (const name of systemFiles.list(`${live.path}-meta/spool`))
            systemFiles.remove(`${live.path}-meta/spool/${name}`);
        });
      const copied = await contentOf(await primary.openSnapshot({ onCopied }));
      assert.deepEqual(logger.messages('warn'), []);
      assert.equal(copied.length, Number(live.app.prepare('PRAGMA page_count').get()?.['page_count']) * 4096);
      losses = Number.POSITIVE_INFINITY;
      const snapshot = await primary.openSnapshot({ onCopied });
      assert.equal(logger.matching('cannot be copied aside').length, 1);
      const pinned = await contentOf(snapshot);
      assert.equal(pinned.length, Number(live.app.prepare('PRAGMA page_count').get()?.['page_count']) * 4096);
    } finally {
      await primary.close();
    }
  });

  it('a small database that grows meanwhile goes into a file', async () => {
    const between = new Between();
    using live = new LiveDatabase();
    live.insert(20, 900);
    let files = 0;
    const createScratch: typeof systemFiles.createScratch = (path, mode) => {
      files++;
      return systemFiles.createScratch(path, mode);
    };
    const machine = { ...between.machine, files: { ...systemFiles, createScratch } };
    const primary = openPrimary(live.path, { machine });
    try {
      await primary.refresh();
      let isGrown = false;
      const onCopied = (): void =>
        between.next(async () => {
          if (!isGrown) live.insert(200, 3000);
          isGrown = true;
        });
      const copied = await contentOf(await primary.openSnapshot({ onCopied }));
      assert.equal(files, 1);
      assert.ok(copied.length > 600_000);
    } finally {
      await primary.close();
    }
  });
});
