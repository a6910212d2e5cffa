/** The whole story of `rivulet restore`. */
import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';

import { messageOf, RivuletError } from '../../base/errors.ts';
import { joined, mapped } from '../../base/repeatable.ts';
import { visibleText } from '../../base/visible-text.ts';
import { withIdentities } from '../../config/age-section.ts';
import type { ReplicaSettings } from '../../config/settings.ts';
import type { RestorePlan } from '../../generations/plan-outcome.ts';
import { planRestore } from '../../generations/plan-restore.ts';
import { formatIndex, formatPosition } from '../../generations/names.ts';
import { formatTime } from '../../generations/restore-target.ts';
import { describeStep } from '../../generations/time-step.ts';
import type { IntegrityCheck, RestoreSummary } from '../../restore/options.ts';
import { tidyOutput } from '../../restore/output.ts';
import { restore } from '../../restore/restore.ts';
import type { CommandContext } from '../command.ts';
import { commandLogger } from '../command-logger.ts';
import { EXIT_OK } from '../exit-codes.ts';
import type { FlagValues } from '../flags.ts';
import { count, formatBytes, writeJson } from '../output.ts';
import { findSources } from '../sources.ts';
import type { Sources } from '../sources.ts';
import { chooseCandidate, describeFailure, isEmpty, readCandidates } from './choose-replica.ts';
import type { Candidate } from './choose-replica.ts';
import { createProgressBar } from './progress-bar.ts';
import { targetOf } from './target.ts';

export async function runRestore(context: CommandContext): Promise<number> {
  const { flags, signals } = context;
  const target = targetOf(flags);
  const sources = await findSources(context);
  const outputPath = outputOf(context, sources);
  const replicas = withGivenKeys(sources.replicas, flags);
  const isSkippable = flags.boolean('if-db-not-exists');
  const isEmptyThere = isEmptyFile(outputPath);
  if (isSkippable && !isEmptyThere && existsSync(outputPath)) {
    tidy(context, outputPath);
    return skip(context, 'output-exists', `${outputPath} exists already; nothing to do`);
  }
  await using stack = new AsyncDisposableStack();
  const logger = await commandLogger(context, flags.boolean('v') ? 'debug' : 'warn');
  const candidates = await readCandidates(replicas, stack, signals.graceful, logger);
  if (flags.boolean('if-replica-exists') && isEmpty(candidates)) {
    return skip(
      context,
      'replica-empty',
      'no matching backups found: the replica is empty; nothing to restore',
    );
  }
  if (isSkippable && isEmptyThere) throw emptyOutput(outputPath);
  const chosen = chooseCandidate(candidates, target);
  for (const failure of candidates.failures) logger.warn(describeFailure(failure));
  for (const { other } of candidates.readable)
    if (other !== undefined) logger.warn(other.message, { hint: other.hint });
  if (flags.boolean('dry-run')) {
    showPlan(context, planRestore(chosen.inventory, target), chosen, outputPath);
    return EXIT_OK;
  }
  using bar = createProgressBar(context.stderr, context.stderr.isTTY && isQuiet(context));
  const summary = await restore({
    store: chosen.store,
    target,
    inventory: chosen.inventory,
    outputPath,
    parallelism: flags.count('parallelism'),
    integrityCheck: flags.text('integrity-check') as IntegrityCheck | undefined,
    onProgress: (progress) => bar.show(progress),
    signal: signals.graceful,
    logger,
  });
  bar[Symbol.dispose]();
  showSummary(context, summary, chosen, outputPath);
  return EXIT_OK;
}

/** A restore that was killed after the output had its name has left something, and nobody would ever come back for it. */
function tidy({ stderr }: CommandContext, outputPath: string): void {
  try {
    tidyOutput(outputPath);
  } catch (error) {
    const why = visibleText(messageOf(error));
    stderr.write(
      `rivulet: what a killed restore has left beside ${visibleText(outputPath)} cannot be removed: ${why}\n`,
    );
  }
}

/** A file of no bytes, as an interrupted first start leaves: `replicate` takes it for no database, too. */
function isEmptyFile(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats?.isFile() === true && stats.size === 0;
}

/** To pass it over would let the application begin with nothing beside a replica that has its data. */
function emptyOutput(path: string): RivuletError {
  return new RivuletError('OUTPUT_EXISTS', `${path} is an empty file and no database; the replica has one`, {
    hint: 'Remove the empty file, or give another output path; a mount of a single file cannot be restored to: mount its directory.',
    details: { path },
  });
}

/** The replicas, with the keys that the command line adds to those of the configuration. */
function withGivenKeys(replicas: readonly ReplicaSettings[], flags: FlagValues): readonly ReplicaSettings[] {
  const [identities, passphrase] = [flags.text('age-identity-file'), flags.text('age-passphrase-file')];
  if (identities === undefined && passphrase === undefined) return replicas;
  const more = {
    identitiesFile: identities === undefined ? [] : [resolve(identities)],
    passphraseFile: passphrase === undefined ? undefined : resolve(passphrase),
  };
  return replicas.map((replica) => ({ ...replica, age: withIdentities(replica.age, more) }));
}

function outputOf({ flags }: CommandContext, { databasePath }: Sources): string {
  const output = flags.text('o') ?? databasePath;
  if (output === undefined || output === '') {
    throw new RivuletError('USAGE', 'restore from a URL needs -o PATH, where to write the database');
  }
  return resolve(output);
}

function isQuiet({ flags }: CommandContext): boolean {
  return !flags.boolean('v') && !flags.boolean('json');
}

function skip({ flags, stdout }: CommandContext, reason: string, message: string): number {
  if (flags.boolean('json')) writeJson(stdout, { restored: false, reason });
  else stdout.write(`${visibleText(message)}\n`);
  return EXIT_OK;
}

function showPlan(
  { flags, stdout }: CommandContext,
  plan: RestorePlan,
  from: Candidate,
  outputPath: string,
): void {
  const objects = mapped(joined([[plan.snapshot], plan.segments]), ({ key, sizeBytes }) => ({
    key,
    size: sizeBytes,
  }));
  const { generation, bytes, resultingTimeMs, timeStepMs = 1 } = plan;
  const resultingTime = formatTime(resultingTimeMs);
  if (flags.boolean('json')) {
    const source = { replica: from.name, location: from.store.location, generation };
    writeJson(stdout, {
      dryRun: true,
      output: outputPath,
      ...source,
      bytes,
      resultingTime,
      timeStepMs,
      objects: [...objects],
    });
    return;
  }
  stdout.write(
    `${visibleText(`would restore ${outputPath} from ${from.store.location} (replica ${from.name})`)}\n` +
      `  generation ${generation}, snapshot ${formatIndex(plan.snapshot.index)}, ${count(plan.segments.length, 'segment')}\n` +
      `  ${count(plan.objects, 'object')}, ${formatBytes(bytes)} to fetch\n` +
      `  the state of ${resultingTime}${inStep(timeStepMs)}\n`,
  );
  if (flags.boolean('v'))
    for (const { key, size } of objects) stdout.write(`  ${visibleText(key)}  ${size}\n`);
}

/** How exact a time is, in brackets; nothing where it is exact. */
function inStep(timeStepMs: number): string {
  const step = describeStep(timeStepMs);
  return step === undefined ? '' : ` (${step})`;
}

function showSummary(
  context: CommandContext,
  done: RestoreSummary,
  from: Candidate,
  outputPath: string,
): void {
  const resultingTime = formatTime(done.resultingTimeMs);
  if (context.flags.boolean('json')) {
    const { resultingTimeMs: _resultingTimeMs, elapsedMs, ...facts } = done;
    const source = { replica: from.name, location: from.store.location };
    writeJson(context.stdout, {
      restored: true,
      output: outputPath,
      ...source,
      ...facts,
      resultingTime,
      elapsedMs: Math.round(elapsedMs),
    });
    return;
  }
  const position =
    done.position === undefined ? formatIndex(done.snapshotIndex) : formatPosition(done.position);
  const proof = done.proven ? 'every byte was checked' : `integrity check: ${done.integrityCheck}`;
  const line =
    `restored ${outputPath} (${formatBytes(done.databaseBytes)}) as of ${resultingTime}${inStep(done.timeStepMs)} from ${from.store.location}: ` +
    `generation ${done.generation} at ${position}, ${count(done.segments, 'segment')}, ` +
    `${formatBytes(done.bytesFetched)} in ${(done.elapsedMs / 1000).toFixed(1)} s; ${proof}`;
  context.stdout.write(`${visibleText(line)}\n`);
  for (const reason of done.unprovenReasons)
    context.stderr.write(`rivulet: not proven: ${visibleText(reason)}\n`);
  for (const path of done.movedAside)
    context.stderr.write(`rivulet: a file beside the output that held nothing is now ${visibleText(path)}\n`);
  for (const reason of done.checkLeftOut) context.stderr.write(`rivulet: ${visibleText(reason)}\n`);
}
