/** Names of objects, annotations, promises, and the lease. */
import assert from 'node:assert/strict';
import { xxhash32 } from '../../src/kernel/kernel.ts';
import { decodeAnnotation, encodeAnnotation } from '../../src/generations/annotation.ts';
import { encodeEnd, formatEndName, isEndContent, parseEndName } from '../../src/generations/ends.ts';
import { type Inventory, inventoryOf } from '../../src/generations/inventory.ts';
import { decodeLease, encodeLease, type LeaseRecord } from '../../src/generations/lease-record.ts';
import { segmentKey, snapshotKey } from '../../src/generations/names.ts';
import { tryPlanRestore } from '../../src/generations/restore-plan.ts';
import { planRetention } from '../../src/generations/retention-plan.ts';
import { bytesOf, type FuzzTarget, textOf } from './target.ts';

const GENERATION = '00112233445566aa';
const HOUR_MS = 3_600_000;

const WORDS = [
  'generations/',
  '/wal/',
  '/snapshots/',
  '/ends/',
  '.wal.lz4',
  '.snapshot.lz4',
  '00000000',
  '00000001',
  '7fffffff',
  '80000000',
  'ffffffff',
  'ffffffffffffffff',
  'fedcba9876543210',
  GENERATION,
  '_',
  '/',
  '//',
];

function keys(): Uint8Array {
  const names = [
    snapshotKey(GENERATION, 0),
    segmentKey(GENERATION, { index: 0, offsetBytes: 0 }),
    segmentKey(GENERATION, { index: 0, offsetBytes: 4152 }),
    segmentKey(GENERATION, { index: 1, offsetBytes: 0 }),
    snapshotKey(GENERATION, 2),
    segmentKey(GENERATION, { index: 2, offsetBytes: 0 }),
    `generations/${GENERATION}/ends/00000002_00001038`,
    'generations/fedcba9876543210/snapshots/00000000.snapshot.lz4',
    'generations/README',
  ];
  return bytesOf(names.join('\n'));
}

/** Listings come from others: every name lands where it belongs or aside, and what is planned is in the listing. */
function readNames(input: Uint8Array): void {
  const listed = textOf(input).split('\n');
  const objects = listed.map((key, i) => ({
    key,
    sizeBytes: i,
    modifiedAt: new Date(Date.UTC(2026, 0, 1) + i * HOUR_MS),
  }));
  const inventory = inventoryOf(objects);
  const known = inventory.generations.flatMap(({ snapshots, segments, ends }) => [
    ...snapshots,
    ...segments,
    ...ends,
  ]);
  const names = new Set(known.map(({ key }) => key));
  assert.equal(names.size, known.length, 'a name is counted twice');
  const strangers = listed.filter((key) => !names.has(key)).slice(0, 1000);
  assert.deepEqual(inventory.strangers, strangers.sort(), 'a name is lost');
  for (const { generation, snapshots, segments, ends } of inventory.generations) {
    for (const { key, index } of snapshots) assert.equal(snapshotKey(generation, index), key);
    for (const entry of segments) assert.equal(segmentKey(generation, entry), entry.key);
    for (const entry of ends) assert.ok(entry.key.endsWith(`/ends/${formatEndName(entry)}`));
  }
  plansStayInside(inventory, new Set(listed));
}

function plansStayInside(inventory: Inventory, listed: ReadonlySet<string>): void {
  const nowMs = Date.UTC(2026, 0, 2);
  const retention = planRetention(inventory, HOUR_MS, nowMs);
  for (const key of retention.keys) assert.ok(listed.has(key));
  const targets = [{}, { index: 1 }, { timestampMs: nowMs - 20 * HOUR_MS }, { index: 2, offsetBytes: 4_152 }];
  for (const target of targets) {
    const { plan } = tryPlanRestore(inventory, target);
    if (plan === undefined) continue;
    for (const { key } of [plan.snapshot, ...plan.segments]) assert.ok(listed.has(key));
  }
  // Whatever could be restored before the retention can be restored after it.
  const latest = tryPlanRestore(inventory, {}).plan;
  if (latest !== undefined && !retention.generations.includes(latest.generation)) {
    assert.ok(
      !retention.keys.includes(latest.snapshot.key),
      'retention removes the snapshot of the latest state',
    );
  }
}

function readAnnotation(input: Uint8Array): void {
  const value = decodeAnnotation(input);
  if (value !== undefined) assert.deepEqual(decodeAnnotation(encodeAnnotation(value)), value);
}

/** An annotation ends in the hash of what is before. */
function repairAnnotation(input: Uint8Array): Uint8Array {
  const bytes = Buffer.from(input);
  if (bytes.length >= 4) bytes.writeUInt32LE(xxhash32(bytes.subarray(0, -4)), bytes.length - 4);
  return bytes;
}

function annotations(): Uint8Array[] {
  const place = { generation: GENERATION, index: 3 };
  return [
    encodeAnnotation({ kind: 'segment', ...place }),
    encodeAnnotation({
      kind: 'segment',
      ...place,
      previousEndBytes: 4152,
      previousEndChecksum: [1, 0xffffffff],
    }),
    encodeAnnotation({
      kind: 'snapshot',
      ...place,
      offsetBytes: 4152,
      pageSizeBytes: 4096,
      pageCount: 7,
      salts: [5, 6],
      checksum: [7, 0xffffffff],
    }),
  ];
}

/** A promise is the name and the same words inside: separated by a line break here. */
function readEnd(input: Uint8Array): void {
  const text = textOf(input);
  const name = text.split('\n')[0] ?? '';
  const position = parseEndName(name);
  if (position === undefined) return;
  assert.equal(parseEndName(formatEndName(position))?.offsetBytes, position.offsetBytes);
  assert.ok(isEndContent(encodeEnd(position), position));
  const content = text.slice(name.length + 1);
  if (isEndContent(bytesOf(content), position)) assert.equal(content.trim(), formatEndName(position));
}

function lease(): LeaseRecord {
  return {
    epoch: 4,
    state: 'held',
    owner: 'a'.repeat(32),
    session: 'b'.repeat(32),
    serial: 17,
    host: 'one',
    pid: 4711,
    database: '/srv/app.db',
    program: 'rivulet 0.1.0',
    acquiredAtMs: Date.UTC(2026, 0, 1),
    renewedAtMs: Date.UTC(2026, 0, 2),
    durationMs: 30_000,
    generations: [GENERATION],
    superseded: [
      { generation: 'fedcba9876543210', atMs: Date.UTC(2026, 0, 1) },
      { generation: '0000000000000000', atMs: undefined },
    ],
  };
}

function readLease(input: Uint8Array): void {
  const record = decodeLease(input);
  assert.deepEqual(decodeLease(encodeLease(record)), record);
}

export const GENERATION_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'generations/names',
    codes: [],
    samples: () => [keys()],
    words: WORDS,
    read: readNames,
    inputBytesMax: 8_192,
  },
  {
    name: 'generations/annotation',
    codes: ['REPLICA_INVALID'],
    samples: annotations,
    words: [
      '"kind":"segment"',
      '"kind":"snapshot"',
      '"salts":[1,2]',
      '"previousEndBytes":',
      '{',
      '}',
      ',',
      '"x":1,',
    ],
    repair: repairAnnotation,
    read: readAnnotation,
  },
  {
    name: 'generations/end-promise',
    codes: [],
    samples: () => [
      bytesOf('00000002_00001038\n00000002_00001038\n'),
      bytesOf('00000002_0123456789abcdef\n'),
    ],
    words: ['_', 'ffffffff', '00000000', '\n'],
    read: readEnd,
  },
  {
    name: 'generations/lease-record',
    codes: ['REPLICA_INVALID'],
    samples: () => [
      encodeLease(lease()),
      encodeLease({ ...lease(), state: 'released', superseded: [], generations: [] }),
    ],
    words: [
      '"version": 1',
      '"epoch": 1',
      '"superseded": [',
      '"2026-01-01T00:00:00.000Z"',
      '"-271821-04-20"',
      ',',
      '"at": ',
    ],
    read: readLease,
  },
];
