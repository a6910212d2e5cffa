import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { PageIndex } from '../../src/primary/page-index.ts';

describe('the index of newest frames', () => {
  it('is a map, whatever is put into it and in whatever order', () => {
    const page = fc.oneof(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 0xfffffffe }),
      fc.integer({ min: 0, max: 60 }).map((n) => 1 + n * 4096),
    );
    const entries = fc.array(fc.tuple(page, fc.nat(2 ** 40)), { maxLength: 3000 });
    fc.assert(
      fc.property(entries, fc.array(page, { maxLength: 50 }), (puts, others) => {
        const index = new PageIndex();
        const map = new Map<number, number>();
        for (const [key, offset] of puts) {
          index.set(key, offset);
          map.set(key, offset);
        }
        assert.equal(index.size, map.size);
        for (const key of [...map.keys(), ...others]) assert.equal(index.get(key), map.get(key));
      }),
      { seed: 19, numRuns: 60 },
    );
  });

  it('holds offsets beyond 4 GiB and many pages', () => {
    const index = new PageIndex();
    for (let page = 1; page <= 100_000; page++) index.set(page, 2 ** 33 + page);
    assert.equal(index.size, 100_000);
    for (let page = 1; page <= 100_000; page += 997) assert.equal(index.get(page), 2 ** 33 + page);
    assert.equal(index.get(100_001), undefined);
  });
});
