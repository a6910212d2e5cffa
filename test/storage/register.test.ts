/** Nobody replaces a value that it has not seen, in whatever order the steps of several processes fall. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isRivuletError } from '../../src/base/errors.ts';
import { FileObjectStore } from '../../src/storage/file/file-object-store.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { isLeaseKey, LEASE_FOLDER, openRegister } from '../../src/storage/open-register.ts';
import type { Reading, Register } from '../../src/storage/register.ts';
import { SequenceRegister } from '../../src/storage/sequence-register.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { Scratch } from '../support/scratch.ts';
import { inEveryOrder, steppedStore } from '../support/steps.ts';

const bytesOf = (text: string): Uint8Array => Buffer.from(text);
const textOf = (reading: Reading | undefined): string | undefined =>
  reading && Buffer.from(reading.bytes).toString();
const idle = async (): Promise<void> => undefined;

/** A swap that was told to have succeeded: the places of two values in the row of all that ever were. */
interface Won {
  readonly by: string;
  readonly seen: number;
  readonly value: number;
}

/** Both kinds of register count their values up. */
function placeOf(reading: Reading | undefined): number {
  return Number(reading?.version.replace('v', '') ?? 0);
}

/** @returns undefined when somebody else was faster; every other failure is thrown */
async function tryToSwap(
  register: Register,
  seen: Reading | undefined,
  by: string,
  won: Won[],
): Promise<Reading | undefined> {
  try {
    const reading = await register.swap(seen, bytesOf(by));
    won.push({ by, seen: placeOf(seen), value: placeOf(reading) });
    return reading;
  } catch (error) {
    if (isRivuletError(error, 'STORAGE_EXISTS')) return undefined;
    throw error;
  }
}

/**
 * Whoever won has seen everything that was won before. (Who is overtaken before the answer comes is told a conflict,
 * although the value was there for a moment: so not every value that was seen was won.)
 */
function assertNoneUnseen(won: readonly Won[], begin: number, order: readonly number[]): void {
  for (const { by, seen, value } of won) {
    const before = [begin, ...won.map((swap) => swap.value)].filter((place) => place < value);
    const unseen = before.filter((place) => place > seen);
    assert.deepEqual(unseen, [], `${by} won without having seen what was there, in order ${order.join('')}`);
    assert.ok(value > seen);
  }
}

const KINDS = ['compare-and-swap', 'create-only'] as const;

for (const conditions of KINDS) {
  describe(`a register by ${conditions}`, () => {
    const registerOf = (store: ObjectStore, turn: () => Promise<void>): Register => {
      const stepped = steppedStore(store, conditions, turn);
      if (conditions === 'compare-and-swap') return openRegister(stepped) as Register;
      // Removing as soon as possible makes the gaps that somebody could win by.
      return new SequenceRegister(stepped, LEASE_FOLDER, { kept: 2, removedAtOnce: 1 });
    };

    it('is read, and swapped only by who has seen the value', async () => {
      const register = registerOf(new MemoryStore(), idle);
      assert.equal(await register.read(), undefined);
      const first = await register.swap(undefined, bytesOf('a'));
      await assert.rejects(register.swap(undefined, bytesOf('x')), { code: 'STORAGE_EXISTS' });
      assert.equal(textOf(await register.read()), 'a');
      await register.swap(await register.read(), bytesOf('b'));
      await assert.rejects(register.swap(first, bytesOf('x')), { code: 'STORAGE_EXISTS' });
      assert.equal(textOf(await register.read()), 'b');
      assert.equal(await register.honoursConditions((await register.read()) as Reading, first), true);
      assert.equal(textOf(await register.read()), 'b');
      await register.clear();
      assert.equal(await register.read(), undefined);
    });

    it('three that find nothing: one begins, in every order', async () => {
      let winners = 0;
      const orders = await inEveryOrder((turn) => {
        const store = new MemoryStore();
        const won: Won[] = [];
        const processes = [0, 1, 2].map((name) => async () => {
          const register = registerOf(store, async () => turn(name));
          await tryToSwap(register, await register.read(), `p${name}`, won);
        });
        return {
          processes,
          check: (order) => {
            winners += won.length;
            assert.ok(won.length >= 1);
            assertNoneUnseen(won, 0, order);
          },
        };
      }, 1_000_000);
      assert.ok(orders >= 90 && winners >= orders, `${orders} orders, ${winners} winners`);
    });

    it('one that was frozen since long wakes up among two that go on, in every order', async () => {
      const orders = await inEveryOrder((turn) => {
        const store = new MemoryStore();
        const won: Won[] = [];
        let begun: Reading | undefined;
        const setUp = registerOf(store, idle);
        const ready = (async () => {
          begun = await setUp.swap(undefined, bytesOf('begin'));
          let present = begun;
          // The frozen one has seen the value before these.
          for (let n = 1; n <= 3; n++) present = await setUp.swap(present, bytesOf(`go${n}`));
        })();
        const frozen = async (): Promise<void> => {
          await ready;
          const register = registerOf(store, async () => turn(0));
          assert.equal(await tryToSwap(register, begun, 'frozen', won), undefined);
        };
        const goingOn = async (): Promise<void> => {
          await ready;
          const register = registerOf(store, async () => turn(1));
          let seen = await register.read();
          for (let n = 1; n <= 2; n++) seen = (await tryToSwap(register, seen, `one${n}`, won)) ?? seen;
        };
        return { processes: [frozen, goingOn], check: (order) => assertNoneUnseen(won, 4, order) };
      }, 1_000_000);
      assert.ok(orders >= 4, `${orders} orders`);
    });

    it('two that swap again and again take turns, in every order', async () => {
      const orders = await inEveryOrder((turn) => {
        const store = new MemoryStore();
        const won: Won[] = [];
        const ready = registerOf(store, idle).swap(undefined, bytesOf('begin'));
        const processes = [0, 1].map((name) => async () => {
          let seen: Reading | undefined = await ready;
          const register = registerOf(store, async () => turn(name));
          for (let n = 1; n <= 2; n++) {
            const swapped = await tryToSwap(register, seen, `p${name}.${n}`, won);
            seen = swapped ?? (await register.read());
          }
        });
        return { processes, check: (order) => assertNoneUnseen(won, 1, order) };
      }, 1_000_000);
      assert.ok(orders >= 8, `${orders} orders`);
    });
  });
}

describe('a register in a directory', () => {
  it('is a row of files, of which few stay; a removed row begins anew above nobody', async () => {
    using scratch = new Scratch();
    const store = new FileObjectStore(scratch.path);
    const register = openRegister(store) as Register;
    let seen = await register.swap(undefined, bytesOf('0'));
    for (let n = 1; n <= 20; n++) seen = await register.swap(seen, bytesOf(String(n)));
    assert.equal(textOf(await register.read()), '20');
    const keys: string[] = [];
    for await (const { key } of store.list('')) keys.push(key);
    assert.ok(keys.length <= 8, `${keys.length} files`);
    assert.ok(keys.every(isLeaseKey));
    assert.equal(await register.honoursConditions(seen, undefined), true);

    await register.clear();
    await register.swap(undefined, bytesOf('anew'));
    await assert.rejects(register.swap(seen, bytesOf('frozen')), { code: 'STORAGE_EXISTS' });
    assert.equal(textOf(await register.read()), 'anew');
  });

  it('many processes: each swap is won by one', async () => {
    using scratch = new Scratch();
    const won: Won[] = [];
    await Promise.all(
      Array.from({ length: 6 }, async (_, name) => {
        const register = openRegister(new FileObjectStore(scratch.path)) as Register;
        for (let n = 0; n < 8; n++) await tryToSwap(register, await register.read(), `p${name}.${n}`, won);
      }),
    );
    const seen = won.map((swap) => swap.seen);
    assert.equal(new Set(seen).size, seen.length, 'nobody won over a value that another one had won over');
    assert.ok(won.length >= 8);
  });
});

describe('a store that ignores conditions', () => {
  const ignoring = (store: MemoryStore): ObjectStore => ({
    ...steppedStore(store, 'compare-and-swap', idle),
    write: async (key, body) => store.write(key, body),
  });

  it('is found out, and nothing is changed by that', async () => {
    const store = new MemoryStore();
    const register = openRegister(ignoring(store)) as Register;
    const first = await register.swap(undefined, bytesOf('a'));
    const second = await register.swap(first, bytesOf('b'));
    assert.equal(await register.honoursConditions(second, first), false);
    assert.equal(textOf(await register.read()), 'b');
  });

  it('one that knows only "absent" is found out by a version that is gone', async () => {
    const store = new MemoryStore();
    const half: ObjectStore = {
      ...ignoring(store),
      write: async (key, body, options = {}) =>
        store.write(key, body, options.onlyIf === 'absent' ? { onlyIf: 'absent' } : {}),
    };
    const register = openRegister(half) as Register;
    const first = await register.swap(undefined, bytesOf('a'));
    const second = await register.swap(first, bytesOf('b'));
    assert.equal(await register.honoursConditions(second, first), false);
  });

  it('one that knows none has no register', () => {
    assert.equal(openRegister(steppedStore(new MemoryStore(), 'none', idle)), undefined);
  });
});
