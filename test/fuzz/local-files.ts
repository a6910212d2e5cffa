/** What a process wrote down for its next run. It may be cut off, old, or of another program; it is never trusted. */
import assert from 'node:assert/strict';
import { encodeCheckedJson } from '../../src/base/checked-json.ts';
import { silentLogger } from '../../src/base/log.ts';
import { snapshotKey } from '../../src/generations/names.ts';
import { Spool } from '../../src/primary/spool.ts';
import { encodeState, readState } from '../../src/primary/state-file.ts';
import { readOwnerNote, writeOwnerNote } from '../../src/replica/lease/owner-file.ts';
import { emptyNote, type ProofNote, readProofNote, writeProofNote } from '../../src/replica/proof-note.ts';
import { encodeNote, UploadRecord } from '../../src/replica/upload-record.ts';
import { encodeFrame } from '../../src/codec/encode-frame.ts';
import type { ProvenChain } from '../../src/verify/proven-chain.ts';
import { encodeWalHeader, parseWalHeader } from '../../src/wal/wal-header.ts';
import { MemoryFiles } from './memory-files.ts';
import { bytesOf, type FuzzTarget, textOf } from './target.ts';

const GENERATION = '00112233445566aa';

function filesWith(path: string, content: Uint8Array): MemoryFiles {
  const files = new MemoryFiles();
  files.contents.set(path, content);
  return files;
}

/** With a checksum that fits again, when it still is an object. */
function recheck(input: Uint8Array): Uint8Array {
  try {
    const { crc32: _, ...fields } = JSON.parse(textOf(input)) as Record<string, unknown>;
    return bytesOf(encodeCheckedJson(fields));
  } catch {
    return input;
  }
}

// ---- state ---------------------------------------------------------------------------------------------------------

function stateText(): string {
  return encodeState({
    generation: GENERATION,
    identity: { device: '2049', inode: '123456' },
    index: 7,
    header: Buffer.alloc(32, 0x5a),
    tailBytes: 4152,
    tailChecksum: [1, 0xffffffff],
    ends: new Map([[6, { offsetBytes: 8272, salts: [3, 4], checksum: [5, 6] }]]),
    confirmed: new Map([['s3', { index: 6, offsetBytes: 32 }]]),
  });
}

function readStateFile(input: Uint8Array): void {
  const reading = readState('/meta/state.json', filesWith('/meta/state.json', input));
  if (reading.kind !== 'state') {
    assert.equal(reading.kind, 'damaged');
    return;
  }
  const again = readState('/s', filesWith('/s', bytesOf(encodeState(reading.state))));
  assert.ok(again.kind === 'state');
  assert.deepEqual(again.state, reading.state);
}

// ---- notes of uploads ----------------------------------------------------------------------------------------------

const LOCATION = 'memory:';

function recordOver(files: MemoryFiles): UploadRecord {
  return new UploadRecord({ metaPath: '/meta', name: 'a', location: LOCATION, files, logger: silentLogger });
}

function noteText(): string {
  const end = { offsetBytes: 8272, salts: [3, 4] as const, checksum: [5, 6] as const };
  const from = { index: 7, offsetBytes: 4152 };
  return encodeNote({
    generation: GENERATION,
    location: LOCATION,
    stored: { from, end, sizeBytes: 99 },
    intended: { from: { index: 7, offsetBytes: 8272 }, end: undefined },
  });
}

function readNote(input: Uint8Array): void {
  const { note } = recordOver(filesWith('/meta/uploads-a.json', input));
  if (note === undefined) return;
  assert.deepEqual(recordOver(filesWith('/meta/uploads-a.json', bytesOf(encodeNote(note)))).note, note);
}

function readOwner(input: Uint8Array): void {
  const path = '/meta/lease-a.json';
  const note = readOwnerNote(filesWith(path, input), '/meta', 'a');
  if (note === undefined) return;
  const files = new MemoryFiles();
  writeOwnerNote(files, '/meta', 'a', note);
  assert.deepEqual(readOwnerNote(files, '/meta', 'a'), note);
}

// ---- notes of proofs -----------------------------------------------------------------------------------------------

const PROOFS = '/meta/proof-a.json';

function proofsOver(files: MemoryFiles) {
  return { metaPath: '/meta', name: 'a', files, logger: silentLogger };
}

function writtenNote(note: ProofNote): MemoryFiles {
  const files = new MemoryFiles();
  writeProofNote(proofsOver(files), note);
  return files;
}

function chainSample(): ProvenChain {
  const header = parseWalHeader(
    encodeWalHeader({
      bigEndianChecksum: false,
      pageSizeBytes: 4096,
      checkpointSequence: 1,
      salt1: 2,
      salt2: 3,
    }),
  );
  const entry = { index: 7, sizeBytes: 9, createdAt: 5 };
  return {
    generation: GENERATION,
    base: {
      entry: { ...entry, key: snapshotKey(GENERATION, 7) },
      annotation: undefined,
      pageSizeBytes: 4096,
      pageCount: 3,
    },
    place: {
      index: 7,
      chain: { header, offsetBytes: 4152, checksum: [8, 9] },
      previous: { end: { index: 6, offsetBytes: 8272 }, header, checksum: [1, 2] },
      committed: { index: 7, offsetBytes: 4152 },
    },
    snapshots: [entry],
    logs: [{ index: 7, count: 2, hash: 10 }],
    untilMs: 6,
  };
}

function proofSample(): Uint8Array {
  const files = writtenNote({
    ...emptyNote(LOCATION, 1_700_000_000_000),
    newsSinceMs: 1_700_000_000_001,
    proven: { untilMs: 1_700_000_000_000, atMs: 1_700_000_000_002, except: 'a snapshot' },
    broken: { key: 'generations/x', index: 7, message: 'it is gone', heals: 1, healedAtMs: undefined },
    toldKeys: ['generations/x'],
    chain: chainSample(),
  });
  return files.contents.get(PROOFS) as Uint8Array;
}

function readProofs(input: Uint8Array): void {
  const note = readProofNote(proofsOver(filesWith(PROOFS, input)), LOCATION);
  if (note !== undefined) assert.deepEqual(readProofNote(proofsOver(writtenNote(note)), LOCATION), note);
}

// ---- the spool -----------------------------------------------------------------------------------------------------

const SPOOL = '/meta/spool';

function spoolSample(): string {
  return [
    '00000007_00000000_00000010.wal',
    '00000007_00000010_00000020.lz4',
    '00000008_00000000_00000008.wal',
  ].join('\n');
}

function isName(text: string): boolean {
  return text !== '' && text !== '.' && text !== '..' && !text.includes('/');
}

/** Names, one a line; each file has the size that its name says, or is what a compressed one is. */
function readSpool(input: Uint8Array): void {
  const files = new MemoryFiles();
  for (const name of textOf(input).split('\n').filter(isName)) {
    const length = Number.parseInt(name.split('_')[2] ?? '', 16);
    const raw = new Uint8Array(length > 0 && length < 4096 ? length : 5).fill(7);
    files.contents.set(`${SPOOL}/${name}`, name.endsWith('.lz4') ? encodeFrame(raw) : raw);
  }
  const spool = new Spool(SPOOL, files);
  const into = new Uint8Array(64);
  for (const index of [0, 7, 8, 0xffff_ffff]) {
    const at = { index, offsetBytes: 0 };
    const end = spool.coveredUntil(at) ?? 0;
    const read = spool.read(index, into, 0);
    assert.ok(read <= into.length && read <= Math.max(end, 0), `read ${read} bytes, ${end} are covered`);
  }
  spool.compressLingering(1_000_000);
  spool.prune({ index: 8, offsetBytes: 4 });
  spool.prune(undefined);
  assert.equal(spool.sizeBytes, 0);
}

const JSON_WORDS = [
  '"version":1',
  '"generation":"00112233445566aa"',
  '"index":',
  '"from":',
  '"end":null',
  '"stored":null',
  '"intended":null',
  '"owner":',
  '"salts":[1,2]',
  '{}',
  '[]',
  ',',
  'null',
  'true',
  '1e308',
];

export const LOCAL_FILE_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'primary/state-file',
    codes: [],
    samples: () => [bytesOf(stateText())],
    words: JSON_WORDS,
    repair: recheck,
    read: readStateFile,
  },
  {
    name: 'primary/spool-names',
    codes: ['LZ4_INVALID'],
    samples: () => [bytesOf(spoolSample())],
    words: ['.wal', '.lz4', '_', 'ffffffff', '00000000', 'ffffffffffffffff', '.tmp', '../x'],
    read: readSpool,
    inputBytesMax: 2_048,
  },
  {
    name: 'replica/upload-note',
    codes: [],
    samples: () => [bytesOf(noteText())],
    words: JSON_WORDS,
    repair: recheck,
    read: readNote,
  },
  {
    name: 'replica/proof-note',
    codes: [],
    samples: () => [proofSample()],
    words: [...JSON_WORDS, '"chain":', '"place":', '"toldKeys":[]'],
    repair: recheck,
    read: readProofs,
  },
  {
    name: 'replica/owner-note',
    codes: [],
    samples: () => [
      bytesOf(
        JSON.stringify({
          owner: 'a'.repeat(32),
          generation: GENERATION,
          location: 's3://bucket/x',
          triedAt: '2026-01-01T00:00:00.000Z',
        }),
      ),
    ],
    words: [
      ...JSON_WORDS,
      '"triedAt":',
      '275761',
      '-271821-04-20T00:00:00.000Z',
      '"+275760-09-13T00:00:00Z"',
    ],
    repair: recheck,
    read: readOwner,
  },
];
