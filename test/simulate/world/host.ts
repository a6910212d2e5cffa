/** One machine: disk, clocks, database, application and Rivulet; and what befalls it. */
import { isRivuletError, systemCode } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/log.ts';
import type { Generation, Position } from '../../../src/generations/names.ts';
import type { Primary } from '../../../src/primary/primary.ts';
import type { LogEnd } from '../../../src/primary/resume-point.ts';
import { decodeState, type LocalState } from '../../../src/primary/state-file.ts';
import { walBytes } from '../../../src/wal/frames.ts';
import { Random } from '../../faults/random.ts';
import { Application, type CommittedState, type Feels, type Habits, type Past } from './application.ts';
import { Disk } from './disk.ts';
import { differenceOf } from './judge.ts';
import { WAITS } from './machine.ts';
import { type ProcessHooks, SimProcess } from './process.ts';
import { type Destination, type RivuletParts, SimRivulet } from './rivulet.ts';
import { PAGE_BYTES, type PublishingPhase, SimDatabase } from './sqlite.ts';
import type { Clocks, SimTime } from './time.ts';
import { Violation } from './violation.ts';

export const DATABASE = '/data/app.db';
const META = '/data/.app.db-rivulet';

/** What a writer may be kept waiting, whatever the disk does. */
const LOCK_HELD_MS_MAX = 250;

export interface HostSettings {
  readonly habits: Habits;
  readonly pages: number;
  readonly primary: Omit<RivuletParts['settings'], 'path' | 'metaPath'>;
  readonly pollMs: number;
  /** The most that others take while Rivulet lets them run. */
  readonly pauseMsMax: number;
  /** Chance that the application does something before each call that Rivulet makes. */
  readonly interleaving: number;
  readonly skewMs: number;
  /** File events wake Rivulet up; without them it looks once in a while. */
  readonly watches?: boolean;
  /** Rivulet's event loop stands still now and then, so that it wakes up late. */
  readonly stalls?: { readonly everyMs: number; readonly maxMs: number };
}

export interface HostParts {
  readonly name: string;
  readonly seed: number;
  readonly settings: HostSettings;
  readonly time: SimTime;
  readonly destinations: readonly Destination[];
  readonly past: Past;
  /** Transactions are numbered from here on. */
  readonly firstTransaction: number;
  readonly note: (what: string) => void;
  readonly tell: HostTells;
}

export interface HostTells {
  readonly confirmed: (host: Host, destination: string, generation: Generation, position: Position) => void;
  readonly generation: (host: Host, generation: Generation, reason: string) => void;
  readonly snapshot: (host: Host, destination: string) => void;
  readonly lostRace: () => void;
  readonly writeLock: (ms: number) => void;
  readonly proof: (outcome: 'proven' | 'broken' | 'inconclusive') => void;
  readonly finished: (host: Host, destination: string, generation: Generation, position: Position) => void;
  readonly feels: Feels;
  /** A log line of Rivulet. */
  readonly said: (host: Host, destination: string | undefined, message: string, detail: string) => void;
  readonly bug: (error: unknown) => void;
  /** A copy of the database was compared with what was committed. */
  readonly copied: () => void;
}

export class Host {
  readonly name: string;
  readonly disk: Disk;
  readonly application: Application;
  readonly clocks: Clocks;
  /** Which transaction ends where in which log, by salts and offset. */
  readonly commits: Map<string, number>;
  kills = 0;
  powerCuts = 0;
  /** How often a file of Rivulet's own state was damaged. */
  stateDamages = 0;
  rivulet: SimRivulet | undefined;
  readonly #parts: HostParts;
  readonly #random: Random;
  readonly #locks = new Map<string, SimProcess>();
  #database: SimDatabase;
  #databases = 0;
  #calls = 0;
  #atCall: { readonly call: number; readonly action: () => void } | undefined;

  /** @param original - the machine of which this one is a copy, as it is at this moment */
  constructor(parts: HostParts, original?: Host) {
    const { name, seed, settings, time } = parts;
    this.#parts = parts;
    this.name = name;
    this.#random = this.#stream(1);
    const now = (): number => time.wallMs;
    this.disk = original?.disk.clone(this.#stream(2), now) ?? new Disk(this.#stream(2), now);
    this.commits = new Map(original?.commits);
    this.clocks = { skewMs: settings.skewMs, monotonicSkewMs: seed % 1000 };
    this.#database = this.#openPath();
    original?.application.doubt();
    const events = this.#stream(7);
    this.application = new Application({
      database: this.#database,
      disk: this.disk,
      random: this.#stream(5),
      time,
      habits: settings.habits,
      hooks: { beforeCall: () => undefined, nowMs: now },
      firstTransaction: parts.firstTransaction,
      pages: settings.pages,
      past: parts.past,
      onEnd: () => {
        this.#noteEnd();
        this.#stir(events);
      },
      feels: parts.tell.feels,
    });
    if (original === undefined) this.disk.makeDirectory('/data');
    this.application.start(original === undefined);
    this.#stallLater(this.#stream(6));
  }

  /** File events come soon, and some are lost. */
  #stir(random: Random): void {
    const { watches } = this.#parts.settings;
    if (watches === true && random.chance(0.9)) this.rivulet?.stir(random.pick([0, 2, 2, 10]));
  }

  #stallLater(random: Random): void {
    const { settings, time } = this.#parts;
    if (settings.stalls === undefined || this.application.isStopped) return;
    const { everyMs, maxMs } = settings.stalls;
    time.after(random.int(1, 2 * everyMs), () => {
      const process = this.rivulet?.process;
      if (process?.isFrozen === false && !this.application.isStopped) {
        process.freeze();
        const wake = (): void => {
          if (this.application.isPaused) time.after(maxMs, wake);
          else process.thaw();
        };
        time.after(random.int(1, maxMs), wake);
      }
      this.#stallLater(random);
    });
  }

  #stream(name: number): Random {
    return new Random(this.#parts.seed * 7919 + name + this.#parts.firstTransaction * 31);
  }

  #openPath(): SimDatabase {
    const random = this.#stream(100 + this.#databases++);
    return new SimDatabase(DATABASE, this.disk, random, () => this.#parts.time.wallMs);
  }

  get current(): CommittedState {
    return this.application.current;
  }

  note(what: string): void {
    this.#parts.note(`${this.name}: ${what}`);
  }

  /** Where in which log the newest transaction ends. */
  #noteEnd(): void {
    const end = this.#end();
    if (end !== undefined) this.commits.set(`${end.salts} ${end.offsetBytes}`, this.current.transaction);
  }

  #end(): { readonly salts: string; readonly offsetBytes: number } | undefined {
    const { frames, chain } = this.#database.published;
    if (chain === undefined) return undefined;
    const { salt1, salt2 } = chain.header;
    return { salts: `${hex(salt1)}${hex(salt2)}`, offsetBytes: walBytes(frames, PAGE_BYTES) };
  }

  /** A log that has lost its end goes on with the same salts: where a lost transaction ended, another may be under way. */
  #forgetLost(): void {
    const end = this.#end();
    if (end === undefined) return;
    for (const key of this.commits.keys()) {
      const [salts, offset] = key.split(' ');
      if (salts === end.salts && Number(offset) > end.offsetBytes) this.commits.delete(key);
    }
  }

  // ---- Rivulet -----------------------------------------------------------------------------------------------------

  startRivulet(): void {
    if (this.rivulet !== undefined && !this.rivulet.process.isDead) return;
    const { settings, time, destinations, tell } = this.#parts;
    this.rivulet = new SimRivulet({
      host: this.name,
      disk: this.disk,
      time,
      hooks: this.#hooks(),
      clocks: this.clocks,
      machine: {
        random: this.#random,
        database: () => this.#database,
        locks: this.#locks,
        pauseMsMax: settings.pauseMsMax,
        bootId: () => `start ${this.powerCuts}`,
        onWriteLockHeld: (ms) => {
          if (ms > LOCK_HELD_MS_MAX) tell.bug(new Violation(`writers were held up for ${ms} ms`));
        },
      },
      logger: this.#logger(undefined),
      settings: { ...settings.primary, path: DATABASE, metaPath: META },
      destinations,
      pollMs: settings.pollMs,
      onConfirmed: (destination, generation, position) =>
        tell.confirmed(this, destination, generation, position),
      onGeneration: (generation, reason) => tell.generation(this, generation, reason),
      onSnapshot: (destination) => tell.snapshot(this, destination),
      onProof: tell.proof,
      onLostRace: tell.lostRace,
      onWriteLock: tell.writeLock,
      onFinished: (destination, generation, position) =>
        tell.finished(this, destination, generation, position),
      onBug: tell.bug,
    });
    this.rivulet.start();
  }

  #hooks(): ProcessHooks {
    return {
      nowMs: () => this.#parts.time.wallMs,
      onMistake: (what) => {
        // On its way out it leaves a snapshot that takes too long behind, with the connection of that; nobody uses either.
        if (this.rivulet?.isStopping === false) this.#parts.tell.bug(new Violation(what));
      },
      beforeCall: (_, what) => {
        this.#calls++;
        if (this.#atCall !== undefined && this.#calls >= this.#atCall.call) {
          const { action } = this.#atCall;
          this.#atCall = undefined;
          action();
        }
        const { interleaving } = this.#parts.settings;
        if (what === WAITS) this.application.step();
        while (this.#random.chance(interleaving)) if (!this.application.step()) break;
      },
    };
  }

  #logger(destination: string | undefined): Logger {
    const log = (level: string) => (message: string, fields?: Readonly<Record<string, unknown>>) => {
      const { error, why, reason } = fields ?? {};
      const detail = error instanceof Error ? error.message : (why ?? reason ?? '');
      const text = typeof detail === 'string' ? detail : '';
      this.note(`  rivulet ${level}: ${destination ?? ''} ${message} ${text}`);
      this.#parts.tell.said(this, destination, message, text);
    };
    return {
      debug: () => undefined,
      info: log('info'),
      warn: log('warn'),
      error: log('error'),
      child: (fields) => {
        const { replica } = fields as { replica?: string };
        return this.#logger(replica ?? destination);
      },
    };
  }

  /** A copy of the database, as destinations and proofs want it, is what was committed at its position. */
  takeCopy(): void {
    const { rivulet } = this;
    const { primary } = rivulet ?? {};
    if (rivulet === undefined || primary === undefined) return;
    void this.#compareCopy(primary).catch((error: unknown) => {
      if (rivulet.process.isDead || isRivuletError(error) || systemCode(error) !== undefined) return;
      this.#parts.tell.bug(error);
    });
  }

  async #compareCopy(primary: Primary): Promise<void> {
    const snapshot = await primary.openSnapshot();
    const pieces: Uint8Array[] = [];
    try {
      for await (const piece of snapshot.pages()) pieces.push(piece.slice());
    } finally {
      snapshot.close();
    }
    const transaction = this.#transactionAt(snapshot.end ?? snapshot.previousEnd);
    const state = transaction === undefined ? undefined : this.#parts.past.history.get(transaction);
    if (state === undefined) return;
    this.#parts.tell.copied();
    const { index, offsetBytes } = snapshot.position;
    const why = differenceOf(Buffer.concat(pieces), state);
    if (why !== undefined)
      throw new Violation(`the copy at ${index}/${offsetBytes} is not the database: ${why}`);
  }

  #transactionAt(end: LogEnd | undefined): number | undefined {
    if (end === undefined) return undefined;
    return this.commits.get(`${end.salts.map(hex).join('')} ${end.offsetBytes}`);
  }

  /** Names of copies that are left in the state directory. */
  get leftCopies(): string[] {
    return this.disk.list(META).filter((name) => name.startsWith('copy'));
  }

  /** Something happens in the middle of whatever Rivulet does, so many calls from now. */
  atCall(calls: number, action: () => void): void {
    this.#atCall = { call: this.#calls + calls, action };
  }

  killRivulet(): void {
    this.note('rivulet is killed');
    this.kills++;
    this.rivulet?.kill();
  }

  stopRivulet(): void {
    this.note('rivulet is asked to stop');
    void this.rivulet?.stop();
  }

  freezeRivulet(ms: number): void {
    const process = this.rivulet?.process;
    if (process === undefined || process.isDead) return;
    this.note(`rivulet is frozen for ${ms} ms`);
    process.freeze();
    this.#parts.time.after(ms, () => {
      this.note('rivulet is awake');
      process.thaw();
    });
  }

  /** The virtual machine stands still; afterwards its clocks are behind, the wall clock unless somebody sets it. */
  pause(ms: number, isWallClockSet: boolean): void {
    this.note(`the machine is paused for ${ms} ms`);
    const process = this.rivulet?.process;
    process?.freeze();
    this.application.isPaused = true;
    this.#parts.time.after(ms, () => {
      this.note('the machine goes on');
      this.clocks.monotonicSkewMs -= ms;
      if (!isWallClockSet) this.clocks.skewMs -= ms;
      this.application.isPaused = false;
      process?.thaw();
    });
  }

  // ---- the machine -------------------------------------------------------------------------------------------------

  killApplication(restartAfterMs: number): void {
    this.note('the application is killed');
    this.application.kill(restartAfterMs);
  }

  killApplicationInCommit(phase: PublishingPhase, restartAfterMs: number): void {
    this.note(`the application is to die in its next commit, ${phase}`);
    this.application.dieInCommit(phase, restartAfterMs);
  }

  /** Answers the newest transaction that survived. */
  powerCut(): number {
    this.note('the power is cut');
    this.powerCuts++;
    this.rivulet?.kill();
    this.application.kill(undefined);
    this.disk.losePower();
    // The judge looks first: what SQLite makes of the files must be a committed state, or the simulation is wrong.
    if (this.hasDatabase) this.#assertWhole();
    this.application.restart();
    return this.application.current.transaction;
  }

  #assertWhole(): void {
    const process = new SimProcess('judge', this.disk, { beforeCall: () => undefined, nowMs: () => 0 });
    this.#database.open(process, true);
    const bytes = Buffer.concat(this.#database.image());
    this.#forgetLost();
    process.kill();
    const why = differenceOf(bytes, this.application.current);
    if (why !== undefined) throw new Error(`the simulated SQLite lost its mind: ${why}`);
  }

  /** Somebody puts another database in the place of this one, or removes it; later a new one is made. */
  replaceDatabase(awayMs: number): void {
    this.note(awayMs > 0 ? 'the database is deleted' : 'the database is replaced');
    this.application.loseDatabase();
    this.#database.orphan();
    this.#database = this.#openPath();
    const begin = (): void => {
      this.note('there is a new database');
      this.application.begin(this.#database, this.#parts.settings.pages);
      this.application.restart();
    };
    if (awayMs > 0) this.#parts.time.after(awayMs, begin);
    else begin();
  }

  get hasDatabase(): boolean {
    return this.disk.lookUp(DATABASE) !== undefined;
  }

  /** A file of Rivulet's own state is damaged while it does not run. */
  damageState(which: number): void {
    const files = this.disk
      .files()
      .filter((path) => path.startsWith(`${META}/`))
      .sort();
    const path = files[Math.floor(which * files.length)];
    if (path === undefined) return;
    this.killRivulet();
    this.stateDamages++;
    this.note(`${path} is damaged`);
    this.disk.damage(path);
  }

  /** What Rivulet has written down; undefined when there is nothing that can be read. */
  localState(): LocalState | undefined {
    const inode = this.disk.lookUp(`${META}/state.json`);
    if (inode === undefined) return undefined;
    try {
      return decodeState(Buffer.from(inode.content.subarray(0, inode.sizeBytes)).toString('utf8'));
    } catch {
      return undefined;
    }
  }

  jumpClock(ms: number): void {
    this.note(`the wall clock jumps by ${ms} ms`);
    this.clocks.skewMs += ms;
  }

  get walBytes(): number {
    return this.disk.lookUp(`${DATABASE}-wal`)?.sizeBytes ?? 0;
  }
}

function hex(word: number): string {
  return word.toString(16).padStart(8, '0');
}
