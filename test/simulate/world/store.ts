/**
 * A store behind a network: slow, failing, forgetful, with late and doubled requests, a clock of its own and, if so
 * wished, listings that lag behind. What a client was told and what the store holds can differ in every way that real ones do.
 */
import { RivuletError } from '../../../src/base/errors.ts';
import type {
  CallOptions,
  Conditions,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
  VersionedObject,
  WriteOptions,
  WrittenObject,
} from '../../../src/storage/object-store.ts';
import { objectExists, objectNotFound, storageFailed } from '../../../src/storage/storage-error.ts';
import type { Random } from '../../faults/random.ts';
import type { SimProcess } from './process.ts';
import { type Held, StillStore } from './still-store.ts';
import type { SimTime } from './time.ts';

/** As long as a request without an answer is waited for. */
const TIMEOUT_MS = 20_000;

/** How the store and the way to it behave; may change at any moment. */
export interface Manners {
  latencyMs: number;
  /** Share of the calls that fail before they reach the store. */
  failing: number;
  /** Share of the calls whose effect happens but whose answer is lost. */
  forgetful: number;
  /** Share of the calls that never get an answer. */
  hanging: number;
  /** Share of the writes that arrive once more, later. */
  doubled: number;
  /** Nothing gets through. */
  isAway: boolean;
  /** How far listings lag behind. */
  listingLagMs: number;
  /** The store's clock against the true time. */
  skewMs: number;
}

export const GOOD_MANNERS: Manners = {
  latencyMs: 5,
  failing: 0,
  forgetful: 0,
  hanging: 0,
  doubled: 0,
  isAway: false,
  listingLagMs: 0,
  skewMs: 0,
};

export class SimServer {
  readonly manners: Manners;
  readonly conditions: Conditions;
  readonly #random: Random;
  readonly #time: SimTime;
  readonly #objects = new Map<string, Held>();
  /** What changed lately, for listings that lag. */
  readonly #removed = new Map<string, { readonly held: Held; readonly atMs: number }>();
  #versions = 0;
  #revision = 0;
  /** Requests of clients that are gone, or have given up, never arrive. */
  readonly forgetsAbandoned: boolean;
  /** Somebody has changed or removed objects behind everybody's back. */
  isTampered = false;
  /** When each generation got its snapshots, that which got one last behind the others. */
  readonly #snapshotTimes = new Map<string, readonly number[]>();
  readonly #snapshotNames = new Set<string>();
  /** Requests that arrived, by kind. */
  readonly requests = { list: 0, read: 0, write: 0, remove: 0 };

  constructor(
    random: Random,
    time: SimTime,
    conditions: Conditions,
    manners: Partial<Manners> = {},
    forgetsAbandoned = false,
  ) {
    this.forgetsAbandoned = forgetsAbandoned;
    this.#random = random;
    this.#time = time;
    this.conditions = conditions;
    this.manners = { ...GOOD_MANNERS, ...manners };
  }

  get clockMs(): number {
    return this.#time.wallMs + this.manners.skewMs;
  }

  /** What it holds at this moment, for a judge who is not part of the world. */
  copy(): StillStore {
    return new StillStore(new Map(this.#objects), this.conditions);
  }

  /** Time between the last two snapshots of the generation that got one last; infinite for its first. */
  snapshotGapMs(): number {
    const [last = 0, before = Number.NEGATIVE_INFINITY] =
      [...this.#snapshotTimes.values()].at(-1)?.toReversed() ?? [];
    return last - before;
  }

  /** A repeated upload of the same snapshot is no other one. */
  #noteSnapshot(key: string): void {
    const [generation = '', name] = key.split('/snapshots/');
    if (name === undefined || this.#snapshotNames.has(key)) return;
    this.#snapshotNames.add(key);
    const times = this.#snapshotTimes.get(generation) ?? [];
    this.#snapshotTimes.delete(generation);
    this.#snapshotTimes.set(generation, [...times, this.#time.elapsedMs]);
  }

  /** Counts whatever changed. */
  get revision(): number {
    return this.#revision;
  }

  keys(): string[] {
    return [...this.#objects.keys()].sort();
  }

  /** Does to an object what no client asked for. */
  tamper(key: string, change: (bytes: Uint8Array) => Uint8Array | undefined): void {
    const held = this.#objects.get(key);
    if (held === undefined) return;
    this.isTampered = true;
    this.#revision++;
    const bytes = change(held.bytes.slice());
    if (bytes === undefined) this.#objects.delete(key);
    else this.#objects.set(key, { ...held, bytes });
  }

  client(process: SimProcess): ObjectStore {
    return new SimClient(this, process, this.#random, this.#time);
  }

  // ---- what the server does when a request arrives ---------------------------------------------------------------

  put(key: string, bytes: Uint8Array, onlyIf: WriteOptions['onlyIf']): WrittenObject {
    this.requests.write++;
    const present = this.#objects.get(key);
    const isWanted =
      onlyIf === undefined ||
      (onlyIf === 'absent' ? present === undefined : present?.version === onlyIf.version);
    if (!isWanted && this.conditions !== 'none') throw objectExists('sim:', key);
    const held = { bytes: bytes.slice(), timeMs: this.clockMs, version: `v${++this.#versions}` };
    this.#objects.set(key, held);
    this.#revision++;
    this.#noteSnapshot(key);
    return { ...infoOf(key, held), version: held.version };
  }

  get(key: string): Held {
    this.requests.read++;
    const held = this.#objects.get(key);
    if (held === undefined) throw objectNotFound('sim:', key);
    return held;
  }

  delete(keys: readonly string[]): void {
    this.requests.remove += keys.length;
    this.#revision++;
    for (const key of keys) {
      const held = this.#objects.get(key);
      if (held !== undefined) this.#removed.set(key, { held, atMs: this.#time.wallMs });
      this.#objects.delete(key);
    }
  }

  list(prefix: string): ObjectInfo[] {
    this.requests.list++;
    const lagMs = this.manners.listingLagMs;
    const sinceMs = this.#time.wallMs - lagMs;
    const found: ObjectInfo[] = [];
    for (const [key, held] of this.#objects) {
      if (!key.startsWith(prefix)) continue;
      const isNew = lagMs > 0 && held.timeMs - this.manners.skewMs > sinceMs;
      if (!isNew || this.#random.chance(0.5)) found.push(infoOf(key, held));
    }
    for (const [key, { held, atMs }] of this.#removed) {
      if (lagMs === 0 || atMs < sinceMs) this.#removed.delete(key);
      else if (key.startsWith(prefix) && !this.#objects.has(key) && this.#random.chance(0.5))
        found.push(infoOf(key, held));
    }
    // No order that anybody could rely on.
    return found.sort(() => this.#random.next() - 0.5);
  }
}

function infoOf(key: string, { bytes, timeMs }: Held): ObjectInfo {
  return { key, sizeBytes: bytes.length, modifiedAt: new Date(timeMs) };
}

class SimClient implements ObjectStore {
  readonly type = 'sim';
  readonly location = 'sim:';
  readonly conditions: Conditions;
  readonly timeStepMs = 1;
  readonly #server: SimServer;
  readonly #process: SimProcess;
  readonly #random: Random;
  readonly #time: SimTime;

  constructor(server: SimServer, process: SimProcess, random: Random, time: SimTime) {
    this.#server = server;
    this.#process = process;
    this.#random = random;
    this.#time = time;
    this.conditions = server.conditions;
  }

  async *list(prefix: string, options: CallOptions = {}): AsyncGenerator<ObjectInfo> {
    yield* await this.#request(options.signal, () => this.#server.list(prefix));
  }

  async listFolders(prefix: string, options: CallOptions = {}): Promise<string[]> {
    const found = await this.#request(options.signal, () => this.#server.list(prefix));
    const parts = found.map(({ key }) => key.slice(prefix.length).split('/'));
    return [...new Set(parts.filter(({ length }) => length > 1).map(([name]) => name as string))];
  }

  async *read(key: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array> {
    const { offsetBytes = 0, lengthBytes = Number.POSITIVE_INFINITY } = options;
    const { bytes } = await this.#request(options.signal, () => this.#server.get(key));
    const wanted = bytes.slice(offsetBytes, offsetBytes + lengthBytes);
    if (this.#random.chance(this.#server.manners.failing)) {
      yield wanted.subarray(0, this.#random.int(0, wanted.length));
      throw lost('the body broke off');
    }
    yield wanted;
  }

  async readBytes(key: string, options: CallOptions = {}): Promise<Uint8Array> {
    const { bytes } = await this.#request(options.signal, () => this.#server.get(key));
    return bytes.slice();
  }

  async readVersioned(key: string, options: CallOptions = {}): Promise<VersionedObject> {
    const { bytes, version, timeMs } = await this.#request(options.signal, () => this.#server.get(key));
    const isKnown = this.conditions === 'compare-and-swap';
    return { bytes: bytes.slice(), version: isKnown ? version : undefined, modifiedAt: new Date(timeMs) };
  }

  async write(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: WriteOptions = {},
  ): Promise<WrittenObject> {
    const bytes = body instanceof Uint8Array ? body.slice() : await this.#gather(body);
    const put = (): WrittenObject => this.#server.put(key, bytes, options.onlyIf);
    if (this.#random.chance(this.#server.manners.doubled)) this.#again(put);
    return this.#request(options.signal, put);
  }

  /** A body takes its time: others work meanwhile, and the process may die. */
  async #gather(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) {
      chunks.push(chunk.slice());
      await this.#wait(this.#random.int(0, this.#server.manners.latencyMs), undefined);
    }
    return Buffer.concat(chunks);
  }

  async remove(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    await this.#request(options.signal, () => this.#server.delete(keys));
  }

  async close(): Promise<void> {
    // Nothing is held between calls.
  }

  /** The way there, the effect, the way back; each may go wrong. A frozen or dead client's request still arrives. */
  async #request<T>(signal: AbortSignal | undefined, effect: () => T): Promise<T> {
    await this.#process.callOrNever('send a request');
    signal?.throwIfAborted();
    const { manners } = this.#server;
    const thereMs = this.#latency();
    if (manners.isAway || this.#random.chance(manners.failing)) {
      await this.#wait(thereMs, signal);
      throw lost('the way to the store is cut');
    }
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const isHanging = this.#random.chance(manners.hanging);
    const isLost = this.#random.chance(manners.forgetful);
    this.#time.after(thereMs, () => {
      if (this.#server.forgetsAbandoned && (this.#process.isDead || signal?.aborted === true)) return;
      const outcome = attempt(effect);
      // Whoever speaks to a real store gives up one day.
      const backMs = isHanging ? TIMEOUT_MS : this.#latency();
      this.#time.after(backMs, () =>
        this.#process.deliver(() => {
          if (isHanging) reject(lost('no answer came in time'));
          else if (isLost) reject(lost('the answer was lost'));
          else if (outcome.ok) resolve(outcome.value);
          else reject(outcome.error);
        }),
      );
    });
    return this.#unlessAborted(promise, signal);
  }

  async #unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    if (signal === undefined) return promise;
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      return await Promise.race([promise, aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
      promise.catch(() => undefined);
    }
  }

  #latency(): number {
    const { latencyMs } = this.#server.manners;
    return this.#random.chance(0.05) ? latencyMs * this.#random.int(2, 40) : this.#random.next() * latencyMs;
  }

  #again(put: () => unknown): void {
    this.#time.after(this.#random.int(1, 5_000), () => void attempt(put));
  }

  async #wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    await this.#process.callOrNever('wait');
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#time.after(ms, () => this.#process.deliver(resolve));
    await this.#unlessAborted(promise, signal);
  }
}

function lost(why: string): RivuletError {
  return storageFailed(`sim: ${why}`, { retry: true });
}

type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };

function attempt<T>(effect: () => T): Outcome<T> {
  try {
    return { ok: true, value: effect() };
  } catch (error) {
    return { ok: false, error };
  }
}
