/** From options to a session that answers: the server's identity first, then ours. */
import { Socket } from 'node:net';
import type { Client, ConnectConfig, SFTPWrapper, ServerHostKeyAlgorithm } from 'ssh2';
import type { Clock } from '../../base/clock.ts';
import { RivuletError, isRivuletError, messageOf, systemCode } from '../../base/errors.ts';
import { storageFailed } from '../storage-error.ts';
import { SftpConnection } from './connection.ts';
import { type HostName, type Trust, algorithmsFor, judgeHostKey, typesToTry } from './host-key.ts';
import { Login } from './login.ts';
import { type SftpStoreOptions, type SftpTimeouts, locationOf } from './options.ts';
import { readTrust } from './trust.ts';

/** After this many unanswered keep-alives the connection is dead. */
const KEEP_ALIVES_MISSED_MAX = 2;

/** How far the connection has come; says what to blame when it stops there. */
type Phase = 'reaching' | 'greeting' | 'logging in' | 'opening SFTP';

interface Attempt {
  readonly options: SftpStoreOptions;
  readonly timeouts: SftpTimeouts;
  readonly name: HostName;
  readonly location: string;
  readonly trust: Trust;
  readonly login: Login;
  /** Ours, and destroyed by us: `ssh2` only says goodbye, and whoever does not listen would hold it open for ever. */
  readonly socket: Socket;
  /** The only type of host key to ask for. */
  readonly keyType: string | undefined;
  readonly signal: AbortSignal;
}

/**
 * @param signal - gives up
 * @throws RivuletError `STORAGE_FAILED`, `CREDENTIALS_FAILED` or `HOST_KEY_UNVERIFIED`; the signal's reason
 */
export async function connectSftp(
  options: SftpStoreOptions,
  timeouts: SftpTimeouts,
  clock: Clock,
  signal: AbortSignal,
): Promise<SftpConnection> {
  const { default: ssh2 } = await import('ssh2');
  const location = locationOf(options);
  const name = { host: options.host, port: options.port ?? 22 };
  const trust = await readTrust(options);
  let unverified: unknown;
  for (const keyType of typesToTry(trust)) {
    signal.throwIfAborted();
    const library = { parseKey: ssh2.utils.parseKey, createAgent: ssh2.createAgent };
    const login = await Login.prepare(options, library, location);
    const client = new ssh2.Client();
    const socket = new Socket();
    try {
      const attempt = { options, timeouts, name, location, trust, login, socket, keyType, signal };
      const sftp = await openSession(client, attempt);
      const { requestMs: silenceMaxMs, keepAliveMs } = timeouts;
      return new SftpConnection(client, socket, sftp, { location, silenceMaxMs, keepAliveMs, clock });
    } catch (error) {
      client.on('error', () => undefined);
      socket.destroy();
      // With a fingerprint alone, the key that it belongs to may be another one of the server's.
      const mayHaveAnother = isRivuletError(error, 'HOST_KEY_UNVERIFIED') || isNoSuchKeyType(error);
      if (!mayHaveAnother || trust.kind !== 'pinned') throw error;
      unverified ??= error;
    } finally {
      login.close();
    }
  }
  throw unverified;
}

async function openSession(client: Client, attempt: Attempt): Promise<SFTPWrapper> {
  const { name, trust, login, timeouts, signal } = attempt;
  const { promise, resolve, reject } = Promise.withResolvers<SFTPWrapper>();
  let phase: Phase = 'reaching';
  let verdict: RivuletError | undefined;
  const fail = (error: unknown): void => reject(verdict ?? connectFailed(attempt, phase, error));
  const onAbort = (): void => reject(signal.reason as Error);
  const timer = setTimeout(
    () => fail(new Error(`no answer for ${timeouts.connectMs / 1000} s`)),
    timeouts.connectMs,
  );
  signal.addEventListener('abort', onAbort, { once: true });
  client
    .on('connect', () => {
      phase = 'greeting';
      // Small requests must not wait for the answer to the ones before.
      client.setNoDelay(true);
    })
    .on('handshake', () => (phase = 'logging in'))
    .on('error', (error: Error & { level?: string }) => {
      const isOnTheWay =
        error.level === 'agent' || (error.level === 'client-authentication' && !login.isOver);
      if (isOnTheWay) login.note(error.message);
      else if (login.isOver || isLockout(error)) reject(login.refused(attempt.location));
      else fail(error);
    })
    .on('close', () => fail(new Error('the server closed the connection')))
    .on('ready', () => {
      phase = 'opening SFTP';
      client.sftp((error, sftp) => (error === undefined || error === null ? resolve(sftp) : fail(error)));
    });
  const judge = (key: Buffer): boolean => {
    verdict = judgeHostKey(trust, name, key);
    return verdict === undefined;
  };
  try {
    // A listener for each request that is under way is no leak.
    attempt.socket.setMaxListeners(0);
    // First, since `ssh2` takes a socket that is not connecting for one that is connected.
    attempt.socket.connect(name);
    client.connect(configurationOf(attempt, judge));
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    client.removeAllListeners();
  }
}

function configurationOf(attempt: Attempt, hostVerifier: (key: Buffer) => boolean): ConnectConfig {
  const { name, options, trust, login, timeouts, keyType, socket } = attempt;
  return {
    sock: socket,
    username: options.user,
    authHandler: login.next,
    hostVerifier,
    algorithms: { serverHostKey: algorithmsFor(trust, name, keyType) as ServerHostKeyAlgorithm[] },
    // The timer above covers all of it.
    readyTimeout: 0,
    keepaliveInterval: timeouts.keepAliveMs,
    keepaliveCountMax: KEEP_ALIVES_MISSED_MAX,
  };
}

const HINTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Nothing listens there: is the server running, and is the port right?',
  ENOTFOUND: 'The name of the host is not known: look for a slip, or at the name server.',
  EAI_AGAIN: 'The name server does not answer.',
  EHOSTUNREACH: 'No way leads to the host: look at network and firewall.',
  ENETUNREACH: 'No way leads to the host: look at network and firewall.',
  ETIMEDOUT: 'The host does not answer: look at network and firewall.',
};

const BLAME: Readonly<Record<Phase, string>> = {
  reaching: 'cannot reach',
  greeting: 'cannot agree with',
  'logging in': 'cannot log in to',
  'opening SFTP': 'no SFTP session at',
};

function connectFailed(attempt: Attempt, phase: Phase, error: unknown): RivuletError {
  const code = systemCode(error);
  // A connection to several addresses fails with an error for each, and no message of its own.
  const why = messageOf(error) || code || 'no connection';
  return storageFailed(`${BLAME[phase]} ${attempt.location}: ${why}`, {
    retry: !isNoSuchKeyType(error) && !/subsystem/i.test(why),
    cause: error,
    hint: hintOf(phase, why, code),
    details: { phase, ...(code === undefined ? {} : { systemCode: code }) },
  });
}

function hintOf(phase: Phase, why: string, code: string | undefined): string | undefined {
  if (/no matching host key format/i.test(why)) return HOST_KEY_HINT;
  return phase === 'opening SFTP' ? sessionHint(why) : HINTS[code ?? ''];
}

const HOST_KEY_HINT =
  'The server has no host key of a type that is accepted. One that signs by SHA-1 (ssh-rsa) only is refused, as OpenSSH does since 8.8: give the server an Ed25519 key (ssh-keygen -A), or update it.';

function sessionHint(why: string): string {
  if (/subsystem/i.test(why)) return 'The server has no "Subsystem sftp" in its sshd_config.';
  return "The login was good. With ChrootDirectory, that folder and its parents must belong to root and be writable by nobody else; the server's log has the reason.";
}

/** The server ends the login before every way was tried; it allows six attempts if nobody says otherwise. */
function isLockout(error: Error): boolean {
  return /too many authentication failures/i.test(error.message);
}

/** Server and client have no algorithm in common; nothing changes that. */
function isNoSuchKeyType(error: unknown): boolean {
  return /no matching (?:host key format|key exchange|C|S)/i.test(messageOf(error));
}
