/**
 * The proofs of one destination: what is remembered of them, what is told, and what has to be done. How a proof is made is
 * `verify/`'s business; who takes the fresh snapshot, that of `duties.ts`.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { isRivuletError, type RivuletError, systemCode } from '../base/errors.ts';
import type { Files } from '../base/files.ts';
import type { Logger } from '../base/log.ts';
import { generationOf, readInventory } from '../generations/inventory.ts';
import { comparePositions, formatIndex, formatPosition, type Position } from '../generations/names.ts';
import { formatTime } from '../generations/restore-target.ts';
import { findUnlisted } from '../generations/unlisted.ts';
import { positionOf } from '../primary/cursor.ts';
import type { Primary } from '../primary/primary.ts';
import { removeLeftovers } from '../restore/output.ts';
import { listingBehind } from '../storage/listing-behind.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { choosePoint } from '../verify/choose-point.ts';
import type { Damage, Inconclusive, Proof, Proven } from '../verify/proof.ts';
import { assertRoomFor, provePoint } from '../verify/prove-point.ts';
import { type ProvenChain, reachOf, withIntact } from '../verify/proven-chain.ts';
import { proveQuickly } from '../verify/quick-proof.ts';
import { decideHeal } from './heal-policy.ts';
import {
  emptyNote,
  type ProofFileParts,
  type ProofNote,
  type ProvenNote,
  readProofNote,
  writeProofNote,
} from './proof-note.ts';
import type { ReplicaObserver } from './replica-observer.ts';
import type { ProofStatus } from './replica-status.ts';
import type { Session } from './session.ts';
import type { StoreClock } from './store-clock.ts';
import { type Validated, validateReplica, validationPath } from './validation.ts';

/** Objects that somebody was told of are remembered, up to so many. */
const TOLD_MAX = 64;
/** For so long it may be an outage. What cannot be proven after that does not become provable by itself. */
const OPEN_MAX_MS = 24 * 3_600_000;
/** Listings that lag are up to date by then, wherever they are of any use. */
const UNLISTED_MS_MAX = 15 * 60_000;
/** For a full proof the newest objects have to be listed. */
const LISTING_LOOKS_MAX = 10;
const LISTING_PAUSE_MS = 1_000;

export interface VerifySettings {
  /** Between full proofs, if something was stored since; 0: none. */
  readonly intervalMs: number;
  /** Between quick proofs, if something was stored since; 0: none. */
  readonly quickIntervalMs: number;
  /** Where copies are restored to; the directory of the local state when absent. */
  readonly temporaryPath?: string | undefined;
  /** A larger database is not restored by itself, and a larger snapshot not read back; 0: no limit. */
  readonly maxSizeBytes: number;
}

export interface ProverSettings {
  readonly name: string;
  readonly metaPath: string;
  readonly retentionMs: number;
  /** Full proofs that were asked for by themselves: no size is too large for them. */
  readonly validationIntervalMs: number | undefined;
  /** Listings of an encrypted destination tell the size of what is stored, not of what is read. */
  readonly isEncrypted: boolean;
  readonly verify: VerifySettings;
}

export interface ProverParts {
  readonly primary: Primary;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly storeClock: StoreClock;
  readonly logger: Logger;
  readonly observer: ReplicaObserver;
  readonly files: Files;
  /** Rejects with `LEASE_LOST` when somebody else has become the writer: what is missing then, they have removed. */
  readonly stillWriter?: ((signal: AbortSignal | undefined) => Promise<void>) | undefined;
  /** Numbers from 0 up to 1. */
  readonly random?: () => number;
}

/** What a proof asks of whoever runs it: nothing, or a fresh snapshot in a later log than this one. */
export type Demand = { readonly kind: 'none' } | { readonly kind: 'snapshot'; readonly afterIndex: number };

const NOTHING: Demand = { kind: 'none' };

export class Prover {
  readonly #settings: ProverSettings;
  readonly #parts: ProverParts;
  #note: ProofNote;
  #status: ProofStatus | undefined;
  #saidTooLarge = false;
  /** Since when proofs have come to nothing, and what was said of it; by the monotonic clock. */
  #open: { readonly sinceMs: number; readonly toldMs: number; readonly code: string } | undefined;
  /** How far proofs get, and since when, while a listing lacks what is there. */
  #unlisted: { readonly reach: string; readonly sinceMs: number } | undefined;
  #saidProven = false;
  #isTidy = false;

  constructor(settings: ProverSettings, parts: ProverParts) {
    this.#settings = settings;
    this.#parts = parts;
    const { location } = parts.store;
    const note = this.#isOn ? readProofNote(this.#file, location) : undefined;
    this.#note = note ?? emptyNote(location, parts.clock.now());
    this.#status = statusOf(this.#note);
  }

  get #isOn(): boolean {
    const { verify, validationIntervalMs } = this.#settings;
    return verify.quickIntervalMs > 0 || verify.intervalMs > 0 || (validationIntervalMs ?? 0) > 0;
  }

  get #file(): ProofFileParts {
    const { metaPath, name } = this.#settings;
    const { files, logger } = this.#parts;
    return { metaPath, name, files, logger };
  }

  get status(): ProofStatus | undefined {
    return this.#status;
  }

  /** While it is, nothing older may be let go of. */
  get isBroken(): boolean {
    return this.#note.broken !== undefined;
  }

  /** Since when something has been there that nobody has proven, in milliseconds since 1970; undefined: nothing. */
  get newsSinceMs(): number | undefined {
    return this.#note.newsSinceMs;
  }

  /** When a quick proof ended last; before the first one, when looking began. In milliseconds since 1970. */
  get lookedAtMs(): number {
    return this.#note.quickAtMs;
  }

  get hasNewsSinceFull(): boolean {
    return this.#note.hasNewsSinceFull;
  }

  // ---- what happens at the destination -------------------------------------------------------------------------

  /** Something was stored. */
  stored(): void {
    if (this.#note.newsSinceMs !== undefined && this.#note.hasNewsSinceFull) return;
    const newsSinceMs = this.#note.newsSinceMs ?? this.#parts.clock.now();
    // On disk, so that processes that live for a moment only come to a proof as well.
    this.#keep({ newsSinceMs, hasNewsSinceFull: true });
  }

  /** A clock that was wrong for a while may have noted a moment that is yet to come. */
  notAhead(nowMs: number): void {
    const { newsSinceMs = nowMs, quickAtMs } = this.#note;
    if (quickAtMs > nowMs) this.#note = { ...this.#note, quickAtMs: nowMs };
    if (newsSinceMs > nowMs) this.#note = { ...this.#note, newsSinceMs: nowMs };
  }

  /** A session begins: is what the destination holds what was proven last? */
  begin(session: Session): void {
    this.#tidy();
    const { chain } = this.#note;
    const isProven =
      chain?.generation === session.generation &&
      comparePositions(reachOf(chain), positionOf(session.cursor)) === 0;
    if (!isProven || this.isBroken) this.stored();
    // Whether a fresh snapshot has healed it shall be known at once.
    if (this.isBroken) this.#note = { ...this.#note, newsSinceMs: 0 };
  }

  /** The copy of a process that was killed while it proved. Nobody else uses that place. */
  #tidy(): void {
    if (this.#isTidy) return;
    this.#isTidy = true;
    try {
      removeLeftovers(this.#temporaryPath());
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      this.#parts.logger.warn('what an earlier proof has left cannot be removed', { error });
    }
  }

  /** A fresh snapshot stands behind the damage: the next proof begins with it. */
  healed(session: Session): void {
    const { broken, chain } = this.#note;
    if (broken === undefined) return;
    const heals = broken.heals + 1;
    this.#keep({ broken: { ...broken, heals, healedAtMs: this.#parts.clock.now() } });
    this.#parts.logger.info('a fresh snapshot is stored behind the damage', {
      generation: session.generation,
      index: formatIndex(session.snapshotIndex),
      intact: chain?.base.entry.key,
    });
  }

  /** Everything that was stored is gone; a fresh snapshot is on its way, which is proven at once. */
  emptied(message: string): void {
    if (!this.#isOn) return;
    const { clock, observer } = this.#parts;
    const nowMs = clock.now();
    observer.onProof?.('quick', 'broken');
    this.#keep({
      quickAtMs: nowMs,
      newsSinceMs: nowMs,
      proven: undefined,
      chain: undefined,
      broken: { key: undefined, index: undefined, message, heals: 1, healedAtMs: nowMs },
    });
    this.#status = statusOf(this.#note);
  }

  // ---- proofs --------------------------------------------------------------------------------------------------

  /** Proves what is new. @throws what is neither the replica's nor the destination's doing */
  async quick(session: Session, signal: AbortSignal | undefined): Promise<Demand> {
    const { store, clock, storeClock, logger } = this.#parts;
    const { retentionMs, isEncrypted, verify } = this.#settings;
    const { chain: before, broken, newsSinceMs } = this.#note;
    // What comes meanwhile is news for the next one.
    this.#note = { ...this.#note, newsSinceMs: undefined };
    try {
      const { proof, chain, unlistedKey } = await proveQuickly({
        store,
        generation: session.generation,
        // The way into what is known to be damaged leads nowhere.
        known: broken === undefined ? before : undefined,
        stored: positionOf(session.cursor),
        storedSnapshotIndex: session.snapshotIndex,
        storedSegment: session.lastSegment,
        retentionMs,
        latestMs: storeClock.latestMs,
        snapshotBytesMax: verify.maxSizeBytes,
        hasExactSizes: !isEncrypted,
        clock,
        logger,
        signal,
      });
      if (proof.outcome === 'proven') {
        const whole =
          broken === undefined || chain === undefined ? chain : withIntact(chain, before, broken.index ?? 0);
        // What is not listed yet is for the next proof.
        const news = unlistedKey === undefined ? this.#note.newsSinceMs : clock.now();
        this.#note = { ...this.#note, chain: whole, newsSinceMs: news };
      }
      const isStuck = this.#isStuck(unlistedKey, chain);
      if (!isStuck || proof.outcome === 'broken' || unlistedKey === undefined)
        return await this.#conclude('quick', proof, session, signal);
      const error = listingBehind(store.location, unlistedKey);
      return await this.#conclude('quick', { outcome: 'inconclusive', error }, session, signal);
    } catch (error) {
      this.#note = { ...this.#note, newsSinceMs: newsSinceMs ?? this.#note.newsSinceMs };
      throw error;
    }
  }

  /** Whether a listing has lacked what is there for long, without a proof getting any further meanwhile. */
  #isStuck(unlistedKey: string | undefined, chain: ProvenChain | undefined): boolean {
    const nowMs = this.#parts.clock.monotonicMs();
    const reach = chain === undefined ? '' : formatPosition(reachOf(chain));
    if (unlistedKey === undefined) this.#unlisted = undefined;
    else if (this.#unlisted?.reach !== reach) this.#unlisted = { reach, sinceMs: nowMs };
    return this.#unlisted !== undefined && nowMs - this.#unlisted.sinceMs >= UNLISTED_MS_MAX;
  }

  /**
   * Restores the newest state and compares it with the live database, then one older moment.
   *
   * @param shipped - as `validateReplica` wants it
   */
  async full(
    session: Session,
    shipped: (position: Position) => Promise<Position>,
    signal: AbortSignal | undefined,
  ): Promise<Demand> {
    if (this.#isTooLarge() || this.#open?.code === 'AGE_KEY_MISSING') return NOTHING;
    // What comes meanwhile is news for the next one.
    this.#note = { ...this.#note, hasNewsSinceFull: false };
    try {
      return await this.#compare(session, shipped, signal);
    } catch (error) {
      this.#note = { ...this.#note, hasNewsSinceFull: true };
      if (!isRivuletError(error, 'OUTPUT_UNWRITABLE', 'AGE_KEY_MISSING')) throw error;
      return this.#conclude('full', { outcome: 'inconclusive', error }, session, signal);
    }
  }

  async #compare(
    session: Session,
    shipped: (position: Position) => Promise<Position>,
    signal: AbortSignal | undefined,
  ): Promise<Demand> {
    const temporaryPath = this.#temporaryPath();
    assertRoomFor(temporaryPath, this.#parts.primary.sizes()?.databaseBytes ?? 0);
    const validated = await this.#validate(session, temporaryPath, shipped, signal);
    const demand = await this.#conclude('full', proofOf(session, validated), session, signal);
    // Older moments of a database that is damaged itself prove nothing against the destination.
    if (validated.outcome !== 'equal' || !validated.isSound) return demand;
    const older = await this.#proveOlder(temporaryPath, signal);
    return older === undefined ? demand : this.#conclude('older', older, session, signal);
  }

  #temporaryPath(): string {
    const { metaPath, name, verify } = this.#settings;
    if (verify.temporaryPath === undefined) return validationPath(metaPath, name);
    // Several databases and processes may share the directory; a local state belongs to one process.
    const place = createHash('sha256').update(`${metaPath}\0${name}`).digest('hex').slice(0, 16);
    return join(verify.temporaryPath, `rivulet-proof-${place}.db`);
  }

  #isTooLarge(): boolean {
    const { verify, validationIntervalMs } = this.#settings;
    const databaseBytes = this.#parts.primary.sizes()?.databaseBytes ?? 0;
    const isAskedFor = (validationIntervalMs ?? 0) > 0;
    if (isAskedFor || verify.maxSizeBytes === 0 || databaseBytes <= verify.maxSizeBytes) return false;
    if (!this.#saidTooLarge) {
      this.#parts.logger.info(
        'the database is larger than `max-size` of the `verify` section: it is proven quickly, and not restored in full',
        { databaseBytes, maxSizeBytes: verify.maxSizeBytes, instead: 'rivulet verify -full' },
      );
    }
    this.#saidTooLarge = true;
    return true;
  }

  async #validate(
    session: Session,
    temporaryPath: string,
    shipped: (position: Position) => Promise<Position>,
    signal: AbortSignal | undefined,
  ): Promise<Validated> {
    const { primary, store, logger, observer, clock } = this.#parts;
    const { generation } = session;
    const listed = async (position: Position): Promise<Position> => {
      const reached = await shipped(position);
      await this.#requireListed(session, signal);
      return reached;
    };
    const parts = { primary, store, generation, temporaryPath, logger, clock, signal, shipped: listed };
    const validated = await validateReplica(parts);
    observer.onValidation(validated.outcome === 'equal');
    return validated;
  }

  /** A copy that is restored from a listing which lacks the newest objects would prove nothing. */
  async #requireListed(session: Session, signal: AbortSignal | undefined): Promise<void> {
    const { store, clock } = this.#parts;
    const { generation } = session;
    for (let looks = 1; ; looks += 1) {
      const held = generationOf(await readInventory(store, { generation, signal }), generation);
      const key = await findUnlisted(store, held, session, { signal });
      if (key === undefined) return;
      if (looks === LISTING_LOOKS_MAX) throw listingBehind(store.location, key);
      await clock.sleep(LISTING_PAUSE_MS, signal);
    }
  }

  async #proveOlder(temporaryPath: string, signal: AbortSignal | undefined): Promise<Proof | undefined> {
    const { store, clock, storeClock, logger, random = Math.random } = this.#parts;
    const { retentionMs, isEncrypted } = this.#settings;
    const inventory = await readInventory(store, { signal });
    const windowStartMs = retentionMs > 0 ? storeClock.latestMs - retentionMs : Number.NEGATIVE_INFINITY;
    const chosen = choosePoint(inventory, windowStartMs, random);
    if (chosen === undefined) return undefined;
    const { target, what } = chosen;
    try {
      const hasExactSizes = !isEncrypted;
      const proof = await provePoint({ store, target, temporaryPath, hasExactSizes, clock, logger, signal });
      if (proof.outcome === 'proven') logger.debug('an older moment restores', { what, ...target });
      return proof;
    } catch (error) {
      // It has left the window since the listing.
      if (!isRivuletError(error, 'TARGET_UNAVAILABLE')) throw error;
      return undefined;
    }
  }

  // ---- what follows from them ----------------------------------------------------------------------------------

  async #conclude(
    depth: 'quick' | 'full' | 'older',
    found: Proof,
    session: Session,
    signal: AbortSignal | undefined,
  ): Promise<Demand> {
    const proof = asOurs(found, session);
    if (proof.outcome === 'broken') await this.#parts.stillWriter?.(signal);
    this.#parts.observer.onProof?.(depth === 'quick' ? 'quick' : 'full', proof.outcome);
    if (proof.outcome === 'proven') this.#proven(depth, proof);
    else if (proof.outcome === 'inconclusive') this.#leftOpen(proof);
    else return this.#broken(depth, proof.damage, session);
    return NOTHING;
  }

  #proven(depth: 'quick' | 'full' | 'older', proof: Proven): void {
    const { clock, logger } = this.#parts;
    const wasBroken = this.isBroken;
    // An older moment proves nothing about the newest one, and a comparison of the newest is no proof of the chain.
    const broken = depth === 'quick' ? undefined : this.#note.broken;
    this.#open = undefined;
    if (depth === 'older') return;
    const restoreMs = depth === 'full' ? proof.elapsedMs : this.#note.restoreMs;
    const atMs = clock.now();
    const untilMs = Math.max(proof.untilMs, this.#note.proven?.untilMs ?? 0);
    this.#keep({
      quickAtMs: depth === 'quick' ? atMs : this.#note.quickAtMs,
      proven: { untilMs, atMs, except: proof.unproven[0] ?? proof.checkLeftOut[0] },
      broken,
      restoreMs,
      // What has no name may go wrong again, and is told again.
      toldKeys: wasBroken ? this.#note.toldKeys.filter(isObjectKey) : this.#note.toldKeys,
    });
    this.#status = statusOf(this.#note);
    const message = this.#status?.message ?? '';
    const fields = {
      depth,
      objects: proof.objects,
      bytes: proof.bytes,
      elapsedMs: Math.round(proof.elapsedMs),
    };
    if (depth === 'full' || wasBroken || !this.#saidProven) logger.info(message, fields);
    else logger.debug(message, fields);
    this.#saidProven = true;
  }

  #leftOpen({ error }: Inconclusive): void {
    const { clock } = this.#parts;
    const { newsSinceMs } = this.#note;
    // What could not be looked at is still unproven. Only a restart brings keys, so without one nothing is gained by trying.
    const isTriedAgain = error.code !== 'AGE_KEY_MISSING';
    this.#keep({
      newsSinceMs: isTriedAgain ? (newsSinceMs ?? clock.now()) : newsSinceMs,
      quickAtMs: clock.now(),
    });
    if (!this.isBroken) {
      const { provenUntilMs, restoreMs } = this.#status ?? {};
      const message = `not proven: ${error.message}`;
      this.#status = { outcome: 'inconclusive', atMs: clock.now(), provenUntilMs, restoreMs, message };
    }
    this.#tellOpen(error);
  }

  /** A line for each reason, and one each day, which is an alarm: by then it is no outage. */
  #tellOpen(error: RivuletError): void {
    const { clock, logger } = this.#parts;
    const nowMs = clock.monotonicMs();
    const before = this.#open;
    const sinceMs = before?.sinceMs ?? nowMs;
    const isReminder = before !== undefined && nowMs - before.toldMs >= OPEN_MAX_MS;
    if (before?.code === error.code && !isReminder) return;
    this.#open = { sinceMs, toldMs: nowMs, code: error.code };
    if (error.code === 'AGE_KEY_MISSING') {
      if (before?.code !== error.code)
        logger.info('the destination cannot be proven from here: there is no identity to read it with');
      return;
    }
    const { quickIntervalMs, intervalMs } = this.#settings.verify;
    const hint = error.hint ?? OPEN_HINT;
    const fields = { error, hint, retryInMs: quickIntervalMs || intervalMs };
    if (isReminder) logger.error('the destination cannot be proven', { ...fields, forMs: nowMs - sinceMs });
    else logger.warn('the destination could not be proven; trying again', fields);
  }

  #broken(depth: 'quick' | 'full' | 'older', damage: Damage, session: Session): Demand {
    const { clock } = this.#parts;
    const before = this.#note.broken;
    const decision = decideHeal({
      damagedIndex:
        damage.generation === session.generation || damage.generation === undefined ? damage.index : -1,
      snapshotIndex: session.snapshotIndex,
      heals: before?.heals ?? 0,
      healedAtMs: before?.healedAtMs,
      nowMs: clock.now(),
    });
    this.#tell(damage, decision !== 'history');
    const { message } = damage.error;
    this.#keep({
      quickAtMs: clock.now(),
      proven: decision === 'history' ? this.#note.proven : provenDespite(damage, this.#note.proven),
      // It is looked at again, whether anything is written or not.
      newsSinceMs: this.#note.newsSinceMs ?? clock.now(),
      broken: {
        key: damage.key,
        index: damage.index,
        message,
        heals: before?.heals ?? 0,
        healedAtMs: before?.healedAtMs,
      },
    });
    this.#status = statusOf(this.#note);
    if (decision !== 'snapshot') return NOTHING;
    return { kind: 'snapshot', afterIndex: damage.index ?? positionOf(session.cursor).index };
  }

  /** One alarm for each object. */
  #tell({ key, error, generation }: Damage, isHealed: boolean): void {
    const { logger, store } = this.#parts;
    const told = key ?? `${generation ?? 'all'} ${error.code}`;
    if (this.#note.toldKeys.includes(told)) return;
    this.#note = { ...this.#note, toldKeys: [...this.#note.toldKeys, told].slice(-TOLD_MAX) };
    const next = isHealed
      ? 'a fresh snapshot is being stored; find out who or what damages the destination'
      : 'the newest state is restorable; find out who or what damages the destination';
    logger.error(`the destination does not restore: ${error.message}`, {
      error,
      hint: error.hint ?? 'Find out who or what damages the destination.',
      ...(key === undefined ? {} : { key }),
      destination: store.location,
      next,
    });
  }

  #keep(change: Partial<ProofNote>): void {
    this.#note = { ...this.#note, ...change };
    if (!this.#isOn) return;
    writeProofNote(this.#file, this.#note);
  }
}

const OPEN_HINT =
  'Nobody knows whether it restores: see to it that it can be reached and read, or set `interval` and ' +
  '`quick-interval` of `verify` to 0.';

/** What was told of is an object, or what stands for one that nobody can name. */
function isObjectKey(told: string): boolean {
  return told.includes('/');
}

/** What status pages show, after a restart as well. */
function statusOf({ broken, proven, quickAtMs, restoreMs }: ProofNote): ProofStatus | undefined {
  const about = { provenUntilMs: proven?.untilMs, restoreMs };
  if (broken !== undefined) return { outcome: 'broken', atMs: quickAtMs, ...about, message: broken.message };
  if (proven === undefined) return undefined;
  return { outcome: 'proven', atMs: proven.atMs, ...about, message: sentence(proven, restoreMs) };
}

/** What of it can still be restored. */
function provenDespite({ error }: Damage, proven: ProvenNote | undefined): ProvenNote | undefined {
  const untilMs = error.details['newestRestorable'];
  if (proven === undefined || typeof untilMs !== 'number') return undefined;
  return { ...proven, untilMs: Math.min(proven.untilMs, untilMs) };
}

function sentence({ untilMs, atMs, except }: ProvenNote, restoreMs: number | undefined): string {
  const takes = restoreMs === undefined ? '' : `, a restore takes ${(restoreMs / 1000).toFixed(1)} s`;
  const but = except === undefined ? '' : `; but ${except}`;
  return `restorable until ${formatTime(untilMs)}, proven at ${formatTime(atMs)}${takes}${but}`;
}

/** With the keys that are configured here the replica must be readable: other keys than those are damage. */
function asOurs(proof: Proof, { generation }: Session): Proof {
  if (proof.outcome !== 'inconclusive' || proof.error.code !== 'AGE_KEY_WRONG') return proof;
  const { error } = proof;
  return { outcome: 'broken', damage: { generation, key: undefined, index: undefined, error } };
}

function proofOf({ generation }: Session, validated: Validated): Proof {
  if (validated.outcome === 'equal') {
    const { position, elapsedMs, objects, bytes, untilMs, checkLeftOut } = validated;
    return {
      outcome: 'proven',
      generation,
      position,
      untilMs,
      unproven: [],
      wasChecked: true,
      checkLeftOut,
      objects,
      bytes,
      elapsedMs,
    };
  }
  const { error } = validated;
  const key = typeof error.details['key'] === 'string' ? error.details['key'] : undefined;
  return { outcome: 'broken', damage: { generation, key, index: undefined, error } };
}
