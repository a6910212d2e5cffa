/** The kernel beside its plain twin, and its code beside its sources. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { CODE_PATH, compileKernel } from '../../scripts/build-kernel.ts';
import { isRivuletError } from '../../src/base/errors.ts';
import { measureBlock } from '../../src/codec/lz4-block.ts';
import { KERNEL_CODE } from '../../src/kernel/code.ts';
import {
  BLOCK_BYTES_MAX,
  HISTORY_BYTES_MAX,
  Xxhash32,
  decodeBlock,
  encodeInput,
  putInput,
  xxhash32,
} from '../../src/kernel/kernel.ts';
import { databasePages, noise } from '../codec/samples.ts';
import { decodeBlockPlainly, xxhash32Plainly } from './twin.ts';

const NONE = new Uint8Array(0);

function encoded(content: Uint8Array): Uint8Array {
  return new Uint8Array(encodeInput(putInput(content).length));
}

function decoded(block: Uint8Array, room: number, history: Uint8Array = NONE): number[] | undefined {
  const content = decodeBlock(block, room, history);
  return content === undefined ? undefined : [...content];
}

/** Runs of few letters, repetitions of any distance, and noise: what the ways through the code are about. */
const piece = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.record({ of: fc.uint8Array({ minLength: 1, maxLength: 40 }), times: fc.integer({ min: 1, max: 80 }) }),
);
const content = fc
  .array(piece, { maxLength: 12 })
  .map((pieces) =>
    Buffer.concat(
      pieces.flatMap((one) =>
        one instanceof Uint8Array ? [one] : Array.from({ length: one.times }, () => one.of),
      ),
    ),
  );

describe('the code of the kernel', () => {
  it('is what its sources compile to', () => {
    assert.equal(readFileSync(CODE_PATH, 'utf8'), compileKernel());
  });
});

describe('LZ4 blocks of the kernel', () => {
  it('decode to what was encoded, there and by the plain twin', () => {
    fc.assert(
      fc.property(content, (bytes) => {
        const block = encoded(bytes);
        assert.deepEqual(decodeBlockPlainly(block, bytes.length, NONE), [...bytes]);
        assert.deepEqual(decoded(block, bytes.length), [...bytes]);
        if (bytes.length > 0) assert.equal(decoded(block, bytes.length - 1), undefined);
      }),
      { numRuns: 400 },
    );
  });

  it('decode to what was encoded, of any size up to the largest', () => {
    const pages = databasePages(1024);
    assert.equal(pages.length, BLOCK_BYTES_MAX);
    for (const bytes of [4 << 10, 8191, 8192, 8193, 65_535, 65_536, 65_537, 1 << 20, BLOCK_BYTES_MAX]) {
      for (const one of [pages.subarray(0, bytes), noise(bytes), Buffer.alloc(bytes, 7)]) {
        const block = encoded(one);
        assert.equal(measureBlock(block, limits(bytes)), bytes);
        // A frame keeps what does not become shorter as it is.
        if (block.length > BLOCK_BYTES_MAX) continue;
        assert.ok(one.equals(decodeBlock(block, bytes, NONE) ?? NONE), `${bytes} bytes`);
      }
    }
  });

  it('find what came before them', () => {
    fc.assert(
      fc.property(content, content, (before, bytes) => {
        // What both have in common is behind the last 64 KiB of the first.
        const block = linkedBlock(before, bytes);
        const history = before.subarray(-HISTORY_BYTES_MAX);
        assert.deepEqual(decoded(block, bytes.length, history), [...bytes]);
        assert.deepEqual(decodeBlockPlainly(block, bytes.length, history), [...bytes]);
      }),
    );
  });

  it('are accepted and refused exactly as by the plain twin, and by what explains a refusal', () => {
    const damage = fc.record({
      at: fc.nat(),
      byte: fc.integer({ min: 0, max: 255 }),
      cut: fc.option(fc.nat()),
      room: fc.nat(2_000),
    });
    fc.assert(
      fc.property(content, content, damage, (before, bytes, { at, byte, cut, room }) => {
        const block = encoded(bytes);
        block[at % block.length] = byte;
        const damaged = cut === null ? block : block.subarray(0, cut % (block.length + 1));
        const history = before.subarray(-HISTORY_BYTES_MAX);
        for (const most of [room, 4 * bytes.length + 64]) {
          const plainly = decodeBlockPlainly(damaged, most, history);
          assert.deepEqual(decoded(damaged, most, history), plainly);
          assert.equal(measured(damaged, most, history.length), plainly?.length);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('leave what is behind their room alone', () => {
    const kernel = instance();
    const bytes = new Uint8Array(kernel.memory.buffer);
    kernel.prepareDecoding();
    const from = kernel.freeFrom() + 4096;
    const to = from + 8192;
    fc.assert(
      fc.property(
        content,
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        fc.nat(3000),
        (text, at, byte, room) => {
          const block = encoded(text.subarray(0, 4000));
          block[at % block.length] = byte;
          bytes.fill(0xa5, to - 256, to + room + 256);
          bytes.set(block, from);
          kernel.decodeBlock(from, block.length, to, room, 0);
          const isGuard = (one: number): boolean => one === 0xa5;
          assert.ok(bytes.subarray(to - 256, to).every(isGuard), 'before the output');
          assert.ok(bytes.subarray(to + room, to + room + 256).every(isGuard), 'behind the output');
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

function limits(decodedBytesMax: number): Parameters<typeof measureBlock>[1] {
  return { decodedBytesMax, historyBytes: 0, offsetBytes: 0 };
}

function measured(block: Uint8Array, decodedBytesMax: number, historyBytes: number): number | undefined {
  try {
    return measureBlock(block, { decodedBytesMax, historyBytes, offsetBytes: 0 });
  } catch (error) {
    assert.ok(isRivuletError(error, 'LZ4_INVALID'));
    return undefined;
  }
}

/** `bytes` as a block that takes from the end of `before` whatever it begins with in common. */
function linkedBlock(before: Uint8Array, bytes: Uint8Array): Uint8Array {
  let common = Math.min(before.length, bytes.length - 5, 18);
  const end = before.length;
  while (common >= 4 && !Buffer.from(bytes.subarray(0, common)).equals(before.subarray(end - common, end)))
    common--;
  if (common < 4) return encoded(bytes);
  const rest = encoded(bytes.subarray(common));
  // No literals, a match that reaches back by its own length, and the rest as it is.
  return Uint8Array.of(common - 4, common & 255, common >> 8, ...rest);
}

interface Instance {
  readonly memory: { readonly buffer: ArrayBuffer };
  prepareDecoding(): void;
  freeFrom(): number;
  decodeBlock(from: number, bytes: number, to: number, room: number, history: number): number;
}

/** Another kernel, whose memory the test divides. */
function instance(): Instance {
  const { WebAssembly } = globalThis as unknown as {
    readonly WebAssembly: {
      readonly Module: new (code: Uint8Array) => object;
      readonly Instance: new (module: object) => { readonly exports: unknown };
    };
  };
  const module = new WebAssembly.Module(Buffer.from(KERNEL_CODE, 'base64'));
  return new WebAssembly.Instance(module).exports as Instance;
}

describe('xxHash32 of the kernel', () => {
  it('knows what its specification gives as examples', () => {
    assert.equal(xxhash32(NONE), 0x02cc5d05);
    assert.equal(xxhash32(Buffer.from('a')), 0x550d7456);
    assert.equal(xxhash32(Buffer.from('abc')), 0x32d153ff);
    assert.equal(xxhash32(Buffer.from('Nobody inspects the spammish repetition')), 0xe2293b2f);
  });

  it('is the same in pieces, side by side, and by the plain twin', () => {
    fc.assert(
      fc.property(content, fc.array(fc.nat(70), { minLength: 1, maxLength: 8 }), (bytes, steps) => {
        const one = new Xxhash32();
        const other = new Xxhash32();
        let at = 0;
        for (let i = 0; at < bytes.length; i++) {
          const step = (steps[i % steps.length] ?? 0) + (i % 2);
          one.update(bytes.subarray(at, at + step));
          other.update(bytes.subarray(0, step));
          at += step;
        }
        assert.equal(one.digest(), xxhash32Plainly(bytes));
        assert.equal(one.digest(), xxhash32(bytes), 'asking changes nothing');
      }),
    );
  });

  it('is the same of a view of its own memory', () => {
    const bytes = databasePages(40);
    const hash = new Xxhash32();
    hash.update(putInput(bytes));
    assert.equal(hash.digest(), xxhash32Plainly(bytes));
  });
});
