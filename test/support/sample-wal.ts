/**
 * Write-ahead logs made by SQLite itself, and a second opinion on them: the format's arithmetic written down plainly
 * with big integers, sharing nothing with the program.
 */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { Scratch } from './scratch.ts';

export interface SampleWal {
  readonly database: Buffer;
  readonly wal: Buffer;
  readonly pageSizeBytes: number;
}

/** Runs `statements`, each its own transaction, on a new database in WAL mode and answers with both files. */
export function makeWal(pageSizeBytes: number, statements: readonly string[]): SampleWal {
  using scratch = new Scratch();
  const path = scratch.file('db');
  const database = new DatabaseSync(path);
  try {
    database.exec(`PRAGMA page_size=${pageSizeBytes}; PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=0`);
    database.exec('PRAGMA synchronous=off');
    for (const statement of statements) database.exec(statement);
    copyFileSync(`${path}-wal`, scratch.file('copy'));
    copyFileSync(path, scratch.file('copy-db'));
  } finally {
    database.close();
  }
  return {
    database: readFileSync(scratch.file('copy-db')),
    wal: readFileSync(scratch.file('copy')),
    pageSizeBytes,
  };
}

/** The WAL checksum by the letter of sqlite.org/fileformat2.html, section 4.2. */
export function plainChecksum(
  seed: readonly [number, number],
  bytes: Uint8Array,
  bigEndian: boolean,
): [number, number] {
  const mask = 0xffffffffn;
  let [s0, s1] = [BigInt(seed[0]), BigInt(seed[1])];
  const word = (at: number): bigint => {
    const order = [...bytes.subarray(at, at + 4)];
    if (!bigEndian) order.reverse();
    return order.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  };
  for (let at = 0; at < bytes.length; at += 8) {
    s0 = (s0 + word(at) + s1) & mask;
    s1 = (s1 + word(at + 4) + s0) & mask;
  }
  return [Number(s0), Number(s1)];
}

/** The same log as a big-endian machine would have written it: another magic, all checksums anew. */
export function asBigEndian(wal: Uint8Array, pageSizeBytes: number): Buffer {
  const out = Buffer.from(wal);
  out.writeUInt32BE(0x377f0683, 0);
  let sum = plainChecksum([0, 0], out.subarray(0, 24), true);
  out.writeUInt32BE(sum[0], 24);
  out.writeUInt32BE(sum[1], 28);
  for (let at = 32; at + 24 + pageSizeBytes <= out.length; at += 24 + pageSizeBytes) {
    sum = plainChecksum(sum, out.subarray(at, at + 8), true);
    sum = plainChecksum(sum, out.subarray(at + 24, at + 24 + pageSizeBytes), true);
    out.writeUInt32BE(sum[0], at + 16);
    out.writeUInt32BE(sum[1], at + 20);
  }
  return out;
}

/** What SQLite reads from a database file with this log beside it. */
export function readWithSqlite(database: Uint8Array, wal: Uint8Array, sql: string): unknown[] {
  using scratch = new Scratch();
  writeFileSync(scratch.file('db'), database);
  writeFileSync(scratch.file('db-wal'), wal);
  const opened = new DatabaseSync(scratch.file('db'));
  try {
    return opened.prepare(sql).all();
  } finally {
    opened.close();
  }
}
