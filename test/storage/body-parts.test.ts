import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { bodyParts } from '../../src/storage/body-parts.ts';
import { sendParts } from '../../src/storage/send-parts.ts';
import { chunks, gather } from './conformance/store-calls.ts';

describe('parts of a body', () => {
  it('have the sizes that were asked for, whatever the chunks are', async () => {
    const bytes = randomBytes(1000);
    for (const chunkBytes of [1, 7, 100, 101, 1000]) {
      const parts = await gather(bodyParts(chunks(bytes, chunkBytes), (i) => 100 * (i + 1), undefined));
      assert.deepEqual(
        parts.map(({ length }) => length),
        [100, 200, 300, 400],
      );
      assert.ok(Buffer.concat(parts).equals(bytes));
    }
  });

  it('end with what is left', async () => {
    const parts = await gather(bodyParts(chunks(randomBytes(25), 4), () => 10, undefined));
    assert.deepEqual(
      parts.map(({ length }) => length),
      [10, 10, 5],
    );
    assert.deepEqual(await gather(bodyParts(chunks(Buffer.alloc(0), 4), () => 10, undefined)), []);
  });

  it('do not change with the chunks they came from', async () => {
    const shared = Buffer.alloc(10, 1);
    async function* reusing(): AsyncGenerator<Uint8Array> {
      yield shared;
      shared.fill(2);
      yield shared;
    }
    const first = await bodyParts(reusing(), () => 10, undefined).next();
    shared.fill(3);
    assert.deepEqual(first.value, Buffer.alloc(10, 1));
  });
});

describe('sending', () => {
  it('has no more parts under way than allowed, and waits for all', async () => {
    let underWay = 0;
    let most = 0;
    const sent: number[] = [];
    await sendParts(
      bodyParts(chunks(randomBytes(100), 10), () => 10, undefined),
      3,
      async (_part, index) => {
        most = Math.max(most, ++underWay);
        await new Promise((resolve) => setTimeout(resolve, 5));
        underWay--;
        sent.push(index);
      },
      undefined,
    );
    assert.equal(most, 3);
    assert.equal(sent.length, 10);
  });

  it('stops the others, and the body, when one fails', async () => {
    const failure = new Error('refused');
    let isClosed = false;
    const stopped: unknown[] = [];
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield Buffer.alloc(10);
      } finally {
        isClosed = true;
      }
    }
    const sending = sendParts(
      endless(),
      2,
      async (_part, index, signal) => {
        if (index === 1) throw failure;
        await new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        }).catch((error: unknown) => {
          stopped.push(error);
          throw error;
        });
      },
      undefined,
    );
    await assert.rejects(sending, (error) => error === failure);
    assert.deepEqual(stopped, [failure]);
    assert.ok(isClosed);
  });

  it('ends for a failure also while the body has nothing to give', async () => {
    const failure = new Error('refused');
    async function* hanging(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(10);
      await new Promise<never>(() => undefined);
    }
    const sending = sendParts(
      hanging(),
      2,
      async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        throw failure;
      },
      undefined,
    );
    await assert.rejects(sending, (error) => error === failure);
  });
});
