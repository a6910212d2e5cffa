/** Databases as SQLite's checksum VFS keeps them: eight reserved bytes in each page, with a checksum of the rest. */
import { readFileSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { FRAME_HEADER_BYTES } from '../../src/wal/frames.ts';
import { WAL_HEADER_BYTES } from '../../src/wal/wal-header.ts';

const RESERVED = 8;
const PAGE_BYTES = 4096;

/** A new database of that kind, in rollback mode, of one page without anything in it. */
export function makeReserved(path: string): void {
  using database = new DatabaseSync(path);
  database.exec(`PRAGMA page_size=${PAGE_BYTES}; PRAGMA user_version=1`);
  database.close();
  const bytes = readFileSync(path);
  bytes.writeUInt8(RESERVED, 20);
  // Where the content of the empty page begins: behind it are the reserved bytes.
  bytes.writeUInt16BE(PAGE_BYTES - RESERVED, 105);
  writeFileSync(path, bytes);
}

/** Two sums of 32 bits over words in turn, each of which feeds the other. */
function checksumOf(page: Buffer): Buffer {
  let [even, odd] = [0, 0];
  for (let at = 0; at < PAGE_BYTES - RESERVED; at += 8) {
    even = (even + page.readUInt32LE(at) + odd) >>> 0;
    odd = (odd + page.readUInt32LE(at + 4) + even) >>> 0;
  }
  const sum = Buffer.alloc(RESERVED);
  sum.writeUInt32LE(even, 0);
  sum.writeUInt32LE(odd, 4);
  return sum;
}

function pagesOf(bytes: Buffer): Buffer[] {
  return Array.from({ length: bytes.length / PAGE_BYTES }, (_, index) =>
    bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES),
  );
}

/** Gives every page its checksum, in the application's stead. */
export function sealPages(path: string): void {
  const bytes = readFileSync(path);
  for (const page of pagesOf(bytes)) checksumOf(page).copy(page, PAGE_BYTES - RESERVED);
  writeFileSync(path, bytes);
}

/** The numbers of the pages whose checksum is wrong. */
export function unsealedPages(path: string): number[] {
  const pages = pagesOf(readFileSync(path));
  return pages.flatMap((page, index) =>
    checksumOf(page).equals(page.subarray(PAGE_BYTES - RESERVED)) ? [] : [index + 1],
  );
}

/** What the VFS makes of frames that SQLite hands to it: each page gets its checksum, the frame keeps its own. */
export function sealFrames(walPath: string): void {
  const bytes = readFileSync(walPath);
  for (let at = WAL_HEADER_BYTES + FRAME_HEADER_BYTES; at + PAGE_BYTES <= bytes.length;) {
    const page = bytes.subarray(at, at + PAGE_BYTES);
    checksumOf(page).copy(page, PAGE_BYTES - RESERVED);
    at += PAGE_BYTES + FRAME_HEADER_BYTES;
  }
  writeFileSync(walPath, bytes);
}
