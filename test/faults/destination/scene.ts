/** An application and Rivulet at work, for one thing to go wrong with the destination. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type ApplicationSettings, NO_DEEDS } from '../application-settings.ts';
import { assertPrefix, assertSame, type Copy, judgeCopy, removeDatabase } from '../checks.ts';
import type { ReplicationSettings } from '../plan.ts';
import { ManagedProcess } from '../process.ts';
import { type Place, placeIn, readLog, replicateProcess, restore, writeConfig } from '../rivulet.ts';
import { untilQuiet, untilServing } from '../waiting.ts';

const APPLICATION = fileURLToPath(new URL('../application.ts', import.meta.url));
const END_TIMEOUT_MS = 40_000;

const REPLICATION: ReplicationSettings = {
  replicas: ['only'],
  syncIntervalMs: 30,
  minCheckpointPages: 50,
  maxCheckpointPages: 500,
  checkpointIntervalMs: 1_000,
  snapshotIntervalMs: 0,
  retentionMs: 86_400_000,
  validationIntervalMs: 0,
};

/** Adds and changes some 50 KB several times a second. */
const APPLICATION_SETTINGS: Omit<ApplicationSettings, 'path' | 'seed'> = {
  pageSizeBytes: 4096,
  synchronous: 'NORMAL',
  autoCheckpoint: 1_000,
  cachePages: 2_000,
  autoVacuum: 'NONE',
  journalSizeLimit: -1,
  pauseMs: 60,
  largestBodyBytes: 1_500,
  weights: { ...NO_DEEDS, small: 10, medium: 10, rest: 1 },
};

export interface SceneOptions {
  readonly seed: number;
  readonly replication?: Partial<ReplicationSettings>;
  /** Called with the scene's folder: where replicas lie that have a place of their own. */
  readonly replicaPaths?: (folder: string) => Readonly<Record<string, string>>;
}

export class Scene implements AsyncDisposable {
  readonly place: Place;
  readonly application: ManagedProcess;
  readonly rivulet: ManagedProcess;

  constructor({ seed, replication, replicaPaths }: SceneOptions) {
    const folder = mkdtempSync(join(tmpdir(), 'rivulet-destination-'));
    this.place = placeIn(folder, replicaPaths?.(folder));
    const settings = { ...APPLICATION_SETTINGS, seed, path: this.place.databasePath };
    this.application = new ManagedProcess({
      title: 'the application',
      file: process.execPath,
      args: () => [APPLICATION, JSON.stringify(settings)],
      outputPath: join(folder, 'application.log'),
    });
    this.rivulet = replicateProcess(this.place);
    writeConfig(this.place, { ...REPLICATION, ...replication });
  }

  async start(): Promise<void> {
    this.application.start();
    this.rivulet.start();
    await untilServing(this.place);
  }

  /** The application ends; everything gets to the destination, and a copy is the source in every row. */
  async assertRecovers(replica = 'only'): Promise<void> {
    await this.application.terminate(END_TIMEOUT_MS);
    await untilQuiet(this.place, replica);
    await this.assertComplete(replica);
  }

  async assertComplete(replica: string): Promise<void> {
    const outputPath = join(this.place.folder, 'complete.db');
    const result = await restore(this.place, { replica, outputPath });
    assert.equal(result.code, 0, `restore of ${replica}: ${result.errors}`);
    judgeCopy(outputPath, `the copy from ${replica}`);
    assertSame(this.place.databasePath, outputPath, `the copy from ${replica}`);
    removeDatabase(outputPath);
  }

  /** What the destination gives while something is wrong with it: an older state, or an honest nothing. */
  async assertNothingWrongVisible(replica = 'only'): Promise<Copy | undefined> {
    const outputPath = join(this.place.folder, 'visible.db');
    const result = await restore(this.place, { replica, outputPath });
    if (result.code !== 0) {
      assert.match(result.errors, /REPLICA_EMPTY|STORAGE_FAILED/, `restore of ${replica}`);
      return undefined;
    }
    const copy = judgeCopy(outputPath, `the copy from ${replica}`);
    assertPrefix(this.place.databasePath, copy, `the copy from ${replica}`);
    removeDatabase(outputPath);
    return copy;
  }

  /** @param times - how often it must have been said since the start */
  async untilLogged(
    message: string,
    { times = 1, timeoutMs = 100_000 }: { times?: number; timeoutMs?: number } = {},
  ): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    while (readLog(this.place).filter(({ msg }) => msg === message).length < times) {
      if (performance.now() > deadlineMs) throw new Error(`not logged within ${timeoutMs} ms: ${message}`);
      await sleep(50);
    }
  }

  messages(level: string): string[] {
    return readLog(this.place)
      .filter((line) => line.level === level)
      .map(({ msg }) => msg);
  }

  async terminate(): Promise<number | null | undefined> {
    return (await this.rivulet.terminate(END_TIMEOUT_MS))?.code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.application.kill(), this.rivulet.kill()]);
    const surprises = [...this.application.surprises, ...this.rivulet.surprises];
    rmSync(this.place.folder, { recursive: true, force: true });
    assert.deepEqual(surprises, []);
  }
}
