import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { LogLine } from '../faults/rivulet.ts';
import { type CensusOptions, LIFE_BEGINS, takeCensus } from './census.ts';

const START_MS = Date.parse('2026-01-01T00:00:00Z');
const OPTIONS: CensusOptions = {
  snapshotIntervalMs: 5_000,
  isPlanned: () => false,
};

function line(seconds: number, msg: string, fields: object = {}): LogLine {
  const time = new Date(START_MS + seconds * 1000).toISOString();
  return { level: 'info', time, db: '/a.db', replica: 's3', msg, ...fields };
}

function snapshot(seconds: number, generation = 'g1'): LogLine {
  return line(seconds, 'snapshot written', { generation });
}

suite('the census of a soak', () => {
  test('a first snapshot and those that are due are as they should be', () => {
    const lines = [line(0, LIFE_BEGINS), snapshot(1), snapshot(6), snapshot(11.5)];
    const { snapshots, complaints } = takeCensus(lines, OPTIONS);
    assert.deepEqual(
      [...snapshots],
      [
        ['first of a generation', 1],
        ['scheduled', 2],
      ],
    );
    assert.deepEqual(complaints, []);
  });

  test('a snapshot that comes too early is unneeded', () => {
    const { snapshots, complaints } = takeCensus([snapshot(1), snapshot(2)], OPTIONS);
    assert.equal(snapshots.get('UNNEEDED'), 1);
    assert.match(complaints.join(), /unneeded snapshot/);
  });

  test('each destination has its own snapshots', () => {
    const other = { ...snapshot(2), replica: 'directory' };
    assert.deepEqual(takeCensus([snapshot(1), other], OPTIONS).complaints, []);
  });

  test('after a broken chain, once, a snapshot is needed at any time', () => {
    const broken = line(2, 'the chain to this destination is broken; it gets a fresh snapshot', {
      level: 'warn',
    });
    assert.deepEqual(takeCensus([snapshot(1), broken, snapshot(2.5)], OPTIONS).complaints, []);
    assert.equal(takeCensus([snapshot(1), broken, snapshot(2.5), snapshot(3)], OPTIONS).complaints.length, 1);
  });

  test('a new generation belongs to the start of a life', () => {
    const begin = (seconds: number): LogLine => line(seconds, 'starting a new generation', { reason: 'why' });
    const good = [line(0, LIFE_BEGINS), begin(1), line(5, LIFE_BEGINS), begin(6)];
    assert.deepEqual(takeCensus(good, OPTIONS).complaints, []);
    assert.equal(takeCensus(good, OPTIONS).generations.get('why'), 2);
    assert.match(takeCensus([...good, begin(9)], OPTIONS).complaints.join(), /in the middle of a life/);
    const full = 'the spool is full; the destination will need a fresh snapshot when it is back';
    assert.deepEqual(takeCensus([...good, line(8, full), begin(9)], OPTIONS).complaints, []);
  });

  test('an error, and a line that is no log line, are complained of unless planned', () => {
    const lines = [line(1, 'the disk', { level: 'error' }), { level: 'text', msg: 'Error: at x' }];
    assert.equal(takeCensus(lines, OPTIONS).complaints.length, 2);
    const { errors, complaints } = takeCensus(lines, {
      ...OPTIONS,
      isPlanned: ({ msg }) => msg === 'the disk',
    });
    assert.equal(complaints.length, 1);
    assert.equal(errors.get('the disk (planned)'), 1);
  });
});
