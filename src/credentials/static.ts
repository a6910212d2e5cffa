import type { Clock } from '../base/clock.ts';
import type { AwsKeys } from '../storage/aws-keys.ts';
import { credentialsFailed } from './credentials-failed.ts';
import { FileSource } from './file-source.ts';
import type { StaticSettings } from './settings.ts';
import type { CredentialSource } from './source.ts';

/** Keys from the configuration, or from one file for each value that is read again when it changes. */
export function staticSource(settings: StaticSettings, clock: Clock): CredentialSource {
  const { accessKeyIdFile, secretAccessKeyFile, sessionTokenFile } = settings;
  const paths = [accessKeyIdFile, secretAccessKeyFile, sessionTokenFile].filter((path) => path !== undefined);
  if (paths.length === 0) return new TextSource(settings);
  return new FileSource(
    {
      description: `the key files ${paths.join(', ')}`,
      paths,
      read: (texts) => {
        const valueOf = (path: string | undefined, text: string | undefined): string | undefined =>
          path === undefined ? text : lineOf(path, texts[paths.indexOf(path)]);
        return complete({
          accessKeyId: valueOf(accessKeyIdFile, settings.accessKeyId),
          secretAccessKey: valueOf(secretAccessKeyFile, settings.secretAccessKey),
          sessionToken: valueOf(sessionTokenFile, settings.sessionToken),
        });
      },
    },
    clock,
  );
}

class TextSource implements CredentialSource {
  readonly #settings: StaticSettings;

  constructor(settings: StaticSettings) {
    this.#settings = settings;
  }

  describe(): string {
    return 'the configuration';
  }

  async fetch(): Promise<AwsKeys> {
    try {
      return complete(this.#settings);
    } catch (error) {
      throw credentialsFailed(this.describe(), (error as Error).message, { retry: false });
    }
  }
}

function lineOf(path: string, text: string | undefined): string {
  if (text === undefined) throw new Error(`${path} does not exist`);
  const line = text.trim();
  if (line === '') throw new Error(`${path} is empty`);
  if (/\s/.test(line)) throw new Error(`${path} holds more than one word, expected the value alone`);
  return line;
}

function complete(values: {
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
  readonly sessionToken?: string | undefined;
}): AwsKeys {
  const { accessKeyId, secretAccessKey, sessionToken } = values;
  if (accessKeyId === undefined || accessKeyId === '') throw new Error('there is no access key');
  if (secretAccessKey === undefined || secretAccessKey === '') {
    throw new Error('there is an access key but not its secret');
  }
  return { accessKeyId, secretAccessKey, sessionToken: sessionToken === '' ? undefined : sessionToken };
}
