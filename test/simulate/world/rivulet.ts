/** Rivulet as one simulated process: the real engine on the simulated machine, started and ended as the daemon does it. */
import { isRivuletError, systemCode } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/log.ts';
import type { Generation, Position } from '../../../src/generations/names.ts';
import { Primary, type PrimarySettings } from '../../../src/primary/primary.ts';
import { Replica, type ReplicaSettings } from '../../../src/replica/replica.ts';
import type { ObjectStore } from '../../../src/storage/object-store.ts';
import type { Disk } from './disk.ts';
import { type MachineParts, simMachine } from './machine.ts';
import { type ProcessHooks, SimProcess } from './process.ts';
import type { SimTime } from './time.ts';

export interface Destination {
  readonly name: string;
  readonly open: (process: SimProcess) => ObjectStore;
}

export interface RivuletParts {
  readonly disk: Disk;
  readonly time: SimTime;
  readonly hooks: ProcessHooks;
  readonly wall: { skewMs: number };
  readonly machine: Omit<MachineParts, 'process' | 'time'>;
  readonly logger: Logger;
  readonly settings: Omit<PrimarySettings, 'destinations'>;
  readonly replica: Omit<ReplicaSettings, 'name' | 'metaPath'>;
  readonly destinations: readonly Destination[];
  readonly pollMs: number;
  /** Everything before `position` is stored at a destination. */
  readonly onConfirmed: (destination: string, generation: Generation, position: Position) => void;
  readonly onGeneration: (generation: Generation, reason: string) => void;
  readonly onSnapshot: (destination: string) => void;
  /** What must never happen: an error that is no RivuletError. */
  readonly onBug: (error: unknown) => void;
}

const RETRY_MS = 250;
const FINISH_MS = 5_000;

export class SimRivulet {
  readonly process: SimProcess;
  readonly #parts: RivuletParts;
  readonly #stop = new AbortController();
  #primary: Primary | undefined;
  #replicas: Replica[] = [];
  #running: Promise<unknown> = Promise.resolve();

  constructor(parts: RivuletParts) {
    this.#parts = parts;
    this.process = new SimProcess('rivulet', parts.disk, parts.hooks);
    this.process.onDeath(() => this.#stop.abort());
  }

  get primary(): Primary | undefined {
    return this.process.isDead ? undefined : this.#primary;
  }

  get replicas(): readonly Replica[] {
    return this.process.isDead ? [] : this.#replicas;
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
    const { time, machine, wall, logger, settings, destinations, pollMs } = this.#parts;
    const clock = time.clockOf(this.process, wall);
    const signal = this.#stop.signal;
    const primary = new Primary(
      { ...settings, destinations: new Set(destinations.map(({ name }) => name)) },
      {
        clock,
        logger,
        machine: simMachine({ ...machine, process: this.process, time }),
        observer: {
          onSync: () => undefined,
          onWalBytes: () => undefined,
          onCheckpoint: () => undefined,
          onGeneration: (generation, reason) => this.#parts.onGeneration(generation, reason),
        },
      },
    );
    this.#primary = primary;
    this.#replicas = destinations.map((destination) => this.#openReplica(destination, primary));
    const follow = async (): Promise<void> => {
      while (!signal.aborted) {
        let waitMs = pollMs;
        try {
          if (await primary.refresh()) waitMs = Math.min(pollMs, 100);
        } catch {
          waitMs = RETRY_MS;
        }
        await clock.sleep(waitMs, signal).catch(() => undefined);
      }
    };
    await Promise.all([follow(), ...this.#replicas.map((replica) => replica.run(signal))]);
  }

  #openReplica({ name, open }: Destination, primary: Primary): Replica {
    const { time, wall, logger, settings, replica, onConfirmed, onSnapshot } = this.#parts;
    return new Replica(
      { ...replica, name, metaPath: settings.metaPath },
      {
        primary,
        store: open(this.process),
        clock: time.clockOf(this.process, wall),
        logger,
        files: this.process.files,
        observer: {
          onSegment: (_, position) => {
            if (primary.generation !== undefined) onConfirmed(name, primary.generation, position);
          },
          onSnapshot: () => onSnapshot(name),
          onValidation: () => undefined,
          onFailure: () => undefined,
          onRecovery: () => undefined,
        },
      },
    );
  }

  kill(): void {
    this.process.kill();
  }

  /** Ends as the daemon does: no more looks, the last changes sent, everything closed. Answers when it is over. */
  async stop(): Promise<void> {
    if (this.process.isDead) return;
    this.#stop.abort();
    await this.#running;
    const deadlineMs = this.#parts.time.elapsedMs + FINISH_MS;
    await Promise.all(
      this.#replicas.map(async (replica) => replica.finish(deadlineMs).catch(() => undefined)),
    );
    await this.#primary?.close().catch(() => undefined);
    this.process.kill();
  }
}
