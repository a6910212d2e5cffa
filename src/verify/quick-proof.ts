/**
 * The proof that goes on where the last one ended: every object that is new at the destination is fetched back and checked
 * as a restore would, without anything being written. What was proven before is known again by its listing.
 *
 *     listing -> plan (pure) -> fetch -> the applier of a restore, which keeps no pages -> how far it is proven now
 */
import type { Clock } from '../base/clock.ts';
import { isRivuletError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { isEndContent, PROMISE_BYTES_MAX } from '../generations/ends.ts';
import {
  type EndEntry,
  type GenerationInventory,
  generationOf,
  type Inventory,
  readInventory,
  type SnapshotEntry,
} from '../generations/inventory.ts';
import {
  comparePositions,
  formatPosition,
  type Generation,
  type Position,
  segmentKey,
  snapshotKey,
} from '../generations/names.ts';
import { withEndings } from '../generations/superseded.ts';
import { applySegments } from '../restore/apply-segments.ts';
import { ChainApplier, type ChainPlace } from '../restore/chain-applier.ts';
import { ChainFault, SnapshotFault } from '../restore/faults.ts';
import { type LoadedSnapshot, loadSnapshot, peekSnapshot } from '../restore/load-snapshot.ts';
import { NoPages } from '../restore/page-sink.ts';
import { isThere } from '../storage/is-there.ts';
import { listingBehind } from '../storage/listing-behind.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { damageOf, emptied, type Fault, faultOf } from './damage.ts';
import { extendDigests, type LogDigest } from './log-digest.ts';
import { type Look, untilCertain } from './looking-again.ts';
import { planQuick, type QuickPlan, type Run } from './plan-quick.ts';
import { type Broken, type Inconclusive, leavesOpen, type Proof, type Proven } from './proof.ts';
import { knownOf, type ProvenChain, reachOf } from './proven-chain.ts';
import { sizedStore } from './sized-store.ts';
import { findUnlisted } from '../generations/unlisted.ts';

/** Objects fetched at a time: a proof has time, and what is shipped meanwhile goes first. */
const PARALLELISM = 4;

export interface QuickParts {
  readonly store: ObjectStore;
  readonly generation: Generation;
  /** What is proven already; of another generation it is not looked at. */
  readonly known: ProvenChain | undefined;
  /** What the destination is known to hold, as of now; undefined when nobody here stored anything. */
  readonly stored: Position | undefined;
  /** The newest snapshot that the destination is known to hold. */
  readonly storedSnapshotIndex: number | undefined;
  /** Where the last segment begins that the destination is known to hold. */
  readonly storedSegment: Position | undefined;
  /** Length of the window that stays; 0 keeps everything. */
  readonly retentionMs: number;
  /** The latest that it may be by the times of objects, in milliseconds since 1970: what is older than the window then may be gone. */
  readonly latestMs: number;
  /** Snapshots that are larger than this (stored bytes) are not read back whole; 0: all are. */
  readonly snapshotBytesMax: number;
  /** Whether a listing tells the size of what a read gives: not where it is encrypted. */
  readonly hasExactSizes: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal?: AbortSignal | undefined;
}

export interface QuickProof {
  readonly proof: Proof;
  /** What is proven now; what was proven before, when nothing could be added. */
  readonly chain: ProvenChain | undefined;
  /** An object that was stored and is there, and that the listing lacks: the proof ends before it. */
  readonly unlistedKey: string | undefined;
}

/** @throws what is neither the replica's nor the destination's doing, `CANCELLED` among it */
export async function proveQuickly(parts: QuickParts): Promise<QuickProof> {
  const prover = new QuickProver(parts);
  try {
    const proof = await untilCertain(async () => prover.look(), parts);
    return { proof, chain: prover.chain, unlistedKey: prover.unlistedKey };
  } catch (error) {
    if (parts.signal?.aborted === true || !leavesOpen(error)) throw error;
    const { chain, unlistedKey } = prover;
    return { proof: { outcome: 'inconclusive', error }, chain, unlistedKey };
  }
}

class QuickProver {
  readonly #parts: QuickParts;
  readonly #store: ObjectStore;
  readonly #signal: AbortSignal;
  readonly #startedMs: number;
  /** Salts of the logs that were passed: what a snapshot says of its log must be the same. */
  readonly #salts = new Map<number, readonly [number, number]>();
  #chain: ProvenChain | undefined;
  #unlistedKey: string | undefined;
  #objects = 0;
  #bytes = 0;

  constructor(parts: QuickParts) {
    this.#parts = parts;
    this.#store = parts.hasExactSizes ? sizedStore(parts.store) : parts.store;
    this.#signal = parts.signal ?? new AbortController().signal;
    this.#startedMs = parts.clock.monotonicMs();
    this.#chain = parts.known?.generation === parts.generation ? parts.known : undefined;
  }

  get chain(): ProvenChain | undefined {
    return this.#chain;
  }

  get unlistedKey(): string | undefined {
    return this.#unlistedKey;
  }

  /** What a listing lacks is missing only when it is not there by its name either. */
  async look(): Promise<Look<Proven | Inconclusive>> {
    const { generation, store, retentionMs, latestMs } = this.#parts;
    const inventory = await readInventory(store, { generation, signal: this.#signal });
    const held = generationOf(inventory, generation);
    this.#unlistedKey = await this.#findUnlisted(held);
    if (held === undefined) {
      if (this.#unlistedKey !== undefined) return { inventory, proof: this.#behind(this.#unlistedKey) };
      return { inventory, proof: { outcome: 'broken', damage: emptied(generation, store.location) } };
    }
    const { plan, missing } = planQuick(held, this.#chain, {
      retentionMs,
      nowMs: latestMs,
      snapshotIndex: this.#parts.storedSnapshotIndex,
    });
    if (plan === undefined) return { inventory, proof: await this.#judged(held, missing) };
    // What such a listing shows to have changed may be as it was: nothing is read again for it.
    const isReadAgain = this.#chain !== undefined && plan.runs[0]?.base !== undefined;
    if (this.#unlistedKey !== undefined && isReadAgain)
      return { inventory, proof: this.#behind(this.#unlistedKey) };
    try {
      const chain = await this.#follow(held, plan);
      this.#chain = chain;
      return { inventory, proof: this.#proven(chain) };
    } catch (error) {
      const fault = faultOf(error);
      if (fault === undefined) throw error;
      return { inventory, proof: await this.#judged(held, fault) };
    }
  }

  /** The first of the newest objects that were stored which is there, and which a listing lacks. */
  async #findUnlisted(held: GenerationInventory | undefined): Promise<string | undefined> {
    const { store, generation, storedSnapshotIndex, storedSegment } = this.#parts;
    const stored = { generation, snapshotIndex: storedSnapshotIndex, lastSegment: storedSegment };
    return findUnlisted(store, held, stored, { signal: this.#signal });
  }

  /** What is wrong with an object that is listed is damage; one that is not listed may be there all the same. */
  async #judged(held: GenerationInventory, fault: Fault): Promise<Broken | Inconclusive> {
    if (isListed(held, fault.key)) return this.#broken(fault);
    if (this.#unlistedKey !== undefined) return this.#behind(this.#unlistedKey);
    const { store } = this.#parts;
    if (!(await isThere(store, fault.key, { signal: this.#signal }))) return this.#broken(fault);
    return this.#behind(fault.key);
  }

  #behind(key: string): Inconclusive {
    return { outcome: 'inconclusive', error: listingBehind(this.#parts.store.location, key) };
  }

  #proven(chain: ProvenChain): Proven {
    return {
      outcome: 'proven',
      generation: chain.generation,
      position: reachOf(chain),
      untilMs: chain.untilMs,
      unproven: this.#leftOut(chain),
      wasChecked: false,
      checkLeftOut: [],
      objects: this.#objects,
      bytes: this.#bytes,
      elapsedMs: this.#parts.clock.monotonicMs() - this.#startedMs,
    };
  }

  /** A snapshot that may not be fetched back, and that a restore of the newest state begins with. */
  #leftOut({ generation, snapshots }: ProvenChain): readonly string[] {
    const { snapshotBytesMax } = this.#parts;
    const newest = snapshots.at(-1);
    if (newest === undefined || snapshotBytesMax === 0 || newest.sizeBytes <= snapshotBytesMax) return [];
    const key = snapshotKey(generation, newest.index);
    return [`${key} was not read, as it is larger than \`max-size\``];
  }

  /** What else can be restored is looked for in all generations: this is rare. */
  async #broken(fault: Fault): Promise<Broken> {
    const { store, generation } = this.#parts;
    const options = { signal: this.#signal };
    const inventory: Inventory = await withEndings(await readInventory(store, options), store, options);
    return { outcome: 'broken', damage: damageOf(inventory, generation, fault) };
  }

  async #follow(held: GenerationInventory, plan: QuickPlan): Promise<ProvenChain> {
    let chain: ProvenChain | undefined = this.#chain;
    for (const run of plan.runs) chain = await this.#followRun(held, chain, run);
    if (chain === undefined) throw new Error('a plan without a run');
    await this.#checkReach(held, chain);
    for (const snapshot of plan.snapshots) await this.#checkSnapshot(snapshot, chain);
    const still = held.snapshots.filter(({ index }) => this.#isProven(index, chain, plan));
    const oldest = held.snapshots[0]?.index ?? 0;
    return {
      ...chain,
      snapshots: still.map(knownOf),
      logs: chain.logs.filter(({ index }) => index >= oldest),
      untilMs: plan.snapshots.reduce((ms, { createdAt }) => Math.max(ms, createdAt), chain.untilMs),
    };
  }

  #isProven(index: number, chain: ProvenChain, { runs, snapshots }: QuickPlan): boolean {
    return (
      chain.snapshots.some((one) => one.index === index) ||
      runs.some(({ base }) => base?.index === index) ||
      snapshots.some((one) => one.index === index)
    );
  }

  async #followRun(
    held: GenerationInventory,
    known: ProvenChain | undefined,
    run: Run,
  ): Promise<ProvenChain> {
    const begun = run.base === undefined ? undefined : await this.#begin(held.generation, run.base);
    const from = begun ?? known;
    if (from === undefined) throw new Error('a run without a beginning');
    const { base } = from;
    const place = await this.#followSegments(
      held.generation,
      base,
      run,
      begun === undefined ? from.place : undefined,
    );
    checkBaseReached(held.generation, base, place);
    const logs = logsBefore(known?.logs ?? [], begun === undefined ? undefined : base.entry.index);
    return {
      generation: held.generation,
      base,
      place,
      snapshots: known?.snapshots ?? [],
      logs: extendDigests(logs, run.segments),
      untilMs: Math.max(
        begun === undefined ? from.untilMs : base.entry.createdAt,
        run.segments.at(-1)?.createdAt ?? 0,
      ),
    };
  }

  async #begin(
    generation: Generation,
    entry: SnapshotEntry,
  ): Promise<{ base: LoadedSnapshot; place: ChainPlace; untilMs: number }> {
    const base = await this.#readSnapshot(generation, entry);
    const place = { index: entry.index, chain: undefined, previous: undefined, committed: undefined };
    return { base, place, untilMs: entry.createdAt };
  }

  async #followSegments(
    generation: Generation,
    base: LoadedSnapshot,
    { segments }: Run,
    from: ChainPlace | undefined,
  ): Promise<ChainPlace> {
    const pages = new NoPages(base.pageSizeBytes, base.pageCount);
    using applier = new ChainApplier({ generation, until: undefined }, base, pages, from);
    const note = (): void => {
      const { chain, index } = applier.place;
      if (chain !== undefined) this.#salts.set(index, [chain.header.salt1, chain.header.salt2]);
    };
    note();
    await applySegments(applier, segments, {
      store: this.#store,
      parallelism: PARALLELISM,
      signal: this.#signal,
      onSegment: ({ sizeBytes }) => {
        this.#count(sizeBytes);
        note();
      },
    });
    return applier.place;
  }

  /** Read whole, unless it is larger than may be fetched: then its beginning says what it is. */
  async #readSnapshot(generation: Generation, entry: SnapshotEntry): Promise<LoadedSnapshot> {
    const { snapshotBytesMax } = this.#parts;
    if (snapshotBytesMax > 0 && entry.sizeBytes > snapshotBytesMax) {
      return peekSnapshot(this.#parts.store, generation, entry, this.#signal);
    }
    const loaded = await loadSnapshot(this.#store, generation, entry, {
      output: undefined,
      signal: this.#signal,
      onBytes: () => undefined,
    });
    this.#count(entry.sizeBytes);
    return loaded;
  }

  async #checkSnapshot(entry: SnapshotEntry, chain: ProvenChain): Promise<void> {
    const { annotation } = await this.#readSnapshot(chain.generation, entry);
    const salts = this.#salts.get(entry.index);
    const own = annotation?.salts;
    if (own !== undefined && salts !== undefined && (own[0] !== salts[0] || own[1] !== salts[1])) {
      throw new SnapshotFault(entry.key, `${entry.key} does not belong there: it was made with another log`);
    }
    if (annotation === undefined) return;
    // Of a log that held nothing but its header there is no object: the one before leads there.
    const stands =
      own === undefined
        ? { index: entry.index - 1, offsetBytes: 0 }
        : { index: entry.index, offsetBytes: annotation.offsetBytes };
    if (comparePositions(reachOf(chain), stands) < 0) throw tooShort(chain, stands, entry.key);
  }

  /** The chain must get as far as was stored, and as a promise says. */
  async #checkReach(held: GenerationInventory, chain: ProvenChain): Promise<void> {
    const reached = reachOf(chain);
    // Beyond what is listed nothing can be proven yet.
    if (this.#unlistedKey !== undefined) return;
    const { stored } = this.#parts;
    if (stored !== undefined && comparePositions(reached, stored) < 0) {
      throw tooShort(chain, stored, undefined);
    }
    const promise = held.ends.at(-1);
    if (promise === undefined || comparePositions(reached, promise) >= 0) return;
    const content = await this.#readPromise(promise);
    if (content !== undefined && isEndContent(content, promise)) throw tooShort(chain, promise, promise.key);
  }

  async #readPromise({ key, sizeBytes }: EndEntry): Promise<Uint8Array | undefined> {
    const sizeHintBytes = Math.min(sizeBytes, PROMISE_BYTES_MAX);
    try {
      return await this.#parts.store.readBytes(key, { signal: this.#signal, sizeHintBytes });
    } catch (error) {
      // One that cannot be read promises nothing.
      if (isRivuletError(error, 'STORAGE_NOT_FOUND', 'AGE_INVALID', 'REPLICA_INVALID')) return undefined;
      throw error;
    }
  }

  #count(bytes: number): void {
    this.#objects += 1;
    this.#bytes += bytes;
  }
}

/** Logs from a run's beginning on are counted anew; what came before stays as it was known. */
function logsBefore(logs: readonly LogDigest[], index: number | undefined): readonly LogDigest[] {
  return index === undefined ? logs : logs.filter((log) => log.index < index);
}

/** Whoever restores from a snapshot needs its log at least up to where it stands. */
function checkBaseReached(generation: Generation, base: LoadedSnapshot, place: ChainPlace): void {
  const { annotation, entry } = base;
  if (annotation === undefined || place.chain === undefined) return;
  const stands = { index: entry.index, offsetBytes: annotation.offsetBytes };
  const reached = { index: place.index, offsetBytes: place.chain.offsetBytes };
  if (comparePositions(reached, stands) < 0) throw missingAt(generation, reached, stands, entry.key);
}

function isListed({ snapshots, segments, ends }: GenerationInventory, key: string): boolean {
  return [snapshots, segments, ends].some((objects) => objects.some((one) => one.key === key));
}

function tooShort(chain: ProvenChain, wanted: Position, claimantKey: string | undefined): ChainFault {
  const { place } = chain;
  const reached = { index: place.index, offsetBytes: place.chain?.offsetBytes ?? 0 };
  return missingAt(chain.generation, reached, wanted, claimantKey);
}

function missingAt(
  generation: Generation,
  reached: Position,
  wanted: Position,
  claimantKey: string | undefined,
): ChainFault {
  const missing = segmentKey(generation, reached);
  const why = claimantKey === undefined ? 'was stored' : `exists, as ${claimantKey} says`;
  const problem = `${missing} is missing: the chain ends at ${formatPosition(reached)}, and everything up to ${formatPosition(wanted)} ${why}`;
  return new ChainFault(missing, reached, problem, claimantKey === undefined ? {} : { claimantKey });
}
