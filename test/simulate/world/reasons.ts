/** Why a full snapshot may be taken. One that nobody can give a reason for costs money and hides a mistake. */
import type { SimReplicaSettings } from './rivulet.ts';

/** Beginnings of the log lines after which a destination gets a fresh snapshot. */
const SAID = [
  'the destination has a gap after its newest snapshot',
  "what follows the destination's last segment is not at hand",
  "the destination's last segment is damaged",
  'the chain to this destination is broken; it gets a fresh snapshot',
  'the lease is lost',
  'somebody has removed the lease',
] as const;

/** Times of objects are the store's, and a snapshot takes its time. */
const SLACK_MS = 2_000;

export class Reasons {
  /** What was said last, by machine and destination. */
  readonly #said = new Map<string, string>();
  /** Generations begun, by machine; and how many snapshots each destination got for one. */
  readonly #begun = new Map<string, number>();
  readonly #known = new Map<string, number>();

  generation(host: string): void {
    this.#begun.set(host, (this.#begun.get(host) ?? 0) + 1);
  }

  said(host: string, destination: string | undefined, message: string): void {
    if (destination !== undefined && SAID.some((one) => message.startsWith(one)))
      this.#said.set(`${host} ${destination}`, message);
  }

  /** Answers the reason for the snapshot that was just taken; undefined when there is none. */
  snapshot(
    host: string,
    destination: string,
    settings: SimReplicaSettings,
    /** Since the snapshot before it of the same generation was stored; undefined when times say little. */
    sinceMs: number | undefined,
  ): string | undefined {
    const key = `${host} ${destination}`;
    const begun = this.#begun.get(host) ?? 0;
    const known = this.#known.get(key) ?? 0;
    const isNew = begun > known;
    const said = this.#said.get(key);
    // One each: the snapshot of a generation may still be on its way when the next one begins.
    if (isNew) this.#known.set(key, known + 1);
    // Another one that was said to be needed may be on its way, too.
    if (isNew) return 'a new generation';
    this.#said.delete(key);
    if (said !== undefined) return said;
    const everyMs = settings.snapshotIntervalMs || settings.retentionMs;
    const isDue = everyMs > 0 && (sinceMs === undefined || sinceMs >= everyMs - SLACK_MS);
    return isDue ? 'the interval has passed' : undefined;
  }
}
