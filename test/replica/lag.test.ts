import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Generation, Position } from '../../src/generations/names.ts';
import { Lag, type LogEndSeen } from '../../src/replica/lag.ts';

const [A, B] = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb'] as [Generation, Generation];

/** A log of which each index ends at 1000. */
function at(index: number, offsetBytes: number, generation: Generation = A): LogEndSeen {
  const total = (one: Position): number => one.index * 1000 + one.offsetBytes;
  return {
    generation,
    position: { index, offsetBytes },
    // A commit each 100 bytes.
    commits: Math.floor(total({ index, offsetBytes }) / 100),
    bytesBetween: (from, to) => Math.max(0, total(to) - total(from)),
  };
}

describe('how old the oldest change is that is not stored', () => {
  test('with a steady writer and a destination that is 3 s behind, it is 3 s for ever', () => {
    const lag = new Lag(0);
    for (let nowMs = 0; nowMs <= 600_000; nowMs += 100) {
      lag.saw(at(0, 32 + nowMs), nowMs);
      if (nowMs >= 3_000)
        lag.stored(at(0, 32 + nowMs), {
          generation: A,
          position: { index: 0, offsetBytes: 32 + nowMs - 3_000 },
        });
      if (nowMs < 5_000) continue;
      const ms = lag.ms(nowMs);
      assert.ok(ms >= 2_900 && ms <= 3_000, `${ms} at ${nowMs}`);
    }
  });

  test('a destination that is away for a day costs bounded memory and half a percent of precision', () => {
    const lag = new Lag(0);
    const dayMs = 24 * 3_600_000;
    lag.saw(at(0, 32), 0);
    lag.stored(at(0, 32), { generation: A, position: { index: 0, offsetBytes: 32 } });
    for (let nowMs = 1_000; nowMs <= dayMs; nowMs += 1_000) lag.saw(at(0, 32 + nowMs), nowMs);
    assert.equal(lag.ms(dayMs), dayMs - 1_000);
    // It has come back and stored all but the last six hours.
    lag.stored(at(0, 32 + dayMs), { generation: A, position: { index: 0, offsetBytes: 32 + dayMs * 0.75 } });
    const ms = lag.ms(dayMs);
    assert.ok(ms >= dayMs / 4 && ms <= dayMs / 4 + dayMs / 200, String(ms));
  });

  test('what was there at the start counts from the start, until it is known what the destination holds', () => {
    const lag = new Lag(1_000_000);
    lag.saw(at(0, 900), 1_000_100, 50_000);
    assert.equal(lag.ms(1_003_000), 3_000);
    lag.stored(at(0, 900), { generation: A, position: { index: 0, offsetBytes: 500 } });
    assert.equal(lag.ms(1_003_000), 52_900, 'as old as the last change of the log file');
  });

  test('commits that are not stored are counted as they were seen', () => {
    const lag = new Lag(0);
    for (const bytes of [100, 200, 500]) lag.saw(at(0, bytes), bytes);
    assert.equal(lag.commits, 5);
    lag.stored(at(0, 500), { generation: A, position: { index: 0, offsetBytes: 200 } });
    assert.equal(lag.commits, 3);
    lag.stored(at(0, 500), { generation: A, position: { index: 0, offsetBytes: 400 } });
    assert.equal(lag.commits, 3, 'the look that found them found three');
    lag.storedAll();
    assert.equal(lag.commits, 0);
  });

  test('a first snapshot holds what its log held, however old', () => {
    const lag = new Lag(1_000_000);
    lag.saw(at(3, 900), 1_000_100, 50_000);
    lag.stored(at(3, 900), { generation: A, position: { index: 3, offsetBytes: 0 } });
    assert.equal(lag.ms(1_003_000), 3_000);
  });

  test('a change that is found after the process was stopped is as old as the log file says', () => {
    const lag = new Lag(0);
    lag.saw(at(0, 100), 0);
    lag.storedAll();
    lag.saw(at(0, 200), 60_000, 20_000);
    assert.equal(lag.ms(60_000), 20_000);
  });
});

describe('what an earlier run knew', () => {
  const place = { generation: A, position: { index: 0, offsetBytes: 500 } };

  test('counts until the destination is reached, and on where it stands still where it stood', () => {
    const lag = new Lag(1_000_000, { atMs: 900_000, stored: place });
    lag.saw(at(0, 900), 1_000_100);
    assert.equal(lag.ms(1_003_000), 103_000);
    lag.stored(at(0, 900), place);
    assert.equal(lag.ms(1_003_000), 103_000);
    lag.stored(at(0, 900), { generation: A, position: { index: 0, offsetBytes: 900 } });
    lag.saw(at(0, 950), 1_004_000);
    assert.equal(lag.ms(1_004_000), 0);
  });

  test('counts no more where it stands elsewhere, or has everything', () => {
    const further = new Lag(1_000_000, { atMs: 900_000, stored: place });
    further.saw(at(0, 900), 1_000_100);
    further.stored(at(0, 900), { generation: A, position: { index: 0, offsetBytes: 600 } });
    assert.equal(further.ms(1_003_000), 2_900);
    const all = new Lag(1_000_000, { atMs: 900_000, stored: place });
    all.saw(at(0, 900), 1_000_100);
    all.storedAll();
    all.saw(at(0, 950), 1_002_000);
    assert.equal(all.ms(1_003_000), 1_000);
  });
});

describe('how much is not stored', () => {
  test('never becomes less while nothing is stored: not by another log, another generation, a chain given up', () => {
    const lag = new Lag(0);
    lag.saw(at(0, 900), 0);
    lag.stored(at(0, 900), { generation: A, position: { index: 0, offsetBytes: 400 } });
    assert.equal(lag.bytes, 500);
    lag.saw(at(1, 32), 10);
    lag.saw(at(1, 300), 20);
    assert.equal(lag.bytes, 900);
    lag.saw(at(0, 132, B), 30);
    assert.equal(lag.bytes, 1032);
    assert.equal(lag.ms(1_000), 1_000, 'the oldest is of the generation before');
    lag.stored(at(0, 132, B), { generation: A, position: { index: 1, offsetBytes: 300 } });
    assert.equal(lag.bytes, 1032, 'a position of the generation before says nothing any more');
    lag.stored(at(0, 132, B), { generation: B, position: { index: 0, offsetBytes: 100 } });
    assert.equal(lag.bytes, 32);
    assert.equal(lag.ms(1_000), 970);
    lag.storedAll();
    assert.equal(lag.bytes, 0);
  });

  test('a generation that has begun with an empty log is lacking from then on', () => {
    const lag = new Lag(0);
    lag.saw(at(0, 900), 0);
    lag.storedAll();
    lag.saw(at(0, 0, B), 500);
    assert.ok(lag.bytes > 0);
    assert.equal(lag.ms(1_500), 1_000);
  });

  test('what was stored and is there no more is lacking since that was found', () => {
    const lag = new Lag(0);
    lag.saw(at(0, 900), 0);
    lag.storedAll();
    assert.equal(lag.ms(5_000), 0);
    assert.equal(lag.ms(7_000), 2_000);
  });
});
