/** Rivulet as one simulated process: the real engine on the simulated machine, started and ended as the daemon does it. */
import type { Clock } from '../../../src/base/clock.ts';
import { isRivuletError, systemCode } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/log.ts';
import { writtenTo } from '../../../src/daemon/leases.ts';
import type { Generation, Position } from '../../../src/generations/names.ts';
import { Primary, type PrimarySettings } from '../../../src/primary/primary.ts';
import { Lease, type LeaseSettings } from '../../../src/replica/lease/lease.ts';
import { type OwnerNote, readOwnerNote, writeOwnerNote } from '../../../src/replica/lease/owner-file.ts';
import { Replica, type ReplicaSettings } from '../../../src/replica/replica.ts';
import type { ObjectStore } from '../../../src/storage/object-store.ts';
import { openRegister } from '../../../src/storage/open-register.ts';
import type { Disk } from './disk.ts';
import { type MachineParts, simMachine } from './machine.ts';
import { type ProcessHooks, SimProcess } from './process.ts';
import type { Clocks, SimTime } from './time.ts';

export type SimReplicaSettings = Omit<ReplicaSettings, 'name' | 'metaPath'>;

export interface Destination {
  readonly name: string;
  readonly replica: SimReplicaSettings;
  /** Undefined when nothing keeps a second writer out. */
  readonly lease: LeaseSettings | undefined;
  readonly open: (process: SimProcess) => ObjectStore;
}

export interface RivuletParts {
  readonly host: string;
  readonly disk: Disk;
  readonly time: SimTime;
  readonly hooks: ProcessHooks;
  readonly clocks: Clocks;
  readonly machine: Omit<MachineParts, 'process' | 'time' | 'clocks'>;
  readonly logger: Logger;
  readonly settings: Omit<PrimarySettings, 'destinations'>;
  readonly destinations: readonly Destination[];
  readonly pollMs: number;
  /** Everything before `position` is stored at a destination. */
  readonly onConfirmed: (destination: string, generation: Generation, position: Position) => void;
  readonly onGeneration: (generation: Generation, reason: string) => void;
  readonly onSnapshot: (destination: string) => void;
  readonly onLostRace: () => void;
  readonly onWriteLock: (ms: number) => void;
  readonly onProof: (outcome: 'proven' | 'broken' | 'inconclusive') => void;
  /** A clean end said that this destination has everything, up to here. */
  readonly onFinished: (destination: string, generation: Generation, position: Position) => void;
  /** What must never happen: an error that is no RivuletError. */
  readonly onBug: (error: unknown) => void;
}

/** As in `follow.ts`. */
const BUSY_SPACING_MS = 100;
const GLANCE_MS = 20;
const RETRY_MS = 250;
const FINISH_MS = 5_000;

export class SimRivulet {
  readonly process: SimProcess;
  readonly #parts: RivuletParts;
  readonly #stop = new AbortController();
  #primary: Primary | undefined;
  #replicas: Replica[] = [];
  #running: Promise<unknown> = Promise.resolve();
  #isStopping = false;
  #hasStirred = false;
  #wake: () => void = () => undefined;

  constructor(parts: RivuletParts) {
    this.#parts = parts;
    this.process = new SimProcess(`rivulet ${parts.host}`, parts.disk, parts.hooks);
    this.process.onDeath(() => this.#stop.abort());
  }

  get primary(): Primary | undefined {
    return this.process.isDead ? undefined : this.#primary;
  }

  get replicas(): readonly Replica[] {
    return this.process.isDead ? [] : this.#replicas;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  get isCaughtUp(): boolean {
    return this.replicas.length > 0 && this.replicas.every((replica) => replica.isCaughtUp);
  }

  start(): void {
    this.#running = this.#run().catch((error: unknown) => {
      if (this.process.isDead) return;
      // What a full disk or a held lock keeps from starting ends, and is started again by whoever watches over it.
      if (isRivuletError(error) || systemCode(error) !== undefined) this.process.kill();
      else this.#parts.onBug(error);
    });
  }

  async #run(): Promise<void> {
    const { time, machine, clocks, logger, settings, destinations, pollMs, onLostRace, onWriteLock } =
      this.#parts;
    const clock = time.clockOf(this.process, clocks);
    const signal = this.#stop.signal;
    const primary = new Primary(
      { ...settings, destinations: new Set(destinations.map(({ name }) => name)) },
      {
        clock,
        logger,
        machine: simMachine({ ...machine, process: this.process, time, clocks }),
        observer: {
          onSync: () => undefined,
          onWalBytes: () => undefined,
          onCheckpoint: () => undefined,
          onStateDirectory: () => undefined,
          onLostRace: () => this.#tell(onLostRace),
          onWriteLock: (ms) => this.#tell(() => onWriteLock(ms)),
          onGeneration: (generation, reason) =>
            this.#tell(() => this.#parts.onGeneration(generation, reason)),
        },
      },
    );
    this.#primary = primary;
    this.#replicas = destinations.map((destination) => this.#openReplica(destination, primary));
    const follow = async (): Promise<void> => {
      while (!signal.aborted) {
        let waitMs = pollMs;
        let isBusy = false;
        try {
          isBusy = (await primary.refresh()) || primary.isRestless;
          if (isBusy) waitMs = Math.min(pollMs, BUSY_SPACING_MS);
        } catch (error) {
          if (!isRivuletError(error) && systemCode(error) === undefined && !this.process.isDead)
            this.#parts.onBug(error);
          waitMs = RETRY_MS;
        }
        if (isBusy) await this.#glance(clock, primary, waitMs);
        else await this.#rest(clock, waitMs);
      }
    };
    await Promise.all([follow(), ...this.#replicas.map((replica) => replica.run(signal))]);
  }

  /** Deaf to file events, with a glance at the index now and then. */
  async #glance(clock: Clock, primary: Primary, ms: number): Promise<void> {
    const { signal } = this.#stop;
    const untilMs = clock.monotonicMs() + ms;
    for (let leftMs = ms; leftMs > 0 && !signal.aborted; leftMs = untilMs - clock.monotonicMs()) {
      const stepMs = primary.isRestless ? Math.min(leftMs, GLANCE_MS) : leftMs;
      await clock.sleep(stepMs, signal).catch(() => undefined);
      if (primary.glance()) return;
    }
  }

  /** Until the time is over, or a file event comes. */
  async #rest(clock: Clock, ms: number): Promise<void> {
    const enough = new AbortController();
    const wake = (): void => enough.abort();
    const { signal } = this.#stop;
    this.#wake = wake;
    signal.addEventListener('abort', wake, { once: true });
    if (this.#hasStirred || signal.aborted) wake();
    await clock.sleep(ms, enough.signal).catch(() => undefined);
    signal.removeEventListener('abort', wake);
    this.#wake = () => undefined;
    this.#hasStirred = false;
  }

  /** The system tells of a write into the WAL, a moment later. */
  stir(afterMs: number): void {
    const tell = (): void => {
      this.#hasStirred = true;
      this.#wake();
    };
    this.#parts.time.after(afterMs, () => this.process.deliver(tell));
  }

  #openReplica({ name, replica, open, lease }: Destination, primary: Primary): Replica {
    const { time, clocks, logger, settings, onConfirmed, onSnapshot, onProof } = this.#parts;
    const raw = open(this.process);
    const clock = time.clockOf(this.process, clocks);
    const held = lease && this.#openLease(lease, name, raw);
    const opened: Replica = new Replica(
      { ...replica, name, metaPath: settings.metaPath },
      {
        primary,
        store: writtenTo(raw, held),
        clock,
        logger,
        files: this.process.files,
        lease: held,
        observer: {
          onSegment: (_, position) => {
            const { generation } = opened.status;
            if (generation !== undefined) this.#tell(() => onConfirmed(name, generation, position));
          },
          onSnapshot: () => this.#tell(() => onSnapshot(name)),
          onProof: (_, outcome) => this.#tell(() => onProof(outcome)),
          onValidation: () => undefined,
          onFailure: () => undefined,
          onRecovery: () => undefined,
        },
      },
    );
    return opened;
  }

  /** A process that was killed in the middle of a call finds out at its next one: nobody hears what it says until then. */
  #tell(what: () => void): void {
    if (!this.process.isDead) what();
  }

  #openLease(lease: LeaseSettings, name: string, store: ObjectStore): Lease {
    const { time, clocks, logger, settings, machine, host } = this.#parts;
    const { files } = this.process;
    const { metaPath, path } = settings;
    const word = (): string =>
      Array.from({ length: 16 }, () => machine.random.int(0, 255).toString(16).padStart(2, '0')).join('');
    const writeNote = (note: OwnerNote): void => writeOwnerNote(files, metaPath, name, note);
    let note = readOwnerNote(files, metaPath, name);
    if (note === undefined) {
      note = { owner: word(), generation: undefined, tried: undefined };
      writeNote(note);
    }
    return new Lease(lease, {
      register: openRegister(store),
      location: store.location,
      clock: time.clockOf(this.process, clocks),
      logger: logger.child({ replica: name }),
      me: { owner: note.owner, host, session: word() },
      about: { pid: 1, database: path, program: 'rivulet' },
      note,
      writeNote,
    });
  }

  #finished({ settings, status }: Replica): void {
    const { generation, confirmed, lease } = status;
    if (lease?.phase === 'standby' || lease?.phase === 'lost' || lease?.phase === 'none') return;
    if (generation !== undefined && confirmed !== undefined)
      this.#parts.onFinished(settings.name, generation, confirmed);
  }

  kill(): void {
    this.process.kill();
  }

  /** Ends as the daemon does: no more looks, the last changes sent, everything closed. Answers when it is over. */
  async stop(): Promise<void> {
    if (this.process.isDead || this.#isStopping) return;
    this.#isStopping = true;
    this.#stop.abort();
    await this.#running;
    const deadlineMs = this.#parts.time.elapsedMs + this.#parts.clocks.monotonicSkewMs + FINISH_MS;
    await Promise.all(
      this.#replicas.map(async (replica) =>
        replica.finish(deadlineMs).then(
          () => this.#finished(replica),
          () => undefined,
        ),
      ),
    );
    await this.#primary?.close().catch(() => undefined);
    this.process.kill();
  }
}
