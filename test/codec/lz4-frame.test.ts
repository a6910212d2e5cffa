import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { isRivuletError } from '../../src/base/errors.ts';
import {
  EMPTY_FRAME,
  decodeFrame,
  decodeFrameStream,
  encodeFrame,
  encodeFrameInTurns,
  encodeFrameStream,
} from '../../src/codec/lz4-frame.ts';
import { encodeInput, putInput } from '../../src/kernel/kernel.ts';
import { collect, craftFrame, databasePages, inPieces, noise, uint32 } from './samples.ts';

const MAX = { maxBytes: 64 * 1024 * 1024 };
const HEADER = '04224d186470b9';

function compressBlock(content: Uint8Array): Uint8Array {
  return new Uint8Array(encodeInput(putInput(content).length));
}

/** Every way to decode must agree: the content and annotations, or the code and text of the error. */
async function decodeEveryWay(frame: Uint8Array, sizes: number[] = [7]): Promise<ReturnType<typeof outcome>> {
  const whole = outcome(() => decodeFrame(frame, MAX));
  const streamed = await outcomeAsync(async () => {
    const annotations: Uint8Array[] = [];
    const onAnnotation = (payload: Uint8Array): number => annotations.push(payload);
    const content = await collect(decodeFrameStream(inPieces(frame, sizes), { onAnnotation, ...MAX }));
    return { content, annotations };
  });
  assert.deepEqual(streamed, whole);
  return whole;
}

interface Outcome {
  content?: string;
  annotations?: string[];
  error?: string;
}

function described(result: { content: Uint8Array; annotations: Uint8Array[] }): Outcome {
  return { content: base64(result.content), annotations: result.annotations.map((item) => base64(item)) };
}

function refused(error: unknown): Outcome {
  assert.ok(isRivuletError(error, 'LZ4_INVALID', 'AGE_KEY_MISSING'), String(error));
  return { error: `${error.code} ${error.message}` };
}

function outcome(run: () => { content: Uint8Array; annotations: Uint8Array[] }): Outcome {
  try {
    return described(run());
  } catch (error) {
    return refused(error);
  }
}

async function outcomeAsync(
  run: () => Promise<{ content: Uint8Array; annotations: Uint8Array[] }>,
): Promise<Outcome> {
  try {
    return described(await run());
  } catch (error) {
    return refused(error);
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

async function assertDecodes(frame: Uint8Array, content: Uint8Array, sizes?: number[]): Promise<void> {
  const result = await decodeEveryWay(frame, sizes);
  assert.equal(result.error, undefined);
  assert.ok(result.content === base64(content), 'the content differs');
}

async function assertRefused(frame: Uint8Array, message: RegExp): Promise<void> {
  const result = await decodeEveryWay(frame);
  assert.match(result.error ?? 'no error', message);
}

describe('encoded frames', () => {
  it('have the golden bytes', async () => {
    const abc = `${HEADER}0300008061626300000000ff53d132`;
    assert.equal(Buffer.from(encodeFrame(Buffer.from('abc'))).toString('hex'), abc);
    assert.equal(Buffer.from(encodeFrame(new Uint8Array(0))).toString('hex'), `${HEADER}00000000055dcc02`);
    const empty = await collect(encodeFrameStream(inPieces(new Uint8Array(0))));
    assert.equal(empty.toString('hex'), `${HEADER}00000000055dcc02`);
    assert.equal(Buffer.from(EMPTY_FRAME).toString('hex'), '04224d186440a700000000055dcc02');
  });

  it('compress what can be compressed, in one block', () => {
    const frame = Buffer.from(encodeFrame(Buffer.alloc(8192, 7)));
    assert.equal(frame.subarray(0, 7).toString('hex'), HEADER);
    assert.ok(frame.length < 100, `${frame.length} bytes`);
  });

  it('are the same whichever way they are made', async () => {
    for (const content of [
      Buffer.from('x'),
      databasePages(2100),
      noise(4 * 1024 * 1024 + 5),
      databasePages(1024),
    ]) {
      const annotation = Buffer.from('note');
      const whole = encodeFrame(content, { annotation });
      assert.ok(Buffer.from(await encodeFrameInTurns(content, { annotation })).equals(whole));
      for (const sizes of [[1_000_000], [content.length], [5, 4 * 1024 * 1024, 4096]]) {
        const streamed = await collect(encodeFrameStream(inPieces(content, sizes), { annotation }));
        assert.ok(streamed.equals(whole), `pieces of ${sizes.join()}`);
      }
      await assertDecodes(whole, content, [100_000]);
    }
  });

  it('let a source reuse its memory for each chunk', async () => {
    const content = databasePages(2500);
    async function* reusing(): AsyncGenerator<Uint8Array> {
      const memory = Buffer.alloc(100_000);
      for (let at = 0; at < content.length; at += memory.length) {
        const filled = content.copy(memory, 0, at, at + memory.length);
        yield memory.subarray(0, filled);
        memory.fill(0);
      }
    }
    assert.ok((await collect(encodeFrameStream(reusing()))).equals(encodeFrame(content)));
  });

  it('pass on the error of their source as it is, and close it', async () => {
    const failure = new Error('the disk is gone');
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield noise(9 * 1024 * 1024);
      throw failure;
    }
    await assert.rejects(collect(encodeFrameStream(failing())), (error) => error === failure);
    let isClosed = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield Buffer.alloc(1024 * 1024);
      } finally {
        isClosed = true;
      }
    }
    let parts = 0;
    for await (const _ of encodeFrameStream(endless())) if (++parts === 3) break;
    assert.ok(isClosed);
  });

  it('refuse an annotation that no reader would hand out', () => {
    assert.throws(() => encodeFrame(Buffer.from('x'), { annotation: Buffer.alloc(65_537) }), RangeError);
  });
});

describe('round trips', () => {
  const content = fc.oneof(
    fc.uint8Array({ maxLength: 3000 }),
    fc
      .tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 300 }))
      .map(([piece, times]) => {
        return new Uint8Array(Buffer.concat(Array.from({ length: times }, () => piece)));
      }),
    fc.integer({ min: 1, max: 40 }).map((pages) => new Uint8Array(databasePages(pages, pages))),
  );

  it('give back any content, in any chunks, and encode to the same again', async () => {
    await fc.assert(
      fc.asyncProperty(
        content,
        fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined }),
        fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 1, maxLength: 20 }),
        async (bytes, annotation, sizes) => {
          const frame = encodeFrame(bytes, { annotation });
          const decoded = await decodeEveryWay(frame, sizes);
          assert.deepEqual(decoded, {
            content: base64(bytes),
            annotations: annotation === undefined ? [] : [base64(annotation)],
          });
          const streamed = await collect(encodeFrameStream(inPieces(bytes, sizes), { annotation }));
          assert.ok(streamed.equals(frame));
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('any valid frame is read', () => {
  const text = databasePages(40);
  const small = Buffer.from('the same words, the same words, the same words, the same words');
  const compressed = (content: Uint8Array): { data: Uint8Array; isStored: boolean } => {
    return { data: compressBlock(content), isStored: false };
  };
  const stored = (content: Uint8Array): { data: Uint8Array; isStored: boolean } => ({
    data: content,
    isStored: true,
  });

  it('of every block size, with and without each checksum and the content size', async () => {
    for (const blockSizeCode of [4, 5, 6, 7]) {
      for (const blockChecksums of [true, false]) {
        for (const contentChecksum of [true, false]) {
          const blocks = [compressed(text.subarray(0, 65_536)), stored(text.subarray(65_536, 70_000))];
          const content = text.subarray(0, 70_000);
          const contentSize = content.length;
          const frame = { blockSizeCode, blockChecksums, contentChecksum, blocks, content };
          await assertDecodes(craftFrame(frame), content, [3, 1000]);
          await assertDecodes(craftFrame({ ...frame, contentSize }), content, [3, 1000]);
        }
      }
    }
  });

  it('with linked blocks, which reach 64 KiB back', async () => {
    // "abcd" stored, then a match of 8 at distance 4, then literals; and a match across a stored block.
    const second = Buffer.from([0x04, 0x04, 0x00, 0x50, ...Buffer.from('12345')]);
    const crafted = craftFrame({
      independent: false,
      blocks: [stored(Buffer.from('abcd')), { data: second, isStored: false }],
      content: Buffer.from('abcdabcdabcd12345'),
    });
    await assertDecodes(crafted, Buffer.from('abcdabcdabcd12345'));
    const head = noise(65_535);
    const far = Buffer.from([0x00, 0xff, 0xff, 0x50, ...Buffer.from('12345')]);
    const content = Buffer.concat([head, head.subarray(0, 4), Buffer.from('12345')]);
    const blocks = [stored(head), { data: far, isStored: false }];
    await assertDecodes(craftFrame({ independent: false, blocks, content }), content, [5000]);
    await assertRefused(craftFrame({ blocks, content }), /a match reaches before the beginning/);
  });

  it('does not let a linked block reach into the frame before', async () => {
    const match = Buffer.from([0x04, 0x04, 0x00, 0x50, ...Buffer.from('12345')]);
    const first = craftFrame({
      independent: false,
      blocks: [stored(Buffer.from('abcd'))],
      content: Buffer.from('abcd'),
    });
    const second = craftFrame({
      independent: false,
      blocks: [{ data: match, isStored: false }],
      content: small,
    });
    await assertRefused(Buffer.concat([first, second]), /a match reaches before the beginning/);
  });

  it('one after the other, with skippable frames anywhere', async () => {
    const skippable = Buffer.concat([uint32(0x184d2a5f), uint32(5), Buffer.from('hello')]);
    const large = Buffer.concat([uint32(0x184d2a50), uint32(70_000), noise(70_000)]);
    const frame = encodeFrame(small);
    const file = Buffer.concat([
      skippable,
      large,
      skippable,
      frame,
      skippable,
      EMPTY_FRAME,
      large,
      frame,
      skippable,
    ]);
    const result = await decodeEveryWay(file, [1, 2, 3, 900]);
    assert.deepEqual(result, {
      content: base64(Buffer.concat([small, small])),
      annotations: [base64(Buffer.from('hello')), base64(Buffer.from('hello'))],
    });
  });

  it('tells annotations before content, from input byte by byte', async () => {
    const events: string[] = [];
    const frame = encodeFrame(small, { annotation: Buffer.from('first') });
    const onAnnotation = (payload: Uint8Array): number => events.push(Buffer.from(payload).toString());
    for await (const part of decodeFrameStream(inPieces(frame), { onAnnotation }))
      events.push(`${part.length} bytes`);
    assert.deepEqual(events, ['first', `${small.length} bytes`]);
  });
});

describe('anything else is refused', () => {
  const content = Buffer.from('some words and some words and some more words and more');
  const frames = [
    encodeFrame(content),
    encodeFrame(noise(40)),
    craftFrame({
      blockChecksums: true,
      contentSize: 40,
      blocks: [{ data: noise(40), isStored: true }],
      content: noise(40),
    }),
    craftFrame({
      independent: false,
      blocks: [
        { data: Buffer.from('abcd'), isStored: true },
        { data: Buffer.from([0x04, 0x04, 0x00, 0x50, ...Buffer.from('12345')]), isStored: false },
      ],
      content: Buffer.from('abcdabcdabcd12345'),
    }),
    Buffer.from(EMPTY_FRAME),
  ];

  it('a frame with any one bit flipped', async () => {
    for (const frame of frames) {
      const original = await decodeEveryWay(frame);
      for (let bit = 0; bit < frame.length * 8; bit++) {
        const flipped = Buffer.from(frame);
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        const result = await decodeEveryWay(flipped);
        if (result.error === undefined) assert.deepEqual(result, original, `bit ${bit}`);
      }
    }
  });

  it('a frame cut off anywhere, with an annotation too', async () => {
    for (const frame of [...frames, encodeFrame(content, { annotation: Buffer.from('note') })]) {
      for (let length = 0; length < frame.length; length++) {
        const result = await decodeEveryWay(frame.slice(0, length));
        assert.match(
          result.error ?? 'no error',
          /LZ4_INVALID.*(cut off|ends before any|no frame at the end)/,
          `${length}`,
        );
      }
    }
  });

  it('what is not LZ4, saying what it is', async () => {
    await assertRefused(Buffer.from('02214c1800000000', 'hex'), /legacy frame format.*at byte 0/);
    await assertRefused(Buffer.from('SQLite format 3\0'), /begins with 0x694c5153, expected 0x184d2204/);
    await assertRefused(Buffer.from('age-encryption.org/v1\n-> X25519 abc'), /^AGE_KEY_MISSING/);
    await assertRefused(Buffer.from('age-encryption.com'), /^LZ4_INVALID/);
    await assertRefused(Buffer.from('age-encryption.com/v2 and so on'), /^LZ4_INVALID/);
  });

  it('garbage after a frame, with its place', async () => {
    const frame = encodeFrame(content);
    await assertRefused(
      Buffer.concat([frame, Buffer.from('garbage')]),
      new RegExp(`unknown magic.*byte ${frame.length}\\)`),
    );
    await assertRefused(
      Buffer.concat([frame, Buffer.from('abc')]),
      new RegExp(`3 bytes that are no frame.*byte ${frame.length}\\)`),
    );
  });

  it('headers with wrong values, each named', async () => {
    const base = { blocks: [{ data: noise(10), isStored: true }], content: noise(10) };
    await assertRefused(craftFrame({ ...base, dictionaryId: 7 }), /needs a dictionary/);
    await assertRefused(craftFrame({ ...base, blockSizeCode: 3 }), /block size code is 3/);
    await assertRefused(craftFrame({ ...base, contentSize: 11 }), /has 10 bytes, its header says 11/);
    await assertRefused(craftFrame({ ...base, contentSize: 2 ** 40 }), /decodes to more than/);
    await assertRefused(craftFrame({ ...base, content: noise(10, 2) }), /checksum of the content/);
    const header = craftFrame(base);
    header[6]! ^= 0xff;
    await assertRefused(header, /header checksum.*at byte 6/);
    header[4] = 0x80;
    await assertRefused(header, /version 2/);
    const tooLong = craftFrame({ blocks: [{ data: noise(65_537), isStored: true }], content: noise(65_537) });
    await assertRefused(tooLong, /a block of 65537 bytes, at most 65536/);
  });

  it('a bomb, before memory is taken for it', async () => {
    const block = { data: compressBlock(Buffer.alloc(4 * 1024 * 1024)), isStored: false };
    await assertRefused(
      craftFrame({ blocks: [block], content: noise(1) }),
      /more than the 65536 bytes allowed/,
    );
    const zeros = encodeFrame(Buffer.alloc(1000));
    assert.throws(
      () => decodeFrame(zeros, { maxBytes: 999 }),
      /LZ4 frame: it decodes to more than the 999 bytes/,
    );
    assert.equal(decodeFrame(zeros, { maxBytes: 1000 }).content.length, 1000);
    await assert.rejects(collect(decodeFrameStream(inPieces(zeros), { maxBytes: 999 })), {
      code: 'LZ4_INVALID',
    });
  });

  it('malformed blocks, wherever they are wrong', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), (data) => {
        const frame = craftFrame({
          blocks: [{ data, isStored: false }],
          content: noise(1),
          contentChecksum: false,
        });
        const result = outcome(() => decodeFrame(frame, MAX));
        assert.ok(result.error === undefined || result.error.startsWith('LZ4_INVALID'));
      }),
      { numRuns: 2000 },
    );
  });

  it('and the source of a stream is closed', async () => {
    let isClosed = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield Buffer.from('garbage');
      } finally {
        isClosed = true;
      }
    }
    await assert.rejects(collect(decodeFrameStream(source())), { code: 'LZ4_INVALID' });
    assert.ok(isClosed);
  });
});
