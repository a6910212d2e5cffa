/** Whom does the destination see, and for how long? Says where the credentials come from, never what they are. */
import { access, constants } from 'node:fs/promises';
import type { Clock } from '../../base/clock.ts';
import { formatDuration } from '../../base/duration.ts';
import { messageOf, RivuletError } from '../../base/errors.ts';
import type { AbsDestination, NetworkDestination, SftpDestination } from '../../config/settings.ts';
import type { ReloadableKeys } from '../network-backends.ts';
import type { Outcome } from './finding.ts';
import { withinTime } from './within-time.ts';

export interface CredentialsCheck {
  readonly destination: NetworkDestination;
  /** What the open store asks for keys; undefined where the backend sees to its credentials by itself. */
  readonly keys: ReloadableKeys | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** @throws RivuletError `CREDENTIALS_FAILED` when their source gives none */
export async function checkCredentials(check: CredentialsCheck): Promise<Outcome> {
  const { destination, keys, clock } = check;
  if (keys === undefined) {
    await assertReadable(destination);
    return { verdict: 'ok', detail: `from ${identityOf(destination, clock.now())}` };
  }
  const got = await withinTime(
    async (signal) => keys.current(signal),
    check.signal,
    (problem, cause) => sourceSilent(keys.status.source, problem, cause),
  );
  const life =
    got.expiresAtMs !== undefined
      ? lifeOf(got.expiresAtMs, clock.now())
      : got.sessionToken === undefined
        ? 'without an end'
        : 'temporary, and nobody says until when';
  return { verdict: 'ok', detail: `from ${keys.status.source}; ${life}` };
}

/** Those that are read for each connection; the others have been read with the configuration. */
async function assertReadable(destination: NetworkDestination): Promise<void> {
  const path = fileOf(destination);
  if (path === undefined) return;
  try {
    await access(path, constants.R_OK);
  } catch (error) {
    throw new RivuletError('CREDENTIALS_FAILED', `${path} cannot be read: ${messageOf(error)}`, {
      cause: error,
      hint: 'Is the path right, and may the user that Rivulet runs as read it?',
    });
  }
}

function fileOf(destination: NetworkDestination): string | undefined {
  if (destination.type === 'gcs') return destination.credentialsFile;
  if (destination.type !== 'sftp') return undefined;
  const { keyPath, password, agent } = destination;
  return password === undefined ? (keyPath ?? agent) : keyPath;
}

function sourceSilent(source: string, problem: string, cause: unknown): RivuletError {
  return new RivuletError('CREDENTIALS_FAILED', `no credentials from ${source}: ${problem}`, {
    cause,
    hint: 'Each connection, and each renewal, would wait for it as long. Does it wait for an input, or for a network?',
  });
}

function lifeOf(expiresAtMs: number, nowMs: number): string {
  const leftMs = Math.round((expiresAtMs - nowMs) / 1_000) * 1_000;
  return leftMs > 0 ? `good for another ${formatDuration(leftMs)}` : 'expired';
}

function identityOf(destination: NetworkDestination, nowMs: number): string {
  if (destination.type === 'abs') return absIdentity(destination, nowMs);
  if (destination.type === 'sftp') return sftpIdentity(destination);
  const file = destination.type === 'gcs' ? destination.credentialsFile : undefined;
  return file ?? 'the application default credentials';
}

function absIdentity(
  { sasToken, sasTokenFile, accountKey, accountKeyFile }: AbsDestination,
  nowMs: number,
): string {
  if (sasToken !== undefined) {
    const expiresAtMs = Date.parse(new URLSearchParams(sasToken).get('se') ?? '');
    const life = Number.isNaN(expiresAtMs) ? '' : `; ${lifeOf(expiresAtMs, nowMs)}`;
    return `${sasTokenFile ?? 'a shared access signature'}${life}`;
  }
  if (accountKey !== undefined) return accountKeyFile ?? 'the account key';
  return 'the default identity of this machine';
}

function sftpIdentity({ keyPath, password, passwordFile, agent }: SftpDestination): string {
  if (keyPath !== undefined) return `the key ${keyPath}`;
  if (password !== undefined) return passwordFile ?? 'a password';
  return agent === undefined ? 'an ssh-agent' : `the ssh-agent at ${agent}`;
}
