/** LZ4 objects of one tool in the hands of the other. A snapshot is any bytes to v0.3.13: it is written out as it is. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  decodeFrame,
  decodeFrameStream,
  encodeFrame,
  encodeFrameInTurns,
  encodeFrameStream,
} from '../../src/codec/lz4-frame.ts';
import { snapshotKey } from '../../src/generations/names.ts';
import { Scratch } from '../support/scratch.ts';
import { Application } from './support/application.ts';
import { writeConfiguration } from './support/configuration.ts';
import { countObjects, objectsOf, urlOf } from './support/replica-files.ts';
import { run, Running, skip } from './support/tools.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const SIZES = [0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1];
const BIG_BYTES = 50_000_000;
const LIMIT = { maxBytes: 256 * MIB };
const GENERATION = '0123456789abcdef';
const ANNOTATION = Buffer.from('any bytes that only Rivulet understands');

type Encode = (content: Uint8Array, annotation?: Uint8Array) => Promise<Uint8Array>;

async function* inPieces(content: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += 100_000) yield content.subarray(at, at + 100_000);
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const ENCODERS: Readonly<Record<string, Encode>> = {
  whole: (content, annotation) => Promise.resolve(encodeFrame(content, { annotation })),
  'whole, in turns': (content, annotation) => encodeFrameInTurns(content, { annotation }),
  streamed: (content, annotation) => collect(encodeFrameStream(inPieces(content), { annotation })),
};

const KINDS: Readonly<Record<string, (bytes: number) => Buffer>> = {
  incompressible: (bytes) => randomBytes(bytes),
  compressible: (bytes) => Buffer.alloc(bytes, 'the same words again and again, '),
};

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** What v0.3.13 makes of an object: it restores a lone snapshot without looking into it. */
async function readByLitestream(object: Uint8Array): Promise<Buffer> {
  using scratch = new Scratch();
  const path = join(scratch.file('replica'), snapshotKey(GENERATION, 0));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, object);
  const output = scratch.file('out');
  const { code, out, err } = await run('litestream', [
    'restore',
    '-o',
    output,
    urlOf(scratch.file('replica')),
  ]);
  assert.equal(code, 0, out + err);
  return readFileSync(output);
}

async function assertReadable(content: Buffer, encode: Encode, annotation?: Uint8Array): Promise<void> {
  const read = await readByLitestream(await encode(content, annotation));
  assert.equal(digest(read), digest(content));
}

describe('objects of Rivulet, read by Litestream', { skip }, () => {
  for (const [way, encode] of Object.entries(ENCODERS)) {
    for (const [kind, make] of Object.entries(KINDS)) {
      test(`${way}, ${kind}, with and without annotation`, async () => {
        for (const bytes of SIZES) {
          await assertReadable(make(bytes), encode);
          await assertReadable(make(bytes), encode, ANNOTATION);
        }
      });
    }
  }

  test('50 MB that cannot be compressed', async () => {
    await assertReadable(randomBytes(BIG_BYTES), ENCODERS['streamed'] as Encode, ANNOTATION);
  });
});

describe('objects of Litestream, read by Rivulet', { skip }, () => {
  const scratch = new Scratch();
  const application = new Application(scratch.file('app.db'));
  const replicaPath = scratch.file('replica');

  before(async () => {
    const config = writeConfiguration(scratch.file('config.yml'), [{ path: application.path, replicaPath }]);
    application.write(50, 200_000);
    await using replicator = new Running('litestream', ['replicate', '-config', config]);
    await replicator.until('a first snapshot', () => countObjects(replicaPath) > 0);
    for (const bytes of [1, 60_000, 70_000, 9_000_000]) {
      const known = countObjects(replicaPath);
      application.write(1, bytes);
      await replicator.settle(() => countObjects(replicaPath) > known);
    }
    await replicator.stop();
  });
  after(() => {
    application[Symbol.dispose]();
    scratch[Symbol.dispose]();
  });

  test('whole and streamed give the same', async () => {
    const objects = objectsOf(replicaPath);
    assert.ok(objects.length >= 5);
    for (const { key } of objects) {
      const object = readFileSync(join(replicaPath, key));
      const { content, annotations } = decodeFrame(object, LIMIT);
      assert.deepEqual(annotations, []);
      assert.equal(digest(await collect(decodeFrameStream(inPieces(object)))), digest(content), key);
    }
  });

  test('content written by Rivulet differs from it only in how it is compressed', () => {
    for (const { key } of objectsOf(replicaPath)) {
      const object = readFileSync(join(replicaPath, key));
      const ours = encodeFrame(decodeFrame(object, LIMIT).content);
      assert.deepEqual(ours.subarray(0, 7), object.subarray(0, 7), 'header');
      assert.deepEqual(ours.subarray(-8), object.subarray(-8), 'end mark and checksum');
    }
  });
});
