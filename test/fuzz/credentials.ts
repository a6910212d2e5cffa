/** What gives keys: files, programs, endpoints. Whatever it is, the keys that come out are texts. */
import assert from 'node:assert/strict';
import { ContainerSource } from '../../src/credentials/container.ts';
import { parseEnvironmentFile } from '../../src/credentials/environment-file.ts';
import { InstanceSource } from '../../src/credentials/instance.ts';
import { isPkcs11Uri, parsePkcs11Uri, withPin } from '../../src/credentials/pkcs11-uri.ts';
import { keysFromOutput } from '../../src/credentials/process.ts';
import { readProfile } from '../../src/credentials/shared-files.ts';
import type { AwsKeys } from '../../src/storage/aws-keys.ts';
import { answerText, fuzzServer, splitAnswer } from './server.ts';
import { bytesOf, type FuzzTarget, textOf } from './target.ts';

/** The contract of these readers: an `Error` of one clause, never one of the language's own. */
function isOneClause(error: unknown): boolean {
  return (
    error instanceof Error &&
    error.constructor === Error &&
    error.message.length < 500 &&
    !error.message.includes('\n')
  );
}

function areKeys({ accessKeyId, secretAccessKey, sessionToken, expiresAtMs }: AwsKeys): void {
  assert.ok(typeof accessKeyId === 'string' && accessKeyId !== '', 'no id');
  assert.ok(typeof secretAccessKey === 'string' && secretAccessKey !== '', 'no secret');
  assert.ok(sessionToken === undefined || (typeof sessionToken === 'string' && sessionToken !== ''));
  assert.ok(expiresAtMs === undefined || Number.isFinite(expiresAtMs));
}

// ---- files ---------------------------------------------------------------------------------------------------------

function readEnvironmentFile(input: Uint8Array): void {
  const variables = parseEnvironmentFile(textOf(input));
  const written = [...variables]
    .map(([name, value]) => `${name}="${value.replace(/["\\`$]/g, '\\$&')}"`)
    .join('\n');
  assert.deepEqual(parseEnvironmentFile(written), variables);
}

/** Both files, with a line of `=====` between. */
function readSharedFiles(input: Uint8Array): void {
  const [config = '', credentials] = textOf(input).split('\n=====\n');
  for (const name of ['default', 'two words', '__proto__', 'toString']) {
    const profile = readProfile(name, { config, credentials });
    for (const [key, value] of Object.entries(profile ?? {})) {
      assert.ok(typeof value === 'string' && key === key.toLowerCase());
      assert.equal(value, value.trim());
    }
  }
}

function readPkcs11(input: Uint8Array): void {
  const text = textOf(input);
  if (!isPkcs11Uri(text)) return;
  const key = parsePkcs11Uri(text);
  assert.ok(!/(?:^|[?&;:])pin-value=/.test(key.withoutPin), 'the PIN is shown');
  const again = parsePkcs11Uri(withPin(key, '12 &=%34'));
  assert.equal(again.pin, '12 &=%34');
}

// ---- endpoints -----------------------------------------------------------------------------------------------------

const JSON_WORDS = [
  '"AccessKeyId":"AKIA"',
  '"SecretAccessKey":"x"',
  '"Token":"t"',
  '"SessionToken":""',
  '"Expiration":"2099-01-01T00:00:00Z"',
  '"Expiration":1e999',
  '"Expiration":{}',
  '"Version": 1',
  '"Code":"Failed"',
  '{}',
  '[]',
  ',',
  'null',
];
const ANSWER = JSON.stringify({
  Code: 'Success',
  AccessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  SecretAccessKey: 'the-secret-part',
  Token: 'the-token-part',
  Expiration: '2099-01-01T00:00:00Z',
});
const REFUSAL = JSON.stringify({ code: 'AccessDenied', message: 'not you' });

async function readContainerAnswer(input: Uint8Array): Promise<void> {
  const server = await fuzzServer();
  const { status, body } = splitAnswer(input);
  server.answer = () => ({ status, type: 'application/json', body });
  const url = `http://127.0.0.1:${server.port}/keys`;
  areKeys(await new ContainerSource({ source: 'container', url }, {}).fetch(AbortSignal.timeout(20_000)));
}

/** The input answers one of the three requests; its first byte says which. */
async function readInstanceAnswers(input: Uint8Array): Promise<void> {
  const server = await fuzzServer();
  const which = ((input[0] ?? 0) % 3) + 1;
  const { status, body } = splitAnswer(input.subarray(1));
  const usual = ['', 'the-token', 'the-role', ANSWER];
  server.answer = ({ number }) =>
    number === which
      ? { status, type: 'text/plain', body }
      : { status: 200, type: 'text/plain', body: usual[number] ?? '' };
  const source = new InstanceSource(
    { source: 'instance', endpoint: `http://127.0.0.1:${server.port}`, timeoutMs: 20_000 },
    {},
  );
  areKeys(await source.fetch(AbortSignal.timeout(20_000)));
}

export const CREDENTIAL_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'credentials/environment-file',
    codes: [],
    refusesWith: isOneClause,
    samples: () => [
      bytesOf(
        '# keys\nAWS_ACCESS_KEY_ID=AKIA\nAWS_SECRET_ACCESS_KEY="a \\"b\\" \\$c"\nX=\'one\ntwo\' three\nY=a\\\nb\n;c\n',
      ),
    ],
    words: ['"', "'", '\\', '\\\n', '=', '#', ';', 'export ', '\r\n', 'A=', ' ', '\t'],
    read: readEnvironmentFile,
  },
  {
    name: 'credentials/shared-files',
    codes: [],
    samples: () => [
      bytesOf(
        '[default]\nregion = eu-west-1 ; here\n[profile two words]\nrole_arn=arn:aws:iam::1:role/x\n  s3 =\n    a = b\n=====\n' +
          '[default]\naws_access_key_id = AKIA\naws_secret_access_key=x/y+z=\n[two words]\n',
      ),
    ],
    words: ['[', ']', 'profile ', '=', '__proto__', 'constructor', '#', ' ;', '"', '\r\n', '\n=====\n', '  '],
    read: readSharedFiles,
  },
  {
    name: 'credentials/process-output',
    codes: [],
    refusesWith: isOneClause,
    samples: () => [
      bytesOf(JSON.stringify({ Version: 1, AccessKeyId: 'AKIA', SecretAccessKey: 'x', SessionToken: 't' })),
      bytesOf(`{"Version":1,${ANSWER.slice(1)}`),
    ],
    words: JSON_WORDS,
    read: (input) => areKeys(keysFromOutput(textOf(input))),
  },
  {
    name: 'credentials/container-answer',
    codes: ['CREDENTIALS_FAILED'],
    samples: () => [answerText(200, ANSWER), answerText(403, REFUSAL)],
    words: JSON_WORDS,
    read: readContainerAnswer,
  },
  {
    name: 'credentials/instance-answers',
    codes: ['CREDENTIALS_FAILED'],
    samples: () => [
      Buffer.concat([Uint8Array.of(0), answerText(200, 'token')]),
      Buffer.concat([Uint8Array.of(1), answerText(200, 'role\nother')]),
      Buffer.concat([Uint8Array.of(2), answerText(200, ANSWER)]),
    ],
    words: [...JSON_WORDS, '\r\n', '\r\nx: y', '\n', 'é', '/../'],
    read: readInstanceAnswers,
  },
  {
    name: 'credentials/pkcs11-uri',
    codes: [],
    refusesWith: isOneClause,
    samples: () => [
      bytesOf('pkcs11:token=rivulet;object=device;type=private?pin-value=12%2034&module-name=x'),
      bytesOf('pkcs11:id=%01?pin-source=file:///etc/pin'),
      bytesOf('pkcs11:object=x;pin-value=1234'),
    ],
    words: ['pin-value=', 'pin-source=', '|cmd', '%', '%zz', '&', '?', ';', 'file:'],
    read: readPkcs11,
    inputBytesMax: 4_096,
  },
];
