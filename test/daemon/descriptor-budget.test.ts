import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DescriptorBudget, type DescriptorFacts } from '../../src/daemon/descriptor-budget.ts';

/** What a process has that opens 14 descriptors for each database. */
function budget(facts: Partial<DescriptorFacts>): { open: () => () => void; databases: () => number } {
  let databases = 0;
  const one = new DescriptorBudget({
    limit: () => Number.POSITIVE_INFINITY,
    used: () => 25 + 14 * databases,
    machineFree: () => Number.POSITIVE_INFINITY,
    monotonicMs: () => 0,
    ...facts,
  });
  return {
    open: () => {
      const release = one.take('/a.db', 1);
      databases++;
      return () => {
        databases--;
        release();
      };
    },
    databases: () => databases,
  };
}

function fitting(facts: Partial<DescriptorFacts>): number {
  const { open, databases } = budget(facts);
  for (let n = 0; n < 2_000; n++) {
    try {
      open();
    } catch (error) {
      assert.match(String(error), /cannot be opened/);
      break;
    }
  }
  return databases();
}

test('databases are opened as long as enough is left for those that are open', () => {
  for (const limit of [100, 120, 256, 1024, 4096]) {
    const databases = fitting({ limit: () => limit });
    const left = limit - 25 - 14 * databases;
    assert.ok(databases >= Math.floor((limit - 64) / 32), `${databases} of ${limit}`);
    assert.ok(left >= 4 * Math.min(databases, limit / 16), `${left} left of ${limit}`);
  }
});

test('the first one is always tried, and without a limit all of them are, without counting', () => {
  assert.equal(fitting({ limit: () => 20 }), 1);
  assert.equal(fitting({ used: () => assert.fail('nobody needs to count') }), 2_000);
});

test('what the machine has left counts too', () => {
  const free = fitting({ machineFree: () => 10 });
  assert.equal(free, 1);
});

test('one that is closed makes room for another', () => {
  const { open } = budget({ limit: () => 120 });
  const opened: (() => void)[] = [];
  const fill = (): void => {
    for (;;) opened.push(open());
  };
  assert.throws(fill, { code: 'TOO_MANY_FILES' });
  const before = opened.length;
  opened.pop()?.();
  assert.throws(fill, { code: 'TOO_MANY_FILES' });
  assert.equal(opened.length, before);
});
