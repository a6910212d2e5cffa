/**
 * The instance metadata service of EC2, version 2: a session token by PUT, then the role's name, then its keys. Facts: "Use the
 * Instance Metadata Service" in the EC2 user guide. Version 1 is not asked: what needs it can be reached by a forged request.
 */
import { messageOf } from '../base/errors.ts';
import type { AwsKeys } from '../storage/aws-keys.ts';
import { METADATA_NAMES, keysIn } from './answer-keys.ts';
import { credentialsFailed } from './credentials-failed.ts';
import { ask, networkProblem, objectIn, saidBy } from './http.ts';
import type { EndpointAnswer, EndpointRequest } from './http.ts';
import type { InstanceSettings } from './settings.ts';
import type { CredentialSource } from './source.ts';

const ENDPOINT = 'http://169.254.169.254';
const ENDPOINT_V6 = 'http://[fd00:ec2::254]';
const ROLE_PATH = '/latest/meta-data/iam/security-credentials/';
const TIMEOUT_MS = 1_000;
/** One exchange needs the token for three requests. */
const TOKEN_TTL_SECONDS = '60';

/** Whether a person has forbidden to ask it. */
export function instanceDisabled(environment: NodeJS.ProcessEnv): boolean {
  return environment['AWS_EC2_METADATA_DISABLED']?.toLowerCase() === 'true';
}

export class InstanceSource implements CredentialSource {
  readonly #base: string;
  readonly #timeoutMs: number;

  constructor(settings: InstanceSettings, environment: NodeJS.ProcessEnv) {
    const named = settings.endpoint ?? (environment['AWS_EC2_METADATA_SERVICE_ENDPOINT'] || undefined);
    const v6 = environment['AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE']?.toLowerCase() === 'ipv6';
    this.#base = named ?? (v6 ? ENDPOINT_V6 : ENDPOINT);
    this.#timeoutMs = settings.timeoutMs ?? TIMEOUT_MS;
  }

  describe(): string {
    return `the instance metadata service ${this.#base}`;
  }

  async fetch(signal: AbortSignal): Promise<AwsKeys> {
    const token = await this.#text('/latest/api/token', signal, {
      method: 'PUT',
      headers: { 'x-aws-ec2-metadata-token-ttl-seconds': TOKEN_TTL_SECONDS },
    });
    const headers = { 'x-aws-ec2-metadata-token': token };
    const role = (
      await this.#text(ROLE_PATH, signal, { headers }, 'no role is attached to this instance')
    ).split('\n')[0];
    if (role === undefined || role === '') throw this.#failed('no role is attached to this instance');
    const answer = await this.#ask(`${ROLE_PATH}${encodeURIComponent(role)}`, signal, { headers });
    return this.#keysIn(answer);
  }

  #keysIn(answer: EndpointAnswer): AwsKeys {
    if (answer.status !== 200) throw this.#failed(saidBy(answer));
    try {
      const fields = objectIn(answer);
      const code = fields['Code'];
      if (typeof code === 'string' && code !== 'Success')
        throw new Error(`it answered with the code ${code}`);
      return keysIn(fields, METADATA_NAMES);
    } catch (error) {
      throw this.#failed(messageOf(error));
    }
  }

  async #text(
    path: string,
    signal: AbortSignal,
    request: Partial<EndpointRequest>,
    whenAbsent?: string,
  ): Promise<string> {
    const answer = await this.#ask(path, signal, request);
    if (answer.status === 404 && whenAbsent !== undefined) throw this.#failed(whenAbsent);
    if (answer.status !== 200) throw this.#failed(saidBy(answer));
    return answer.body.trim();
  }

  async #ask(path: string, signal: AbortSignal, request: Partial<EndpointRequest>): Promise<EndpointAnswer> {
    let url: URL;
    try {
      url = new URL(path, this.#base);
    } catch {
      throw this.#failed('its address is not a URL');
    }
    try {
      return await ask({ ...request, url, timeoutMs: this.#timeoutMs, signal });
    } catch (error) {
      signal.throwIfAborted();
      throw this.#failed(networkProblem(error));
    }
  }

  #failed(why: string): Error {
    return credentialsFailed(this.describe(), why, {
      hint: 'Only EC2 instances have it; in a container the hop limit of the instance must be 2 or more.',
    });
  }
}
