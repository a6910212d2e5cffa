/** The status of a database as people read it: one line for each fact that matters, the rest left out. */
import type { DatabaseStatus, HealthReason, ReplicaReport } from '../../daemon/database-status.ts';
import { visibleText } from '../../base/visible-text.ts';
import { formatPosition } from '../../generations/names.ts';
import type { LogPin } from '../../primary/log-pin.ts';
import type { NotedError } from '../../replica/replica-status.ts';
import { formatBytes, formatSeconds } from '../output.ts';
import type { AbsentStatus, FoundStatus } from './find-status.ts';
import { formatSpan } from './format-span.ts';

/** A fact: what, and its value; undefined where there is nothing to say. */
type Fact = readonly [label: string, value: string | undefined];

const LABEL_WIDTH = 15;

export function formatStatus(found: FoundStatus): string {
  if (!found.running) return formatAbsent(found);
  const { path, status, daemon, reasons } = found;
  const up = formatSpan(daemon.nowMs - daemon.startedAtMs);
  const own = reasons.filter(({ replica }) => replica === undefined);
  const replicas = status.replicas.map((one) => formatReplica(one, daemon.nowMs, reasons));
  return [
    `${visibleText(`${path}: ${status.state} (process ${daemon.pid}, up ${up})`)}\n`,
    formatFacts('  ', [...reasonFacts(own), ...databaseFacts(status, daemon.nowMs)]),
    ...replicas,
  ].join('');
}

function formatAbsent({ path, why, code, hint, lastKnown }: AbsentStatus): string {
  const confirmed = Object.entries(lastKnown?.confirmed ?? {});
  const facts: Fact[] = [
    ['hint', hint],
    ['last known', lastKnown && `${lastKnown.generation} ${formatPosition(lastKnown.committed)}`],
    ...confirmed.map(([name, position]): Fact => [`at ${name}`, formatPosition(position)]),
  ];
  // A process that cannot be asked may well run.
  const state = code === undefined && hint === undefined ? 'not running' : 'state unknown';
  return `${visibleText(`${path}: ${state}: ${why}`)}\n${formatFacts('  ', facts)}`;
}

function databaseFacts(status: DatabaseStatus, nowMs: number): Fact[] {
  const { committed, generation, walBytes, databaseBytes, spoolBytes, lookedAtMs } = status;
  return [
    ['position', committed && `${generation} ${formatPosition(committed)}`],
    ['size', databaseBytes === undefined ? undefined : formatBytes(databaseBytes)],
    ['log', walBytes === undefined ? undefined : formatBytes(walBytes) + pinText(status.walPinnedBy)],
    ['spool', spoolBytes === 0 ? undefined : formatBytes(spoolBytes)],
    ['read lock', readLockText(status)],
    ['last look', status.state === 'following' ? undefined : ago(lookedAtMs, nowMs)],
    ['last error', errorText(status.lastError, nowMs)],
  ];
}

function formatReplica(one: ReplicaReport, nowMs: number, reasons: readonly HealthReason[]): string {
  const facts: Fact[] = [
    ...reasonFacts(reasons.filter(({ replica }) => replica === one.name)),
    ['stored', one.confirmed && formatPosition(one.confirmed)],
    ['lag', lagText(one)],
    ['last sync', ago(one.syncedAtMs, nowMs) ?? 'nothing stored since the start'],
    ['last error', errorText(one.lastError, nowMs)],
    ['next snapshot', one.snapshotDueAtMs === undefined ? undefined : dueText(one.snapshotDueAtMs, nowMs)],
    ['lease', leaseText(one)],
    ['credentials', credentialsText(one, nowMs)],
    ['proven', provenText(one, nowMs)],
  ];
  return `  ${visibleText(`${one.name}: ${one.state}, ${one.destination}`)}\n${formatFacts('    ', facts)}`;
}

function reasonFacts(reasons: readonly HealthReason[]): Fact[] {
  return reasons.map(({ reason, message }): Fact => [reason.toUpperCase(), message]);
}

function formatFacts(indent: string, facts: readonly Fact[]): string {
  return facts
    .filter(([, value]) => value !== undefined)
    .map(([label, value]) => `${indent}${visibleText(`${label.padEnd(LABEL_WIDTH)}${value}`)}\n`)
    .join('');
}

function pinText(pin: LogPin | undefined): string {
  if (pin === undefined) return '';
  if (pin.by === 'destination') return `, held by what ${pin.replica} has not confirmed`;
  const who = {
    snapshot: 'a snapshot that is being stored',
    reader: 'a reader of another process',
    writer: 'a writer of another process',
  } as const;
  return `, held by ${who[pin.by]} for ${formatSpan(pin.forMs)}`;
}

/** Only where it lasts: an application whose checkpoints wait should know. */
function readLockText({ readLock }: DatabaseStatus): string | undefined {
  const races = readLock === undefined || readLock.lostRaces === 0 ? '' : `${readLock.lostRaces} lost races`;
  const why = {
    uncounted: 'held until some thousand commits are counted',
    'lost-race': 'held for a while after a lost race',
  } as const;
  const lasting = readLock?.lasting === undefined ? '' : why[readLock.lasting];
  return [lasting, races].filter((text) => text !== '').join(', ') || undefined;
}

function lagText({ lagBytes, lagCommits, lagMs }: ReplicaReport): string {
  if (lagMs === 0 && lagBytes === 0) return 'none';
  const commits = lagCommits === 1 ? '1 commit' : `${lagCommits} commits`;
  return `${commits}, ${formatBytes(lagBytes)}, ${formatSpan(lagMs)}`;
}

function errorText(error: NotedError | undefined, nowMs: number): string | undefined {
  if (error === undefined) return undefined;
  const code = error.code === undefined ? '' : ` [${error.code}]`;
  const duty = error.duty === undefined ? '' : `${error.duty}: `;
  return `${duty}${error.message}${code}, ${formatSpan(nowMs - error.atMs)} ago${error.isOver ? ', over' : ''}`;
}

function leaseText({ lease }: ReplicaReport): string | undefined {
  if (lease === undefined) return undefined;
  const { phase, holder } = lease;
  return holder === undefined ? phase : `${phase}, held by process ${holder.pid} on ${holder.host}`;
}

function credentialsText({ credentials }: ReplicaReport, nowMs: number): string | undefined {
  if (credentials === undefined) return undefined;
  const { source, expiresAtMs, lastError } = credentials;
  const left = expiresAtMs === undefined ? '' : `, ${expiryText(expiresAtMs - nowMs)}`;
  return `${source}${left}${lastError === undefined ? '' : `; ${lastError}`}`;
}

function expiryText(leftMs: number): string {
  return leftMs > 0 ? `valid for ${formatSpan(leftMs)}` : `expired ${formatSpan(-leftMs)} ago`;
}

function provenText({ proof }: ReplicaReport, nowMs: number): string {
  if (proof === undefined) return 'not yet';
  const { outcome, provenUntilMs, restoreMs, atMs, message } = proof;
  const until = provenUntilMs === undefined ? '' : `until ${formatSeconds(new Date(provenUntilMs))}, `;
  const looked = `${formatSpan(nowMs - atMs)} ago`;
  const takes = restoreMs === undefined ? '' : `, a restore takes ${(restoreMs / 1000).toFixed(1)} s`;
  return outcome === 'proven'
    ? `${until}looked ${looked}${takes}`
    : `${until}${outcome} ${looked}: ${message}`;
}

function dueText(dueAtMs: number, nowMs: number): string {
  return dueAtMs <= nowMs ? 'with the next log' : `in ${formatSpan(dueAtMs - nowMs)}, if anything changes`;
}

function ago(atMs: number | undefined, nowMs: number): string | undefined {
  return atMs === undefined ? undefined : `${formatSpan(nowMs - atMs)} ago`;
}
