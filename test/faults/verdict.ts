/** What must hold of every copy that a trial restores. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { assertPrefix, assertSame, type Copy, judgeCopy, objectTimes, removeDatabase } from './checks.ts';
import type { TrialPlan } from './plan.ts';
import { Random } from './random.ts';
import { type CommandResult, type Place, readLog, restore, restoreWithLitestream } from './rivulet.ts';

/** Points in time that are restored from each replica. */
const MOMENTS = 3;

export class Verdict {
  readonly #plan: TrialPlan;
  readonly #place: Place;
  restores = 0;
  /** Restores that honestly had nothing to restore. */
  unavailable = 0;

  constructor(plan: TrialPlan, place: Place) {
    this.#plan = plan;
    this.#place = place;
  }

  async check(replica: string): Promise<void> {
    const source = this.#place.databasePath;
    judgeCopy(source, 'the source itself');
    const isComplete = this.#plan.ending !== 'killed-when-busy';
    const path = join(this.#place.folder, 'latest.db');
    // An application that is killed at once may leave an empty file, which is no database yet.
    const mayBeEmpty = !isComplete || statSync(source).size === 0;
    const options = { replica, title: `latest of ${replica}`, keepAt: path, mayBeEmpty };
    const latest = await this.copy(options);
    if (latest === undefined) return;
    assertPrefix(source, latest, options.title);
    if (isComplete) assertSame(source, path, options.title);
    removeDatabase(path);
    await this.#checkMoments(replica);
    if (this.#plan.withLitestream) await this.#checkLitestream(replica, isComplete);
  }

  async #checkMoments(replica: string): Promise<void> {
    const random = new Random(this.#plan.seed + 1);
    const times = objectTimes(this.#place.replicaPath(replica));
    const first = times[0]?.timeMs ?? 0;
    const last = times.at(-1)?.timeMs ?? 0;
    const moments = Array.from({ length: MOMENTS }, () => first + random.next() * (last - first));
    let previous: Copy = { seq: 0, digest: '' };
    for (const timeMs of moments.sort((a, b) => a - b)) {
      const title = `${replica} at ${new Date(timeMs).toISOString()}`;
      const copy = await this.copy({ replica, title, timeMs });
      if (copy === undefined) continue;
      assertPrefix(this.#place.databasePath, copy, title);
      if (copy.seq < previous.seq) throw new Error(`${title} holds less than an earlier moment`);
      previous = copy;
    }
  }

  async #checkLitestream(replica: string, isComplete: boolean): Promise<void> {
    const path = join(this.#place.folder, 'litestream.db');
    const title = `latest of ${replica}, restored by litestream,`;
    const result = await restoreWithLitestream(this.#place, { replica, outputPath: path });
    this.restores++;
    if (result.code !== 0) throw restoreFailed(title, result);
    assertPrefix(this.#place.databasePath, judgeCopy(path, title), title);
    if (isComplete) assertSame(this.#place.databasePath, path, title);
    removeDatabase(path);
  }

  /** Restores and judges. Undefined when there was honestly nothing to be had. */
  async copy(options: {
    replica: string;
    title: string;
    timeMs?: number;
    keepAt?: string;
    mayBeEmpty?: boolean;
  }): Promise<Copy | undefined> {
    const { replica, title, timeMs, keepAt, mayBeEmpty } = options;
    const outputPath = keepAt ?? join(this.#place.folder, 'copy.db');
    const result = await restore(this.#place, {
      replica,
      outputPath,
      ...(timeMs === undefined ? {} : { timeMs }),
    });
    this.restores++;
    if (result.code !== 0) {
      const code = errorCodeOf(result);
      const isHonest =
        (code === 'REPLICA_EMPTY' && mayBeEmpty === true) ||
        (code === 'TARGET_UNAVAILABLE' && timeMs !== undefined && this.#mayBeUnavailable(replica, timeMs)) ||
        // Killed while it removed what is older than the window: the snapshots go first, segments may be left.
        (code === 'CHAIN_BROKEN' && timeMs !== undefined && this.#isBeforeWindow(replica, timeMs));
      if (!isHonest) throw restoreFailed(title, result);
      if (existsSync(outputPath)) throw new Error(`${title}: a failed restore left ${outputPath}`);
      this.unavailable++;
      return undefined;
    }
    const copy = judgeCopy(outputPath, title);
    if (keepAt === undefined) removeDatabase(outputPath);
    return copy;
  }

  /** Before the first snapshot there is nothing; what lies before the window of retention may be gone. */
  #mayBeUnavailable(replica: string, timeMs: number): boolean {
    const first = readLog(this.#place).find(
      (line) => line.msg === 'snapshot written' && line['replica'] === replica,
    );
    const firstMs = first === undefined ? Number.POSITIVE_INFINITY : Date.parse(String(first['time']));
    return timeMs < firstMs || this.#isBeforeWindow(replica, timeMs);
  }

  #isBeforeWindow(replica: string, timeMs: number): boolean {
    const lastMs = objectTimes(this.#place.replicaPath(replica)).at(-1)?.timeMs ?? 0;
    return timeMs < lastMs - this.#plan.replication.retentionMs;
  }
}

export function errorCodeOf({ errors }: CommandResult): string | undefined {
  return /"code":\s*"([A-Z_]+)"/.exec(errors)?.[1];
}

export function restoreFailed(title: string, { code, signal, output, errors }: CommandResult): Error {
  return new Error(`${title}: restore ended with ${code ?? signal}: ${output}${errors}`);
}
