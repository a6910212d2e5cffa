/** Machines, destinations, and what must hold between them whatever befalls. */
import { messageOf } from '../../../src/base/errors.ts';
import { readInventory } from '../../../src/generations/inventory.ts';
import { endKey } from '../../../src/generations/ends.ts';
import { comparePositions, type Generation, type Position } from '../../../src/generations/names.ts';
import { decodeLease } from '../../../src/generations/lease-record.ts';
import { readEndings } from '../../../src/generations/superseded.ts';
import { SMALL_REST_BYTES } from '../../../src/primary/checkpoint-policy.ts';
import type { LeaseSettings } from '../../../src/replica/lease/lease.ts';
import type { Replica } from '../../../src/replica/replica.ts';
import type { Conditions } from '../../../src/storage/object-store.ts';
import { openRegister } from '../../../src/storage/open-register.ts';
import { Random } from '../../faults/random.ts';
import type { CommittedState, Past } from './application.ts';
import { Host, type HostSettings } from './host.ts';
import { type Bench, Judge, type Restored, saltsOf } from './judge.ts';
import { Reasons } from './reasons.ts';
import type { Destination, SimReplicaSettings } from './rivulet.ts';
import type { StillStore } from './still-store.ts';
import { GOOD_MANNERS, type Manners, SimServer } from './store.ts';
import { SimTime } from './time.ts';
import { Violation } from './violation.ts';

export interface DestinationSettings {
  readonly conditions: Conditions;
  readonly manners: Partial<Manners>;
  readonly replica: SimReplicaSettings;
  readonly lease: LeaseSettings | undefined;
}

/**
 * `tampered`: objects are damaged behind everybody's back. `late`: no lease, and requests that arrive after
 * they were given up. In both a restore gives a committed state or refuses, and nothing more can be asked.
 */
export type Profile = 'whole' | 'tampered' | 'late';

export interface WorldSettings {
  readonly seed: number;
  readonly profile: Profile;
  readonly host: HostSettings;
  /** A second machine that writes to the same place; `copy` is a clone of the first, made later. */
  readonly second: { readonly kind: 'own' | 'copy'; readonly skewMs: number } | undefined;
  readonly destinations: readonly DestinationSettings[];
}

/** Something that a destination confirmed, and what it stands for. */
interface Promised {
  readonly host: Host;
  readonly generation: Generation;
  readonly position: Position;
  /** The store's clock. */
  readonly storeMs: number;
  /** What it must restore to, noted while the log still was as it was; looked up when asked for until then. */
  expected?: { readonly transaction: number | undefined };
}

/** What was confirmed, restored and found to be this transaction. */
interface Known {
  readonly generation: Generation;
  readonly transaction: number;
  readonly storeMs: number;
}

/** One destination, with what its clients were told of it. */
export interface Place {
  readonly name: string;
  readonly server: SimServer;
  readonly settings: DestinationSettings;
  promised: Promised | undefined;
  known: Known[];
  /** The newest transaction that was known to restore, by generation. */
  readonly floors: Map<Generation, number>;
  checkedAt: string;
  /** The last note of what was confirmed that was looked at. */
  noted: string;
  latest: { readonly revision: number; readonly restored: Restored } | undefined;
}

/** How the engine begins when a proof has failed. */
const GONE_BACK = /^the database (?:has|may have) gone back/;
const DAMAGE_TOLD = 'the destination does not restore';
const CHAIN_BROKEN = 'the chain to this destination is broken';
const READ_ERROR = /\bE(?:IO|STALE|NOMEM|INTR|AGAIN|BUSY)\b/;
/** Beginnings of reasons for a new generation that say something about the bytes of the log or of the local state. */
const ABOUT_BYTES = [
  'the write-ahead log is shorter than it was',
  'the write-ahead log was overwritten',
  'the write-ahead log is gone',
  'the local state is damaged',
] as const;
/** Goes into the spool in one go. */
const PIECE_BYTES = 1024 * 1024;
/** Everything is well again: then it takes at most so long until all is caught up. */
const SETTLE_MS = 240_000;
const SETTLE_STEP_MS = 500;

export class World {
  readonly time: SimTime = new SimTime();
  readonly places: readonly Place[];
  readonly hosts: Host[] = [];
  readonly trace: string[] = [];
  readonly counts = {
    generations: 0,
    snapshots: 0,
    copies: 0,
    confirmed: 0,
    takeOvers: 0,
    proofs: 0,
    proofsOfDamage: 0,
    tampered: 0,
    walBytesMax: 0,
    spoolBytesMax: 0,
    settleMsMax: 0,
    lostRaces: 0,
    writeLocks: 0,
    writeLockMsMax: 0,
    lockedAtOnce: 0,
    busyCheckpoints: 0,
    checkpointMsMax: 0,
  };
  /** Whether any clock was set, so that times say little. */
  hasOddClocks: boolean;
  /** A destination seemed to hold less than it did. */
  hadStaleListings = false;
  readonly #settings: WorldSettings;
  readonly #judge: Judge;
  readonly #past: Past = { history: new Map(), inDoubt: new Map() };
  readonly #bugs: unknown[] = [];
  readonly #reasons: Reasons;

  constructor(settings: WorldSettings, bench: Bench) {
    this.#settings = settings;
    this.hasOddClocks = settings.host.skewMs !== 0 || (settings.second?.skewMs ?? 0) !== 0;
    this.#judge = new Judge(bench, (transaction) => this.#past.history.get(transaction));
    this.#reasons = new Reasons();
    this.places = settings.destinations.map((destination, i) => {
      const random = new Random(settings.seed * 7919 + 50 + i);
      const { conditions, manners } = destination;
      // Without a lease nothing keeps out what a dead process has sent: it may be newer than all that is right.
      const forgetsAbandoned = settings.profile !== 'late' && destination.lease === undefined;
      return {
        name: `store-${i}`,
        server: new SimServer(random, this.time, conditions, manners, forgetsAbandoned),
        settings: destination,
        promised: undefined,
        known: [],
        floors: new Map(),
        checkedAt: '',
        noted: '',
        latest: undefined,
      };
    });
  }

  get restores(): number {
    return this.#judge.count;
  }

  get kills(): number {
    return this.hosts.reduce((sum, { kills }) => sum + kills, 0);
  }

  get powerCuts(): number {
    return this.hosts.reduce((sum, { powerCuts }) => sum + powerCuts, 0);
  }

  get commits(): number {
    return this.#past.history.size;
  }

  note(what: string): void {
    this.trace.push(`${(this.time.elapsedMs / 1000).toFixed(3).padStart(9)}  ${what}`);
  }

  begin(): void {
    this.#addHost('a', 1, this.#settings.host.skewMs);
    const { second } = this.#settings;
    if (second?.kind === 'own') this.#addHost('b', 1_000_000, second.skewMs);
  }

  /** A copy of the first machine begins to run beside it. */
  cloneHost(): void {
    const { second } = this.#settings;
    if (second?.kind !== 'copy' || this.hosts.length > 1 || this.hosts[0]?.hasDatabase !== true) return;
    this.note('the machine is cloned');
    // It continues a generation of which it may be the first to send anything.
    this.#reasons.generation('b');
    this.#addHost('b', 1_000_000, second.skewMs, this.hosts[0]);
  }

  #addHost(name: string, firstTransaction: number, skewMs: number, original?: Host): void {
    const { host, seed } = this.#settings;
    const one = new Host(
      {
        name,
        seed,
        settings: { ...host, skewMs },
        time: this.time,
        destinations: this.#destinations(),
        past: this.#past,
        firstTransaction,
        note: (what) => this.note(what),
        tell: {
          confirmed: (at, destination, generation, position) =>
            this.#confirmed(at, destination, generation, position),
          generation: (at, generation, reason) => {
            this.counts.generations++;
            this.#reasons.generation(at.name);
            this.#generationBegun(at, reason);
            at.note(`rivulet begins generation ${generation}: ${reason}`);
          },
          snapshot: (at, destination) => this.#snapshot(at, destination),
          proof: (outcome) => {
            if (outcome === 'proven') this.counts.proofs++;
            if (outcome === 'broken') this.counts.proofsOfDamage++;
          },
          finished: (at, destination, generation, position) =>
            this.#finished(at, destination, generation, position),
          said: (at, destination, message, detail) => {
            if (message === 'this process is the writer of the replica now') this.counts.takeOvers++;
            this.#reasons.said(at.name, destination, message);
            this.#damageTold(message);
            this.#goneBackTold(at, message);
            this.#chainGivenUp(message, detail);
          },
          lostRace: () => void this.counts.lostRaces++,
          writeLock: (ms) => {
            this.counts.writeLocks++;
            this.counts.writeLockMsMax = Math.max(this.counts.writeLockMsMax, ms);
          },
          feels: {
            lockedAtOnce: () => void this.counts.lockedAtOnce++,
            checkpointed: (ms, busy) => {
              if (busy) this.counts.busyCheckpoints++;
              this.counts.checkpointMsMax = Math.max(this.counts.checkpointMsMax, ms);
            },
          },
          copied: () => void this.counts.copies++,
          bug: (error) => void this.#bugs.push(error),
        },
      },
      original,
    );
    this.hosts.push(one);
    one.startRivulet();
  }

  #destinations(): Destination[] {
    return this.places.map(({ name, server, settings }) => ({
      name,
      replica: settings.replica,
      lease: settings.lease,
      open: (process) => server.client(process),
    }));
  }

  // ---- what is told ------------------------------------------------------------------------------------------------

  #placeOf(destination: string): Place {
    return this.places.find(({ name }) => name === destination) as Place;
  }

  #confirmed(host: Host, destination: string, generation: Generation, position: Position): void {
    this.counts.confirmed++;
    const place = this.#placeOf(destination);
    place.promised = { host, generation, position, storeMs: place.server.clockMs };
  }

  #snapshot(host: Host, destination: string): void {
    this.counts.snapshots++;
    const { settings, server } = this.#placeOf(destination);
    const sinceMs = this.hasOddClocks ? undefined : server.snapshotGapMs();
    const why = this.#reasons.snapshot(host.name, destination, settings.replica, sinceMs);
    if (why === undefined && this.#settings.profile === 'whole' && !this.hadStaleListings)
      this.#bugs.push(new Violation(`a full snapshot at ${destination} without a reason`));
  }

  /** A proof tells of damage where there is some, and nowhere else. */
  #damageTold(message: string): void {
    if (this.#settings.profile === 'whole' && !this.hadStaleListings && message.startsWith(DAMAGE_TOLD))
      this.#bugs.push(new Violation(`damage that nobody has done: ${message}`));
  }

  /** Only a power cut takes commits away, and only another machine has other ones. */
  #goneBackTold(host: Host, message: string): void {
    if (host.powerCuts === 0 && this.hosts.length === 1 && GONE_BACK.test(message))
      this.#bugs.push(new Violation(`a database that only went on is said to have gone back: ${message}`));
  }

  /** Whoever could not read a log in this very moment knows nothing about what it holds. */
  #generationBegun(host: Host, reason: string): void {
    // A power cut, or damage to the local state, may really have taken something from the file.
    const isWhole = host.powerCuts === 0 && host.stateDamages === 0;
    const couldNotRead = host.disk.readFailedAtMs === this.time.wallMs && isWhole;
    if (couldNotRead && ABOUT_BYTES.some((one) => reason.startsWith(one)))
      this.#bugs.push(new Violation(`a generation is given up because of a read error: ${reason}`));
    // Nobody copies over a database in this world.
    if (reason.includes('overwritten while it was followed'))
      this.#bugs.push(new Violation(`a checkpoint counts as somebody else's writing: ${reason}`));
  }

  /** What cannot be read at the moment is there later. */
  #chainGivenUp(message: string, why: string): void {
    if (message.startsWith(CHAIN_BROKEN) && READ_ERROR.test(why))
      this.#bugs.push(new Violation(`a chain is given up because of a read error: ${why}`));
  }

  /** A clean end leaves a promise of how far the chain reaches, so that the loss of its last object is seen. */
  #finished(host: Host, destination: string, generation: Generation, position: Position): void {
    const place = this.#placeOf(destination);
    host.note(`${destination} has everything up to ${position.index}/${position.offsetBytes}`);
    if (position.offsetBytes === 0 || !this.#isWhole(place)) return;
    const keys = place.server.keys();
    // One that slept on its way out finds that another machine has let go of all that it wrote.
    if (this.hosts.length > 1 && !keys.some((key) => key.includes(generation))) return;
    if (!keys.includes(endKey(generation, position)))
      this.#bugs.push(new Violation(`${destination} ended cleanly without a promise of its end`));
  }

  /** The power was cut, or the database replaced: what was promised before says nothing about the newest state. */
  forgetPromises(host: Host): void {
    for (const place of this.places) {
      if (place.promised?.host === host) place.promised = undefined;
      place.floors.clear();
      place.known = [];
    }
  }

  powerCut(host: Host): void {
    // A log that loses its end goes on with the same salts: another transaction may end at the same place.
    for (const place of this.places) {
      const { promised, server } = place;
      if (promised?.host === host && this.#isWhole(place))
        promised.expected ??= expectedOf(promised, server.copy());
    }
    const before = host.current.transaction;
    const transaction = host.powerCut();
    if (transaction >= before) return;
    this.note(`transactions after ${transaction} did not survive`);
    this.forgetPromises(host);
  }

  // ---- what must hold ----------------------------------------------------------------------------------------------

  #isWhole(place: Place): boolean {
    return this.#settings.profile === 'whole' && !place.server.isTampered;
  }

  /** The world stands still meanwhile. @throws Violation */
  async check(): Promise<void> {
    const [bug] = this.#bugs;
    if (bug instanceof Violation) throw bug;
    if (bug !== undefined)
      throw new Violation(`an unexpected error: ${bug instanceof Error ? bug.stack : messageOf(bug)}`);
    this.#measure();
    for (const place of this.places) await this.#checkPlace(place);
    for (const host of this.hosts) await this.#checkState(host);
    for (const { name, leftCopies, rivulet } of this.hosts)
      if (rivulet?.primary !== undefined && leftCopies.length > 0)
        throw new Violation(`${name} has left ${leftCopies.join()}`);
  }

  /** What is written down here as confirmed is at the destination. */
  async #checkState(host: Host): Promise<void> {
    const state = host.localState();
    if (state === undefined) return;
    for (const [name, position] of state.confirmed) {
      const place = this.#placeOf(name);
      const { promised } = place;
      const { generation } = state;
      const isNoMore =
        promised?.host === host &&
        promised.generation === generation &&
        comparePositions(position, promised.position) <= 0;
      if (isNoMore || position.offsetBytes === 0 || !this.#isWhole(place)) continue;
      const noted = `${host.name} ${generation} ${position.index} ${position.offsetBytes}`;
      if (place.noted === noted) continue;
      const restored = await this.#judge.restore(place.server.copy(), { generation, ...position });
      // Another machine may have let go of it meanwhile, and so may the retention.
      if (restored.kind !== 'state' && this.hosts.length === 1 && place.settings.replica.retentionMs === 0)
        throw new Violation(`${name} is noted to have ${noted}, and has not: ${restored.why}`);
      place.noted = noted;
    }
  }

  #measure(): void {
    const { checkpoint, spoolLimitBytes } = this.#settings.host.primary;
    // A piece may begin below the limit, and is no longer than the log.
    const limitBytes = Math.max(spoolLimitBytes, checkpoint.smallRestBytes ?? SMALL_REST_BYTES);
    for (const { walBytes, rivulet } of this.hosts) {
      const { counts } = this;
      const spoolBytes = rivulet?.primary?.spoolBytes ?? 0;
      counts.walBytesMax = Math.max(counts.walBytesMax, walBytes);
      counts.spoolBytesMax = Math.max(counts.spoolBytesMax, spoolBytes);
      if (spoolBytes > limitBytes + PIECE_BYTES)
        throw new Violation(`the spool has ${spoolBytes} bytes, at a limit of ${limitBytes}`);
    }
  }

  async #checkPlace(place: Place): Promise<void> {
    const { promised, server } = place;
    const now = `${server.revision} ${promised?.position.index} ${promised?.position.offsetBytes}`;
    if (place.checkedAt === now) return;
    place.checkedAt = now;
    const store = server.copy();
    if (promised !== undefined) await this.#checkPromise(place, promised, store);
    await this.#checkLatest(place, store);
  }

  /** What was confirmed restores, exactly. */
  async #checkPromise(place: Place, promised: Promised, store: StillStore): Promise<void> {
    const { generation, position, storeMs } = promised;
    const target = { generation, index: position.index, offsetBytes: position.offsetBytes };
    const restored = await this.#judge.restore(store, target);
    const where = `${place.name} ${generation} at ${position.index}/${position.offsetBytes}`;
    this.#assertSane(place, restored, where);
    if (restored.kind !== 'state') {
      if (!this.#isWhole(place) || this.#mayHaveExpired(place, storeMs)) return;
      throw new Violation(`confirmed, but does not restore: ${where}: ${restored.why}`);
    }
    if (!this.#isWhole(place)) return;
    const { transaction } = restored.state;
    const { transaction: expected } = promised.expected ?? expectedOf(promised, store);
    if (expected !== undefined && expected !== transaction)
      throw new Violation(`${where} restores to ${transaction}, not to ${expected}`);
    place.floors.set(generation, Math.max(place.floors.get(generation) ?? 0, transaction));
    place.known.push({ generation, transaction, storeMs });
  }

  #mayHaveExpired({ settings, server }: Place, storeMs: number): boolean {
    const { retentionMs } = settings.replica;
    return retentionMs > 0 && (this.hasOddClocks || server.clockMs - storeMs > retentionMs);
  }

  /** A mixture of states, or a crash, is never an answer. */
  #assertSane(place: Place, restored: Restored, what: string): void {
    if (restored.kind === 'mixture' && (restored.isProven || this.#isWhole(place)))
      throw new Violation(`${what} gives what was never committed: ${restored.why}`);
    if (restored.kind === 'refused' && restored.code === 'BUG')
      throw new Violation(`${what}: ${restored.why}`);
  }

  async #restoreLatest(place: Place, store: StillStore): Promise<Restored> {
    const { revision } = place.server;
    if (place.latest?.revision === revision) return place.latest.restored;
    const restored = await this.#judge.restore(store, {});
    place.latest = { revision, restored };
    return restored;
  }

  async #checkLatest(place: Place, store: StillStore): Promise<void> {
    const restored = await this.#restoreLatest(place, store);
    this.#assertSane(place, restored, `the latest state of ${place.name}`);
    const { promised } = place;
    if (!this.#isWhole(place) || promised === undefined) return;
    if (restored.kind !== 'state')
      throw new Violation(`the latest state of ${place.name} does not restore: ${restored.why}`);
    const { transaction } = restored.state;
    const floor = place.floors.get(restored.generation) ?? 0;
    if (transaction < floor)
      throw new Violation(`the latest state of ${place.name} is ${transaction}, but ${floor} was confirmed`);
    if (restored.generation === promised.generation || place.settings.lease === undefined) return;
    const endings = await readEndings(store);
    if (!endings.has(promised.generation))
      throw new Violation(
        `${place.name} restores generation ${restored.generation}, but ${promised.generation} was confirmed later and nobody has superseded it`,
      );
  }

  /** A moment that was there, within the window: a state that is old enough and no older than it has to be. */
  async checkMoment(place: Place, share: number): Promise<void> {
    const { known, server, settings } = place;
    const { retentionMs } = settings.replica;
    const [first] = known;
    if (first === undefined) return;
    const nowMs = server.clockMs;
    const fromMs = retentionMs > 0 ? Math.max(first.storeMs, nowMs - retentionMs) : first.storeMs;
    const timestampMs = Math.ceil(fromMs + share * (nowMs - fromMs));
    const restored = await this.#judge.restore(server.copy(), { timestampMs });
    const what = `${place.name} as of ${timestampMs - nowMs} ms from now`;
    this.#assertSane(place, restored, what);
    if (!this.#isWhole(place) || this.hasOddClocks) return;
    if (restored.kind !== 'state') throw new Violation(`${what} does not restore: ${restored.why}`);
    const last = known.findLast(
      ({ storeMs, generation }) => storeMs <= timestampMs && generation === restored.generation,
    );
    if (last !== undefined && restored.state.transaction < last.transaction)
      throw new Violation(
        `${what} gives ${restored.state.transaction}, but ${last.transaction} was confirmed by then`,
      );
  }

  /** Every generation, and a log of it chosen by `share`, gives a committed state or says why not. */
  async checkGenerations(place: Place, share: number): Promise<void> {
    const store = place.server.copy();
    const { generations } = await readInventory(store);
    for (const { generation, snapshots, segments } of generations) {
      if (snapshots.length === 0) continue;
      const whole = await this.#judge.restore(store, { generation });
      this.#assertSane(place, whole, `${place.name} generation ${generation}`);
      if (whole.kind !== 'state' && this.#isWhole(place))
        throw new Violation(`${place.name} generation ${generation} does not restore: ${whole.why}`);
      const index = segments[Math.floor(share * segments.length)]?.index;
      if (index === undefined) continue;
      const one = await this.#judge.restore(store, { generation, index });
      this.#assertSane(place, one, `${place.name} generation ${generation} index ${index}`);
    }
  }

  /** Somebody damages an object: removes, shortens, changes or exchanges it. */
  tamper(place: Place, choices: readonly number[]): void {
    const [which = 0, how = 0, where = 0, other = 0] = choices;
    const keys = place.server.keys().filter((key) => key.startsWith('generations/'));
    const key = keys[Math.floor(which * keys.length)];
    if (key === undefined) return;
    this.counts.tampered++;
    const manner = (['remove', 'shorten', 'flip', 'exchange'] as const)[Math.floor(how * 4)] ?? 'flip';
    this.note(`${place.name}: somebody tampers with ${key}: ${manner}`);
    const donor = keys[Math.floor(other * keys.length)] as string;
    place.server.tamper(key, (bytes) => {
      const at = Math.floor(where * bytes.length);
      if (manner === 'remove') return undefined;
      if (manner === 'shorten') return bytes.subarray(0, at);
      if (manner === 'exchange') return place.server.copy().held(donor).bytes;
      bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(other * 8));
      return bytes;
    });
  }

  // ---- the end -----------------------------------------------------------------------------------------------------

  /** Everything is well again: each destination must soon hold exactly what its writer has. */
  async settle(): Promise<void> {
    for (const { server } of this.places) {
      const { latencyMs, skewMs } = server.manners;
      Object.assign(server.manners, { ...GOOD_MANNERS, latencyMs, skewMs });
    }
    for (const { disk, application } of this.hosts) {
      disk.isFull = false;
      disk.failing = 0;
      application.stop();
    }
    this.note('all is well again');
    const sinceMs = this.time.elapsedMs;
    while (this.time.elapsedMs < sinceMs + SETTLE_MS) {
      for (const host of this.hosts) host.startRivulet();
      await this.time.run(this.time.elapsedMs + SETTLE_STEP_MS);
      if (await this.#isComplete()) {
        this.counts.settleMsMax = this.time.elapsedMs - sinceMs;
        return;
      }
    }
    if (this.#settings.profile !== 'whole') return;
    throw new Violation(`not caught up ${SETTLE_MS} ms after all was well again: ${await this.#whyNot()}`);
  }

  async #isComplete(): Promise<boolean> {
    if (this.hosts.some(({ application, hasDatabase }) => application.isBusy || !hasDatabase)) return false;
    for (const place of this.places) {
      const writer = await this.#writerOf(place);
      if (writer === undefined || !isCaughtUp(writer, place)) return false;
      const restored = await this.#restoreLatest(place, place.server.copy());
      if (restored.kind !== 'state' || restored.state.transaction !== writer.current.transaction)
        return false;
    }
    return true;
  }

  /** Who may write there, by the word of the lease: one that is idle learns of its loss when it writes again. */
  async #writerOf(place: Place): Promise<Host | undefined> {
    if (place.settings.lease === undefined) return this.hosts[0];
    const reading = await openRegister(place.server.copy())?.read();
    if (reading === undefined) return undefined;
    const { host } = decodeLease(reading.bytes);
    const writer = this.hosts.find(({ name }) => name === host);
    const phase = writer && replicaOf(writer, place)?.status.lease?.phase;
    return phase === 'held' || phase === 'parked' ? writer : undefined;
  }

  async #whyNot(): Promise<string> {
    const facts: unknown[] = [];
    for (const { application, rivulet, current } of this.hosts) {
      const status = rivulet?.replicas.map((replica) => replica.status);
      facts.push({
        isBusy: application.isBusy,
        status,
        position: rivulet?.primary?.position,
        ...brief(current),
      });
    }
    for (const place of this.places) {
      const restored = await this.#restoreLatest(place, place.server.copy());
      facts.push(restored.kind === 'state' ? brief(restored.state) : restored);
    }
    return JSON.stringify(facts);
  }

  /** Nobody writes, and nothing can expire: no request is made. */
  async assertIdle(): Promise<void> {
    if (this.#settings.profile !== 'whole') return;
    const quietMs = Math.max(...this.places.map(({ settings }) => untilQuietMs(settings)));
    if (!Number.isFinite(quietMs) || this.hosts.length > 1 || this.hasOddClocks) return;
    await this.time.run(this.time.elapsedMs + quietMs);
    let asked = await this.#askedWhileIdle();
    // A snapshot that began before may still have been on its way: a slow machine copies for minutes.
    for (let i = 0; i < IDLE_REPEATS && asked !== undefined; i++) asked = await this.#askedWhileIdle();
    if (asked !== undefined) throw new Violation(asked);
    this.#assertProven();
  }

  /** What a destination was asked for in a while in which nothing happens; undefined when none was asked. */
  async #askedWhileIdle(): Promise<string | undefined> {
    const before = this.places.map(({ server }) => JSON.stringify(server.requests));
    await this.time.run(this.time.elapsedMs + IDLE_MS);
    for (const [i, { server, name }] of this.places.entries()) {
      const now = JSON.stringify(server.requests);
      if (now !== before[i]) return `${name} is idle, and was asked: ${before[i]} became ${now}`;
    }
    return undefined;
  }

  #assertProven(): void {
    for (const place of this.places) {
      const { proof } = replicaOf(this.hosts[0] as Host, place)?.status ?? {};
      // After a restart nothing is proven again that was before.
      if (proof !== undefined && proof.outcome !== 'proven')
        throw new Violation(`${place.name} has been quiet, and is not proven: ${proof.message}`);
    }
  }

  /** The trace is over; nobody may go on. */
  end(): void {
    for (const { rivulet } of this.hosts) rivulet?.kill();
  }
}

function expectedOf(
  { host, generation, position }: Promised,
  store: StillStore,
): { transaction: number | undefined } {
  const salts = saltsOf(store, generation, position);
  const transaction = salts === undefined ? undefined : host.commits.get(`${salts} ${position.offsetBytes}`);
  return { transaction };
}

function replicaOf({ rivulet }: Host, { name }: Place): Replica | undefined {
  return rivulet?.replicas.find(({ settings }) => settings.name === name);
}

function isCaughtUp(host: Host, place: Place): boolean {
  return host.rivulet?.isStopping === false && replicaOf(host, place)?.isCaughtUp === true;
}

/** Longer than any wait of the engine. */
const IDLE_MS = 70_000;
const IDLE_REPEATS = 2;

/** After so long nothing is due any more; infinite when something always is. */
function untilQuietMs({ replica, lease, manners }: DestinationSettings): number {
  if (lease?.renew === 'always') return Number.POSITIVE_INFINITY;
  if (replica.retentionMs > 60_000) return Number.POSITIVE_INFINITY;
  const { retentionMs, retentionCheckIntervalMs, snapshotIntervalMs } = replica;
  const snapshotMs = snapshotIntervalMs || retentionMs;
  // What could not be proven is tried again after one more.
  const proofMs = 3 * (replica.verify?.quickIntervalMs ?? 0);
  return (
    proofMs +
    3 * (lease?.durationMs ?? 0) +
    2 * retentionMs +
    snapshotMs +
    4 * retentionCheckIntervalMs +
    // A request that hung when all became well is given up by then; and now and then one is forty times as slow.
    30_000 +
    200 * (manners.latencyMs ?? GOOD_MANNERS.latencyMs)
  );
}

function brief({ transaction, versions }: CommittedState): object {
  return { transaction, pages: versions.length };
}
