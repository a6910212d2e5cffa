/** LZ4 files, annotations inside them, and age. */
import assert from 'node:assert/strict';
import { type Age, openAge } from '../../src/codec/age/age.ts';
import { readKeyLines } from '../../src/codec/age/age-keys.ts';
import { PAYLOAD_NONCE_BYTES, payloadKey, sealBytes } from '../../src/codec/age/age-payload.ts';
import { decodeFrame } from '../../src/codec/decode-frame.ts';
import { decodeFrameStream } from '../../src/codec/decode-frame-stream.ts';
import { encodeFrame } from '../../src/codec/encode-frame.ts';
import { encodeSkippableFrame } from '../../src/codec/skippable-frame.ts';
import { xxhash32 } from '../../src/kernel/kernel.ts';
import { RivuletError } from '../../src/base/errors.ts';
import { craftFrame, databasePages, noise } from '../codec/samples.ts';
import { bytesOf, type FuzzTarget, textOf } from './target.ts';

const MAX_BYTES = 1024 * 1024;

function sampleFrames(): Uint8Array[] {
  const pages = databasePages(3);
  const text = Buffer.from('abcabcabcabc'.repeat(40));
  const stored = (content: Buffer): { data: Buffer; isStored: boolean }[] => [
    { data: content, isStored: true },
  ];
  return [
    encodeFrame(new Uint8Array(0)),
    encodeFrame(text),
    encodeFrame(pages, { annotation: Buffer.from('RVLT something') }),
    encodeFrame(noise(2_000)),
    craftFrame({ blocks: stored(text), content: text, blockChecksums: true, contentSize: text.length }),
    craftFrame({ blocks: stored(text), content: text, independent: false, blockSizeCode: 4 }),
    Buffer.concat([
      encodeSkippableFrame(text),
      encodeFrame(text),
      encodeSkippableFrame(text),
      encodeFrame(pages),
    ]),
  ];
}

/** The checksums of the descriptor and of the content of a first frame that begins the input. */
function repairFrame(input: Uint8Array): Uint8Array {
  const bytes = Buffer.from(input);
  if (bytes.length < 7 || bytes.readUInt32LE(0) !== 0x184d2204) return bytes;
  const flags = bytes[4] ?? 0;
  const end = 6 + ((flags & 8) === 0 ? 0 : 8) + ((flags & 1) === 0 ? 0 : 4);
  if (end < bytes.length) bytes[end] = (xxhash32(bytes.subarray(4, end)) >>> 8) & 0xff;
  return repairContentChecksum(bytes);
}

/** The error says what the checksum should be. */
function repairContentChecksum(bytes: Buffer): Buffer {
  try {
    decodeFrame(bytes, { maxBytes: MAX_BYTES });
  } catch (error) {
    const wanted = /checksum of the content .* its bytes give (0x[0-9a-f]+)/.exec(String(error))?.[1];
    if (wanted !== undefined && bytes.length >= 4) bytes.writeUInt32LE(Number(wanted), bytes.length - 4);
  }
  return bytes;
}

async function* inPieces(bytes: Uint8Array, most: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += most) yield bytes.slice(at, at + most);
}

async function gather(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(Uint8Array.from(chunk));
  return Buffer.concat(chunks);
}

type Answer =
  | { readonly content: Buffer; readonly annotations: readonly Buffer[] }
  | { readonly code: string };

async function answerOf(
  work: () => Promise<{ content: Uint8Array; annotations: readonly Uint8Array[] }>,
): Promise<Answer> {
  try {
    const { content, annotations } = await work();
    return { content: Buffer.from(content), annotations: annotations.map((one) => Buffer.from(one)) };
  } catch (error) {
    if (error instanceof RivuletError) return { code: error.code };
    throw error;
  }
}

/** Two decoders, one opinion. */
async function readFrame(input: Uint8Array): Promise<void> {
  const options = { maxBytes: MAX_BYTES };
  const streamed = async (most: number): Promise<{ content: Buffer; annotations: Uint8Array[] }> => {
    const annotations: Uint8Array[] = [];
    const onAnnotation = (payload: Uint8Array): void => void annotations.push(payload);
    const source = decodeFrameStream(inPieces(input, most), { ...options, onAnnotation });
    return { content: await gather(source), annotations };
  };
  const whole = await answerOf(async () => decodeFrame(input, options));
  for (const most of [7, 4_096]) assert.deepEqual(await answerOf(async () => streamed(most)), whole);
  const { content } = decodeFrame(input, options);
  assert.deepEqual(Buffer.from(decodeFrame(encodeFrame(content), options).content), Buffer.from(content));
}

// ---- age -----------------------------------------------------------------------------------------------------------

/** Of nobody: made for this file. Everything is fixed, so that a seed repeats its findings. */
const IDENTITY = 'AGE-SECRET-KEY-1SYDQXTYRUV8KGTDXTUX45UCTX96NQ7UPNPA04GCRV04EE0NEJAKQFDNET2';
const RECIPIENT = 'age1jzmak0mrml30r2kq8rgxqhux7yjwxrzl60sx5tqnr9mh2mal7frq3nap58';
const HEADER = `age-encryption.org/v1
-> X25519 hU9eE58EPttYNtT/aU81F8lnQX+u58OtD1ygF27bgUM
DM5xeYTwGuqXmiyqVtvkIcExx3jg/vGSIwveftkmE2w
--- kaAmByM6hf7Yx8uo2RVhyfcFnNjsbLvitFgpD6m8hHk
`;
const FILE_KEY = Buffer.from('2d12bccac101469332f4bd65b19cf44d', 'hex');
const SEALED_LENGTHS = [0, 5, 70_000];

let age: Promise<Age> | undefined;

async function ownAge(): Promise<Age> {
  return (age ??= openAge({
    identities: [{ source: 'identity', text: IDENTITY }],
    recipients: [{ source: 'recipient', text: RECIPIENT }],
  }));
}

function sealed(): Uint8Array[] {
  const nonce = Buffer.alloc(PAYLOAD_NONCE_BYTES, 7);
  const head = Buffer.concat([Buffer.from(HEADER, 'latin1'), nonce]);
  return SEALED_LENGTHS.map((length) => sealBytes(payloadKey(FILE_KEY, nonce), noise(length), head));
}

/** What comes out was put in by who had the key: any change is refused. */
async function readSealed(input: Uint8Array): Promise<void> {
  const own = await ownAge();
  const content = await gather(own.decrypt(inPieces(input, 5_000)));
  const again = await gather(own.decrypt(inPieces(await own.encryptBytes(content), 60_000)));
  assert.deepEqual(again, content);
  assert.ok(SEALED_LENGTHS.includes(content.length), `a changed object opened, with ${content.length} bytes`);
  assert.deepEqual(content, noise(content.length));
}

async function readKeys(input: Uint8Array): Promise<void> {
  const text = textOf(input);
  readKeyLines('identity', { source: 'keys.txt', text });
  await openAge({ identities: [{ source: 'keys.txt', text }], recipients: [] });
}

export const CODEC_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'codec/lz4-frame',
    codes: ['LZ4_INVALID', 'AGE_KEY_MISSING'],
    samples: sampleFrames,
    repair: repairFrame,
    read: readFrame,
    // Four decoders, each bounded by what was said to be expected here, and memory for blocks to be used again.
    memory: { perByte: 64, besides: 32 * MAX_BYTES },
  },
  {
    name: 'codec/age-object',
    codes: ['AGE_INVALID', 'AGE_KEY_WRONG', 'AGE_KEY_MISSING'],
    samples: sealed,
    words: ['-> X25519 ', '-> scrypt ', '\n---', '\n', 'age-encryption.org/v1\n', '-> '],
    read: readSealed,
    inputBytesMax: 80 * 1024,
  },
  {
    name: 'codec/age-keys',
    codes: ['AGE_INVALID', 'AGE_KEY_WRONG'],
    samples: () => [
      bytesOf(`# created: 2024\n# public key: age1...\n${IDENTITY}\n`),
      bytesOf(
        '-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3JnL3YxCg==\n-----END AGE ENCRYPTED FILE-----\n',
      ),
      bytesOf(`${RECIPIENT}\n`),
    ],
    words: [
      'AGE-SECRET-KEY-1',
      'AGE-PLUGIN-',
      'age1',
      'ssh-ed25519 AAAA',
      '#',
      '-----BEGIN ',
      'age-encryption.org/v1\n',
    ],
    read: readKeys,
  },
];
