/** Another file is copied over the database while everything is stopped, and the WAL of the one before stays beside it. */
import assert from 'node:assert/strict';
import { copyFileSync, utimesSync } from 'node:fs';
import { backup, DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';
import { RecordingLogger } from '../support/recording-logger.ts';

const OVERWRITTEN = 'the database file was overwritten while nobody was watching';

/** Two commits, and another process that keeps the WAL from being removed. */
class Scene implements Disposable {
  readonly live: LiveDatabase = new LiveDatabase();
  readonly logger: RecordingLogger = new RecordingLogger();
  readonly older: string = this.live.scratch.file('older.db');
  #others: DatabaseSync | undefined;

  /** @param isInFile - whether everything is checkpointed when the process ends */
  async run(isInFile: boolean): Promise<string | undefined> {
    this.live.insert(20);
    await backup(this.live.app, this.older);
    this.live.exec('UPDATE t SET body = randomblob(200)');
    this.#others = new DatabaseSync(this.live.path);
    this.#others.prepare('SELECT count(*) FROM t').get();
    const primary = openPrimary(this.live.path, { logger: this.logger });
    await primary.refresh();
    if (isInFile) this.live.checkpoint('PASSIVE');
    // What is written within the same moment as the note could not be told from it.
    utimesSync(this.live.path, 1_000_000, 1_000_000);
    await primary.refresh();
    const { generation } = primary;
    await primary.close();
    return generation;
  }

  async generationNow(): Promise<string | undefined> {
    const primary = openPrimary(this.live.path, { logger: this.logger });
    await primary.refresh();
    const { generation } = primary;
    await primary.close();
    return generation;
  }

  [Symbol.dispose](): void {
    this.#others?.close();
    this.live[Symbol.dispose]();
  }
}

describe('a database file that was overwritten beside its WAL', () => {
  it('is not continued when it lacks what was in it, although its page 1 is the same', async () => {
    using scene = new Scene();
    const former = await scene.run(true);
    copyFileSync(scene.older, scene.live.path);
    assert.notEqual(await scene.generationNow(), former);
    assert.ok(scene.logger.messages('warn').includes(OVERWRITTEN));
  });

  it('is not continued when its page 1 was never committed, wherever the WAL stands', async () => {
    for (const isInFile of [true, false]) {
      using scene = new Scene();
      const former = await scene.run(isInFile);
      const edited = new DatabaseSync(scene.older);
      edited.exec("PRAGMA journal_mode=delete; UPDATE t SET body = 'edited'");
      edited.close();
      copyFileSync(scene.older, scene.live.path);
      assert.notEqual(await scene.generationNow(), former);
      assert.ok(scene.logger.messages('warn').includes(OVERWRITTEN));
    }
  });

  it('is told from one that was checkpointed, written to or touched meanwhile', async () => {
    const harmless: ((live: LiveDatabase) => void)[] = [
      (live) => void live.checkpoint('PASSIVE'),
      (live) => (live.exec('CREATE TABLE more (x)'), void live.checkpoint('PASSIVE')),
      (live) => live.insert(50),
      (live) => utimesSync(live.path, 2_000_000, 2_000_000),
    ];
    for (const [i, change] of harmless.entries()) {
      using scene = new Scene();
      const former = await scene.run(false);
      change(scene.live);
      assert.equal(await scene.generationNow(), former, `change ${i}`);
      assert.deepEqual(scene.logger.messages('warn'), []);
    }
  });
});
