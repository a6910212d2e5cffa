/** The whole story of `rivulet verify`. */
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { isRivuletError, RivuletError } from '../../base/errors.ts';
import { shellWord } from '../../base/shell-word.ts';
import { visibleText } from '../../base/visible-text.ts';
import { silentLogger } from '../../base/log.ts';
import { withIdentities } from '../../config/age-section.ts';
import { formatReplicaUrl } from '../../config/replica-url.ts';
import { restoreSource, restoreUrl } from '../../config/restore-url.ts';
import type { ReplicaSettings } from '../../config/settings.ts';
import { openStore } from '../../daemon/stores.ts';
import { type Inventory, readInventory } from '../../generations/inventory.ts';
import { formatPosition } from '../../generations/names.ts';
import { assertNothingElse } from '../../generations/other-contents.ts';
import { formatTime, type RestoreTarget } from '../../generations/restore-target.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { makeScratchCopy } from '../../restore/scratch-copy.ts';
import { leavesOpen, type Proof } from '../../verify/proof.ts';
import { assertRoomFor, provePoint } from '../../verify/prove-point.ts';
import type { CommandContext } from '../command.ts';
import { commandLogger } from '../command-logger.ts';
import { EXIT_BROKEN, EXIT_INCONCLUSIVE, EXIT_OK } from '../exit-codes.ts';
import type { FlagValues } from '../flags.ts';
import { count, formatBytes, writeJson } from '../output.ts';
import { createProgressBar } from '../restore/progress-bar.ts';
import { targetOf } from '../restore/target.ts';
import { findSources } from '../sources.ts';
import { allPoints, type Point, pointOf } from './points.ts';

/** A person waits for the answer: enough for what passes in a few seconds. */
const ATTEMPTS_MAX = 4;

type Outcome = Proof['outcome'];

/** One point of one replica, and what came of it. */
interface Result {
  readonly db: string | undefined;
  readonly replica: string;
  readonly location: string;
  readonly point: Point;
  readonly outcome: Outcome;
  readonly proof: Proof;
  /** The command that restores the newest thing that can be had. */
  readonly restoreWith: string | undefined;
}

interface Subject {
  readonly db: string | undefined;
  readonly replica: ReplicaSettings;
}

export async function runVerify(context: CommandContext): Promise<number> {
  const { flags, stdout } = context;
  const target = wantedTarget(flags);
  const subjects = await findSubjects(context);
  const results: Result[] = [];
  for (const subject of subjects) {
    for await (const result of proveReplica(context, subject, target)) {
      results.push(result);
      if (!flags.boolean('json')) stdout.write(formatResult(result));
    }
  }
  const outcome = worst(results.map((result) => result.outcome));
  if (flags.boolean('json')) writeJson(stdout, { outcome, results: results.map(toJson) });
  return { proven: EXIT_OK, broken: EXIT_BROKEN, inconclusive: EXIT_INCONCLUSIVE }[outcome];
}

function wantedTarget(flags: FlagValues): RestoreTarget {
  const target = targetOf(flags);
  if (flags.boolean('quick') && flags.boolean('full')) {
    throw new RivuletError('USAGE', '-quick and -full cannot both be given');
  }
  if (flags.boolean('all') && (target.index ?? target.timestampMs) !== undefined) {
    throw new RivuletError('USAGE', '-all does not go with -index or -timestamp');
  }
  return target;
}

/** What was looked at is the worst of its parts; a replica of which nobody can say anything is not proven. */
function worst(outcomes: readonly Outcome[]): Outcome {
  if (outcomes.includes('broken')) return 'broken';
  return outcomes.length === 0 || outcomes.includes('inconclusive') ? 'inconclusive' : 'proven';
}

async function findSubjects(context: CommandContext): Promise<readonly Subject[]> {
  const { flags } = context;
  if (context.arguments.length > 0) {
    const { databasePath, replicas } = await findSources(context);
    return replicas.map((replica) => ({ db: databasePath, replica: withKeys(replica, flags) }));
  }
  const { loadConfigFor } = await import('../load-config.ts');
  const { config } = await loadConfigFor(context);
  const wanted = flags.text('replica');
  const all = config.databases.flatMap(({ path, replicas }) =>
    replicas.map((replica) => ({ db: path, replica: withKeys(replica, flags) })),
  );
  const chosen = all.filter(({ replica }) => wanted === undefined || replica.name === wanted);
  if (chosen.length > 0) return chosen;
  throw new RivuletError(
    'REPLICA_UNKNOWN',
    `the configuration has no replica${wanted === undefined ? '' : ` "${wanted}"`}`,
  );
}

function withKeys(replica: ReplicaSettings, flags: FlagValues): ReplicaSettings {
  const [identities, passphrase] = [flags.text('age-identity-file'), flags.text('age-passphrase-file')];
  if (identities === undefined && passphrase === undefined) return replica;
  const more = {
    identitiesFile: identities === undefined ? [] : [resolve(identities)],
    passphraseFile: passphrase === undefined ? undefined : resolve(passphrase),
  };
  return { ...replica, age: withIdentities(replica.age, more) };
}

async function* proveReplica(
  context: CommandContext,
  subject: Subject,
  target: RestoreTarget,
): AsyncGenerator<Result, void, undefined> {
  const { replica, db } = subject;
  const { graceful: signal } = context.signals;
  const logger = await commandLogger(context);
  const { destination } = replica;
  const location = restoreUrl(destination) ?? formatReplicaUrl(destination);
  const about = { db, replica: replica.name, location };
  await using stack = new AsyncDisposableStack();
  let store: ObjectStore;
  let inventory: Inventory;
  try {
    store = stack.adopt(
      await openStore(replica, { logger, attemptsMax: ATTEMPTS_MAX, personWaits: true }),
      async (opened) => opened.close(),
    );
    inventory = await readInventory(store, { signal });
    await assertNothingElse(store, inventory, { signal });
  } catch (error) {
    if (signal.aborted || !leavesOpen(error)) throw error;
    const proof: Proof = { outcome: 'inconclusive', error };
    yield { ...about, point: pointOf(target), outcome: 'inconclusive', proof, restoreWith: undefined };
    return;
  }
  for (const point of pointsFor(inventory, target, context.flags)) {
    const proof = await provePlace(context, subject, store, point, inventory);
    yield {
      ...about,
      point,
      outcome: outcomeOf(proof),
      proof,
      restoreWith: commandFor(restoreSource(destination, replica.name, db), proof),
    };
  }
}

function pointsFor(inventory: Inventory, target: RestoreTarget, flags: FlagValues): readonly Point[] {
  if (!flags.boolean('all')) return [pointOf(target)];
  const { generation } = target;
  const all = allPoints(inventory).filter(
    ({ target: one }) => generation === undefined || one.generation === generation,
  );
  return all.length === 0 ? [pointOf(target)] : all;
}

async function provePlace(
  { flags, clock, stderr, signals }: CommandContext,
  { replica }: Subject,
  store: ObjectStore,
  { target }: Point,
  inventory: Inventory,
): Promise<Proof> {
  using bar = createProgressBar(stderr, stderr.isTTY && !flags.boolean('json'));
  await using stack = new AsyncDisposableStack();
  const temporaryPath = flags.boolean('full') ? makePlace({ flags, clock }, replica, stack) : undefined;
  try {
    if (temporaryPath !== undefined) assertRoomFor(temporaryPath, largestSnapshot(inventory));
    return await provePoint({
      store,
      target,
      temporaryPath,
      hasExactSizes: replica.age === undefined,
      clock,
      logger: silentLogger,
      onProgress: (progress) => bar.show(progress),
      signal: signals.graceful,
    });
  } catch (error) {
    // What was listed and is not there any more has left the retention's window meanwhile.
    const isGone = flags.boolean('all') && isRivuletError(error, 'TARGET_UNAVAILABLE');
    if (!isGone && !isRivuletError(error, 'OUTPUT_UNWRITABLE')) throw error;
    return { outcome: 'inconclusive', error };
  }
}

function makePlace(
  { flags, clock }: Pick<CommandContext, 'flags' | 'clock'>,
  { verify }: ReplicaSettings,
  stack: AsyncDisposableStack,
): string {
  const given = flags.text('temporary-path');
  const parent = given === undefined ? (verify.temporaryPath ?? tmpdir()) : resolve(given);
  try {
    return stack.use(makeScratchCopy(parent, 'rivulet-verify-', clock.now())).path;
  } catch (error) {
    throw new RivuletError('OUTPUT_UNWRITABLE', `${parent} cannot be written`, {
      cause: error,
      hint: 'Give another directory with -temporary-path.',
    });
  }
}

/** A copy is at least as large as the snapshot that it begins with, compressed as that is. */
function largestSnapshot({ generations }: Inventory): number {
  let bytes = 0;
  for (const { snapshots } of generations)
    for (const { sizeBytes } of snapshots) bytes = Math.max(bytes, sizeBytes);
  return bytes;
}

/** Without a copy that SQLite has checked, links that nothing proves stay open. */
function outcomeOf(proof: Proof): Outcome {
  const isOpen = proof.outcome === 'proven' && proof.unproven.length > 0 && !proof.wasChecked;
  return isOpen ? 'inconclusive' : proof.outcome;
}

/** What to type to get what can be had; nothing where all is well or nothing can. */
function commandFor(source: readonly string[], proof: Proof): string | undefined {
  if (proof.outcome !== 'broken') return undefined;
  const { flags } = proof.damage.error.details;
  if (typeof flags !== 'string') return undefined;
  return ['rivulet restore', ...(flags === '' ? [] : [flags]), '-o OUTPUT', ...source.map(shellWord)].join(
    ' ',
  );
}

// ---- what people see -----------------------------------------------------------------------------------------------

function formatResult(result: Result): string {
  const { db, replica, location, point, proof } = result;
  const subject = `${db ?? location} (${db === undefined ? replica : `${replica}, ${location}`}), ${point.what}`;
  return `${visibleText(`${result.outcome}: ${subject}`)}\n${detailsOf(result, proof)
    .map((line) => `  ${visibleText(line)}\n`)
    .join('')}`;
}

function detailsOf({ restoreWith, outcome }: Result, proof: Proof): string[] {
  if (proof.outcome === 'proven') return [provenText(proof), ...openText(proof, outcome)];
  const { error } = proof.outcome === 'broken' ? proof.damage : proof;
  const lines = [`${error.message} [${error.code}]`];
  if (restoreWith !== undefined) lines.push(`restore it with: ${restoreWith}`);
  else if (error.hint !== undefined) lines.push(`hint: ${error.hint}`);
  return lines;
}

function provenText(proof: Extract<Proof, { outcome: 'proven' }>): string {
  const { generation, position, untilMs, objects, bytes, elapsedMs, wasChecked } = proof;
  const at = position === undefined ? '' : ` at ${formatPosition(position)}`;
  const checked = wasChecked ? ', restored and checked by SQLite' : '';
  return (
    `restorable until ${formatTime(untilMs)}: generation ${generation}${at}, ${count(objects, 'object')}, ` +
    `${formatBytes(bytes)} in ${(elapsedMs / 1000).toFixed(1)} s${checked}`
  );
}

function openText(
  { unproven, checkLeftOut }: Extract<Proof, { outcome: 'proven' }>,
  outcome: Outcome,
): string[] {
  const reasons = [...unproven.map((reason) => `cannot be proven: ${reason}`), ...checkLeftOut];
  return outcome === 'inconclusive'
    ? [...reasons, 'hint: -full restores a copy and lets SQLite check it']
    : reasons;
}

function toJson({ db, replica, location, point, outcome, proof, restoreWith }: Result): unknown {
  const { target } = point;
  const about = { db, replica, location, target, outcome, restoreWith };
  if (proof.outcome === 'proven') {
    const { outcome: _outcome, untilMs, elapsedMs, ...facts } = proof;
    return { ...about, ...facts, restorableUntil: formatTime(untilMs), elapsedMs: Math.round(elapsedMs) };
  }
  const { error } = proof.outcome === 'broken' ? proof.damage : proof;
  const { code, message, hint } = error;
  const damage =
    proof.outcome === 'broken' ? { key: proof.damage.key, generation: proof.damage.generation } : {};
  return { ...about, ...damage, error: { code, message, hint } };
}
