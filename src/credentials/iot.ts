/**
 * The credentials endpoint of AWS IoT: a device shows its certificate and gets keys of the role behind a role alias. Facts:
 * "Authorizing direct calls to AWS services using AWS IoT Core credential provider" in the AWS IoT Core developer guide.
 */
import { fileURLToPath } from 'node:url';

import type { Clock } from '../base/clock.ts';
import { RivuletError, messageOf, systemCode } from '../base/errors.ts';
import type { AwsKeys } from '../storage/aws-keys.ts';
import { keysIn } from './answer-keys.ts';
import type { KeyNames } from './answer-keys.ts';
import { credentialsFailed } from './credentials-failed.ts';
import { readCertificate, readPem, readPrivateKey, readSecretFile } from './device-identity.ts';
import type { DeviceCertificate } from './device-identity.ts';
import type { HsmJob, HsmReply } from './hsm-job.ts';
import { ask, objectIn } from './http.ts';
import type { EndpointAnswer } from './http.ts';
import { ENGINE_HINT, hsmProblem, refusal, tlsProblem } from './iot-problem.ts';
import type { Problem } from './iot-problem.ts';
import { findEngine } from './pkcs11-engine.ts';
import { isPkcs11Uri, parsePkcs11Uri, withPin } from './pkcs11-uri.ts';
import { hide } from './redact.ts';
import { runProgram } from './run-program.ts';
import type { ProgramOutcome } from './run-program.ts';
import type { IotSettings } from './settings.ts';
import type { CredentialSource, FetchOptions } from './source.ts';

const TIMEOUT_MS = 10_000;
/** For the process that talks to the HSM to start and end, beyond the exchange. */
const PROCESS_MS = 5_000;

const NAMES: KeyNames = {
  id: 'accessKeyId',
  secret: 'secretAccessKey',
  token: 'sessionToken',
  expiration: 'expiration',
};

export class IotSource implements CredentialSource {
  readonly #settings: IotSettings;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #clock: Clock;
  /** A PIN that the HSM refused: a few more attempts would lock it. */
  #refusedPin: string | undefined;

  constructor(settings: IotSettings, environment: NodeJS.ProcessEnv, clock: Clock) {
    this.#settings = settings;
    this.#environment = environment;
    this.#clock = clock;
  }

  describe(): string {
    return `the AWS IoT endpoint ${hostOf(this.#settings.endpoint)} (role alias ${this.#settings.roleAlias})`;
  }

  async fetch(signal: AbortSignal, options: FetchOptions = {}): Promise<AwsKeys> {
    if (options.reload === true) this.#refusedPin = undefined;
    try {
      const certificate = await readCertificate(this.#settings.certificateFile, this.#clock.now());
      const answer = await this.#exchange(certificate, signal);
      if (answer.status !== 200) {
        throw this.#failed(refusal(answer, this.#settings.roleAlias, this.#clock.now()));
      }
      return keysOf(answer);
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof RivuletError ? error : this.#failed({ why: messageOf(error) });
    }
  }

  async #exchange(device: DeviceCertificate, signal: AbortSignal): Promise<EndpointAnswer> {
    const { caFile, privateKey } = this.#settings;
    const authorities = caFile === undefined ? undefined : await readPem('CA', caFile);
    if (isPkcs11Uri(privateKey)) return this.#askThroughHsm(device.pem, authorities, signal);
    const key = await readPrivateKey(this.#settings, device.certificate);
    try {
      return await ask({
        ...this.#request(),
        signal,
        tls: { cert: device.pem, key, ...(authorities === undefined ? {} : { ca: authorities }) },
      });
    } catch (error) {
      signal.throwIfAborted();
      throw this.#failed(tlsProblem({ code: systemCode(error), text: messageOf(error) }));
    }
  }

  async #askThroughHsm(
    certificate: string,
    authorities: string | undefined,
    signal: AbortSignal,
  ): Promise<EndpointAnswer> {
    const engine = this.#settings.engine ?? findEngine();
    if (engine === undefined) {
      throw this.#failed({
        why: "OpenSSL's PKCS#11 engine is in none of the usual places",
        hint: ENGINE_HINT,
      });
    }
    const key = parsePkcs11Uri(this.#settings.privateKey);
    const pin = await readSecretFile('PIN', this.#settings.pinFile ?? key.pinFile, key.pin);
    this.#assertNotRefused(pin);
    const { url, ...request } = this.#request();
    const job: HsmJob = {
      ...request,
      url: url.href,
      certificate,
      authorities,
      engine,
      key: pin === undefined ? key.withoutPin : withPin(key, pin),
    };
    const outcome = await this.#runHsm(job, signal);
    const reply = replyOf(outcome);
    if (reply !== undefined && !('error' in reply)) return reply;
    throw this.#hsmFailed(reply, outcome, { key: key.withoutPin, pin, engine });
  }

  #hsmFailed(
    reply: Extract<HsmReply, { error: unknown }> | undefined,
    outcome: ProgramOutcome,
    { key, pin, engine }: { key: string; pin: string | undefined; engine: string },
  ): RivuletError {
    const text = reply?.error.text ?? '';
    const module = this.#environmentOf()['PKCS11_MODULE_PATH'];
    // What the engine prints matters only where the key could not be used: it prints also when all is well.
    const atKey = /engine|PKCS#11|pkcs11|UI routines|DSO/i.test(text);
    const problem = atKey ? hsmProblem(`${text}; ${outcome.stderr}`, key, engine, module) : undefined;
    if (problem?.pinRefused === true) this.#refusedPin = pin ?? '';
    if (problem !== undefined) return this.#failed(hideIn(problem, pin));
    if (reply !== undefined) return this.#failed(hideIn(tlsProblem(reply.error), pin));
    return this.#failed({ why: `the process that uses the HSM ${outcome.problem ?? 'said nothing'}` });
  }

  async #runHsm(job: HsmJob, signal: AbortSignal): Promise<ProgramOutcome> {
    const file = import.meta.url.endsWith('.ts') ? './hsm-request.ts' : './hsm-request.js';
    return runProgram({
      file: process.execPath,
      args: ['--no-warnings', fileURLToPath(new URL(file, import.meta.url))],
      environment: this.#environmentOf(),
      input: JSON.stringify(job),
      timeoutMs: job.timeoutMs + PROCESS_MS,
      signal,
    });
  }

  #environmentOf(): NodeJS.ProcessEnv {
    const { pkcs11Module } = this.#settings;
    return pkcs11Module === undefined
      ? this.#environment
      : { ...this.#environment, PKCS11_MODULE_PATH: pkcs11Module };
  }

  #assertNotRefused(pin: string | undefined): void {
    if (this.#refusedPin === undefined) return;
    if (this.#refusedPin !== (pin ?? '')) {
      this.#refusedPin = undefined;
      return;
    }
    throw this.#failed({
      why: 'the HSM refused this PIN before',
      hint: 'It is not tried again, so that the HSM does not lock itself: correct the PIN, then send SIGHUP.',
    });
  }

  #request(): { url: URL; headers: Record<string, string>; timeoutMs: number } {
    const { endpoint, roleAlias, thingName, timeoutMs = TIMEOUT_MS } = this.#settings;
    return {
      url: new URL(`https://${hostOf(endpoint)}/role-aliases/${encodeURIComponent(roleAlias)}/credentials`),
      headers: {
        accept: 'application/json',
        ...(thingName === undefined ? {} : { 'x-amzn-iot-thingname': thingName }),
      },
      timeoutMs,
    };
  }

  #failed({ why, hint }: Problem): RivuletError {
    return credentialsFailed(this.describe(), why, hint === undefined ? {} : { hint });
  }
}

function keysOf(answer: EndpointAnswer): AwsKeys {
  const { credentials } = objectIn(answer);
  if (typeof credentials !== 'object' || credentials === null)
    throw new Error('its answer has no credentials');
  return keysIn(credentials as Record<string, unknown>, NAMES);
}

function hostOf(endpoint: string): string {
  return endpoint.replace(/^https:\/\//i, '').replace(/\/+$/, '');
}

function replyOf({ stdout }: ProgramOutcome): HsmReply | undefined {
  try {
    return JSON.parse(stdout) as HsmReply;
  } catch {
    return undefined;
  }
}

function hideIn({ why, hint }: Problem, pin: string | undefined): Problem {
  return { why: hide(why, [pin]), hint };
}
