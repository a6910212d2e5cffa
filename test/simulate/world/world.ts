/** One machine, one store, one application, one Rivulet; and what befalls them. */
import { messageOf } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/log.ts';
import type { Generation, Position } from '../../../src/generations/names.ts';
import { Random } from '../../faults/random.ts';
import { Application, type CommittedState, type Habits } from './application.ts';
import { Disk } from './disk.ts';
import { Judge, differenceOf, saltsOf } from './judge.ts';
import { type ProcessHooks, SimProcess } from './process.ts';
import { SimRivulet, type RivuletParts } from './rivulet.ts';
import { PAGE_BYTES, SimDatabase } from './sqlite.ts';
import { type Manners, SimServer } from './store.ts';
import { SimTime } from './time.ts';
import { walBytes } from '../../../src/wal/frames.ts';
import type { Conditions } from '../../../src/storage/object-store.ts';

export const DATABASE = '/data/app.db';
const META = '/data/.app.db-rivulet';

export interface WorldSettings {
  readonly seed: number;
  readonly habits: Habits;
  readonly pages: number;
  readonly conditions: Conditions;
  readonly manners: Partial<Manners>;
  readonly checkpoint: RivuletParts['settings']['checkpoint'];
  readonly replica: RivuletParts['replica'];
  readonly pollMs: number;
  /** Chance that another process does something before each call that Rivulet makes. */
  readonly interleaving: number;
}

/** Something that a destination confirmed, and what it stands for. */
interface Promised {
  readonly generation: Generation;
  readonly position: Position;
  readonly atMs: number;
  /** The store's clock. */
  readonly storeMs: number;
}

export class Violation extends Error {
  override readonly name = 'Violation';
}

export class World {
  readonly time: SimTime = new SimTime();
  readonly disk: Disk;
  readonly server: SimServer;
  readonly application: Application;
  readonly trace: string[] = [];
  readonly counts = { generations: 0, snapshots: 0, confirmed: 0, restores: 0, kills: 0 };
  readonly #settings: WorldSettings;
  readonly #random: Random;
  readonly #judge: Judge;
  readonly #database: SimDatabase;
  readonly #wall = { skewMs: 0 };
  readonly #locks = new Map<string, SimProcess>();
  readonly #commits = new Map<string, number>();
  readonly #bugs: unknown[] = [];
  #promised: Promised | undefined;
  /** A power cut, or somebody, took away transactions: what was promised before says nothing about the newest state. */
  #floor = 0;
  #killAtCall: number | undefined;
  #calls = 0;
  rivulet: SimRivulet | undefined;

  constructor(settings: WorldSettings, scratch: string) {
    this.#settings = settings;
    const stream = (name: number): Random => new Random(settings.seed * 7919 + name);
    this.#random = stream(1);
    this.disk = new Disk(stream(2), () => this.time.wallMs);
    this.server = new SimServer(stream(3), this.time, settings.conditions, settings.manners);
    this.#database = new SimDatabase(DATABASE, this.disk, stream(4), () => this.time.wallMs);
    this.application = new Application({
      database: this.#database,
      disk: this.disk,
      random: stream(5),
      time: this.time,
      habits: settings.habits,
      hooks: { beforeCall: () => undefined, nowMs: () => this.time.wallMs },
      firstTransaction: 1,
      pages: settings.pages,
    });
    this.#judge = new Judge(scratch, (transaction) => this.application.history.get(transaction));
  }

  note(what: string): void {
    this.trace.push(`${(this.time.elapsedMs / 1000).toFixed(3).padStart(9)}  ${what}`);
  }

  begin(): void {
    this.disk.makeDirectory('/data');
    this.application.start(true);
    const { onCommit } = this.#database;
    this.#database.onCommit = (pages, pageCount) => {
      onCommit(pages, pageCount);
      this.#noteCommit();
    };
    this.application.onRecovered = () => this.#noteCommit();
    this.startRivulet();
  }

  /** Where in which log the newest transaction ends. */
  #noteCommit(): void {
    const { frames, chain } = this.#database.index;
    if (chain === undefined) return;
    const { salt1, salt2 } = chain.header;
    this.#commits.set(
      `${hex(salt1)}${hex(salt2)} ${walBytes(frames, PAGE_BYTES)}`,
      this.application.current.transaction,
    );
  }

  // ---- what may befall -------------------------------------------------------------------------------------------

  startRivulet(): void {
    if (this.rivulet !== undefined && !this.rivulet.process.isDead) return;
    this.rivulet = new SimRivulet({
      disk: this.disk,
      time: this.time,
      hooks: this.#hooks(),
      wall: this.#wall,
      machine: {
        random: this.#random,
        database: () => this.#database,
        locks: this.#locks,
        onWriteLockHeld: (ms) => this.#assertLockHeld(ms),
      },
      logger: this.#logger(),
      settings: {
        path: DATABASE,
        metaPath: META,
        checkpoint: this.#settings.checkpoint,
        spoolLimitBytes: 1024 * 1024,
        busyTimeoutMs: 100,
      },
      replica: this.#settings.replica,
      destinations: [{ name: 'sim', open: (process) => this.server.client(process) }],
      pollMs: this.#settings.pollMs,
      onConfirmed: (_, generation, position) => this.#confirmed(generation, position),
      onGeneration: (generation, reason) => {
        this.counts.generations++;
        this.note(`rivulet begins generation ${generation}: ${reason}`);
      },
      onSnapshot: () => void this.counts.snapshots++,
      onBug: (error) => void this.#bugs.push(error),
    });
    this.rivulet.start();
  }

  #hooks(): ProcessHooks {
    return {
      nowMs: () => this.time.wallMs,
      beforeCall: (process) => {
        this.#calls++;
        if (this.#killAtCall !== undefined && this.#calls >= this.#killAtCall) {
          this.#killAtCall = undefined;
          this.note('rivulet is killed in the middle of a call');
          this.counts.kills++;
          process.kill();
          return;
        }
        while (this.#random.chance(this.#settings.interleaving)) if (!this.application.step()) break;
      },
    };
  }

  killRivuletAfterCalls(calls: number): void {
    this.#killAtCall = this.#calls + calls;
  }

  killRivulet(): void {
    this.note('rivulet is killed');
    this.counts.kills++;
    this.rivulet?.kill();
  }

  stopRivulet(): void {
    this.note('rivulet is asked to stop');
    void this.rivulet?.stop();
  }

  killApplication(restartAfterMs: number): void {
    this.note('the application is killed');
    this.application.kill(restartAfterMs);
  }

  powerCut(): void {
    this.note('the power is cut');
    this.rivulet?.kill();
    this.application.kill(undefined);
    const before = this.application.current.transaction;
    this.disk.losePower();
    // The judge looks first: what SQLite makes of the files must be a committed state, or the simulation is wrong.
    this.#assertWhole();
    const { transaction } = this.application.current;
    if (transaction < before) {
      this.note(`transactions after ${transaction} did not survive`);
      this.#floor = Math.min(this.#floor, transaction);
      this.#promised = undefined;
    }
    this.application.restart();
  }

  #assertWhole(): void {
    const process = new SimProcess('judge', this.disk, { beforeCall: () => undefined, nowMs: () => 0 });
    this.#database.open(process, true);
    const bytes = Buffer.concat(this.#database.image());
    process.kill();
    const why = differenceOf(bytes, this.application.current);
    if (why !== undefined) throw new Error(`the simulated SQLite lost its mind: ${why}`);
  }

  jumpClock(ms: number): void {
    this.note(`the wall clock jumps by ${ms} ms`);
    this.#wall.skewMs += ms;
  }

  // ---- what must hold --------------------------------------------------------------------------------------------

  #confirmed(generation: Generation, position: Position): void {
    this.counts.confirmed++;
    this.#promised = { generation, position, atMs: this.time.wallMs, storeMs: this.server.clockMs };
  }

  /** Ours is not the time that passes: only what the engine itself does under the lock counts. */
  #assertLockHeld(ms: number): void {
    if (ms > 2_000) this.#bugs.push(new Violation(`writers were held up for ${ms} ms`));
  }

  #logger(): Logger {
    const log = (level: string) => (message: string, fields?: Readonly<Record<string, unknown>>) => {
      const { error, why, reason } = fields ?? {};
      const detail = error instanceof Error ? error.message : (why ?? reason ?? '');
      this.note(`  rivulet ${level}: ${message} ${typeof detail === 'string' ? detail : ''}`);
    };
    const logger: Logger = {
      debug: () => undefined,
      info: log('info'),
      warn: log('warn'),
      error: log('error'),
      child: () => logger,
    };
    return logger;
  }

  /** The world stands still meanwhile. @throws Violation */
  async check(): Promise<void> {
    const [bug] = this.#bugs;
    if (bug instanceof Violation) throw bug;
    if (bug !== undefined)
      throw new Violation(`an unexpected error: ${bug instanceof Error ? bug.stack : messageOf(bug)}`);
    const promised = this.#promised;
    if (promised === undefined) return;
    const store = this.server.copy();
    await this.#checkPromise(promised, store);
    await this.#checkLatest(promised, store);
  }

  /** What was confirmed restores, exactly. */
  async #checkPromise(
    { generation, position }: Promised,
    store: ReturnType<SimServer['copy']>,
  ): Promise<void> {
    const target = { generation, index: position.index, offsetBytes: position.offsetBytes };
    this.counts.restores++;
    const restored = await this.#judge.restore(store, target);
    const where = `${generation} at ${position.index}/${position.offsetBytes}`;
    if (restored.kind !== 'state')
      throw new Violation(`confirmed, but does not restore: ${where}: ${restored.why}`);
    const salts = saltsOf(store, generation, position);
    const expected = salts === undefined ? undefined : this.#commits.get(`${salts} ${position.offsetBytes}`);
    if (expected !== undefined && expected !== restored.state.transaction)
      throw new Violation(`${where} restores to ${restored.state.transaction}, not to ${expected}`);
    this.#floor = Math.max(this.#floor, restored.state.transaction);
  }

  async #checkLatest({ generation }: Promised, store: ReturnType<SimServer['copy']>): Promise<void> {
    this.counts.restores++;
    const restored = await this.#judge.restore(store, {});
    if (restored.kind !== 'state') throw new Violation(`the latest state does not restore: ${restored.why}`);
    if (restored.generation === generation && restored.state.transaction < this.#floor)
      throw new Violation(
        `the latest state is ${restored.state.transaction}, but ${this.#floor} was confirmed`,
      );
  }

  /** Everything is well again: the destination must hold exactly what the application has. */
  async settle(withinMs: number): Promise<void> {
    Object.assign(this.server.manners, {
      failing: 0,
      forgetful: 0,
      hanging: 0,
      doubled: 0,
      isAway: false,
      listingLagMs: 0,
    });
    this.disk.isFull = false;
    this.application.stop();
    this.startRivulet();
    this.note('all is well again');
    const untilMs = this.time.elapsedMs + withinMs;
    while (this.time.elapsedMs < untilMs) {
      await this.time.run(this.time.elapsedMs + 500);
      this.startRivulet();
      if (!this.application.isBusy && (await this.#isComplete())) return;
    }
    throw new Violation(`not caught up ${withinMs} ms after all was well again: ${await this.#whyNot()}`);
  }

  async #whyNot(): Promise<string> {
    const restored = await this.#judge.restore(this.server.copy(), {});
    const status = this.rivulet?.replicas.map((replica) => replica.status);
    const { position } = this.rivulet?.primary ?? {};
    const facts = { isBusy: this.application.isBusy, status, position, committed: this.current.transaction };
    return `${JSON.stringify(facts)}; restores to ${JSON.stringify({ ...restored, state: undefined })} ${restored.kind === 'state' ? restored.state.transaction : ''}`;
  }

  async #isComplete(): Promise<boolean> {
    if (this.rivulet?.isCaughtUp !== true) return false;
    const restored = await this.#judge.restore(this.server.copy(), {});
    return restored.kind === 'state' && restored.state.transaction === this.current.transaction;
  }

  get current(): CommittedState {
    return this.application.current;
  }
}

function hex(word: number): string {
  return word.toString(16).padStart(8, '0');
}
