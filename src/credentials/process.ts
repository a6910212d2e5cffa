/**
 * `credential_process`: a program prints keys as JSON. The rules are those of "Sourcing credentials with an external process"
 * in the AWS CLI's user guide: words with double quotes around spaces, no variables, no `~`; so no shell reads the command.
 */
import { parseArgsStringToArgv } from 'string-argv';

import { systemCode } from '../base/errors.ts';
import type { AwsKeys } from '../storage/aws-keys.ts';
import { credentialsFailed } from './credentials-failed.ts';
import { redact } from './redact.ts';
import { runProgram } from './run-program.ts';
import type { ProgramOutcome } from './run-program.ts';
import type { ProcessSettings } from './settings.ts';
import type { CredentialSource } from './source.ts';

/** Less than a request may take as a whole, so that the error names the program and not the destination. */
const TIMEOUT_MS = 45_000;

export class ProcessSource implements CredentialSource {
  readonly #settings: Omit<ProcessSettings, 'source'>;
  readonly #environment: NodeJS.ProcessEnv;

  constructor(settings: Omit<ProcessSettings, 'source'>, environment: NodeJS.ProcessEnv) {
    this.#settings = settings;
    this.#environment = environment;
  }

  /** The program alone: its arguments may hold a secret. */
  describe(): string {
    return `the credential process ${parseArgsStringToArgv(this.#settings.command)[0] ?? ''}`;
  }

  async fetch(signal: AbortSignal): Promise<AwsKeys> {
    const outcome = await this.#run(signal);
    if (outcome.problem !== undefined) {
      const said = redact(outcome.stderr);
      throw credentialsFailed(
        this.describe(),
        `it ${outcome.problem}${said === '' ? '' : `, saying: ${said}`}`,
      );
    }
    try {
      return keysFromOutput(outcome.stdout);
    } catch (error) {
      throw credentialsFailed(this.describe(), (error as Error).message);
    }
  }

  async #run(signal: AbortSignal): Promise<ProgramOutcome> {
    const windows = process.platform === 'win32';
    const [file = '', ...args] = windows
      ? [this.#settings.command]
      : parseArgsStringToArgv(this.#settings.command);
    try {
      return await runProgram({
        file,
        args,
        environment: this.#environment,
        timeoutMs: this.#settings.timeoutMs ?? TIMEOUT_MS,
        signal,
        shell: windows,
      });
    } catch (error) {
      signal.throwIfAborted();
      throw credentialsFailed(
        this.describe(),
        `it cannot be started (${systemCode(error) ?? 'unknown error'})`,
        {
          hint: 'Give the full path of a program that this user may run; no shell reads the command.',
        },
      );
    }
  }
}

/** @throws Error with one clause; what was printed is never part of it */
export function keysFromOutput(stdout: string): AwsKeys {
  const answer = parseObject(stdout);
  if (answer['Version'] !== 1) throw new Error('what it printed has no "Version": 1');
  const { AccessKeyId: id, SecretAccessKey: secret, SessionToken: token, Expiration: end } = answer;
  if (typeof id !== 'string' || typeof secret !== 'string' || id === '' || secret === '') {
    throw new Error('what it printed has no AccessKeyId and SecretAccessKey');
  }
  return {
    accessKeyId: id,
    secretAccessKey: secret,
    sessionToken: typeof token === 'string' && token !== '' ? token : undefined,
    expiresAtMs: end === undefined || end === null ? undefined : timeOf(end),
  };
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(text.trim() === '' ? 'it printed nothing' : 'what it printed is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw new Error('what it printed is not a JSON object');
  return value as Record<string, unknown>;
}

function timeOf(value: unknown): number {
  const timeMs = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(timeMs)) throw new Error('the Expiration that it printed is not a time (ISO 8601)');
  return timeMs;
}
