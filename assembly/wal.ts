/**
 * The checksum of a write-ahead log and the check of whole frames (sqlite.org/fileformat2.html, sections 4.1 and 4.2). The sums
 * are over pairs of words in the byte order of the machine that made the log: `s0 += first + s1; s1 += second + s0`.
 */

const FRAME_HEADER_BYTES: u32 = 24;

/** What `checkFrames` is told, and what it answers; each a 32-bit word. Salts are as in the file, and not turned. */
const SALT_1: usize = 0;
const SALT_2: usize = 4;
const PAGE_BYTES: usize = 8;
const IS_BIG_ENDIAN: usize = 12;
/** The checksum before the first frame; afterwards that behind the last valid one. */
const SUMS: usize = 16;
const VALID_BYTES: usize = 24;
const COMMITTED_BYTES: usize = 28;
const COMMITTED_SUMS: usize = 32;
const PAGE_COUNT: usize = 40;
const COMMITS: usize = 44;
const IS_PADDED: usize = 48;

/** Why it stopped. */
const STOP_END: u32 = 0;
const STOP_SALT: u32 = 1;
const STOP_PAGE_NUMBER: u32 = 2;
const STOP_CHECKSUM: u32 = 3;

// @ts-ignore: a decorator of the language
@inline
function both(s0: u32, s1: u32): u64 {
  return <u64>s0 | (<u64>s1 << 32);
}

function sumLittleEndian(sums: u64, from: usize, bytes: u32): u64 {
  let s0 = <u32>sums;
  let s1 = <u32>(sums >> 32);
  const end = from + bytes;
  for (const wholeEnd = from + (bytes & ~31); from != wholeEnd; from += 32) {
    s0 = s0 + load<u32>(from) + s1;
    s1 = s1 + load<u32>(from, 4) + s0;
    s0 = s0 + load<u32>(from, 8) + s1;
    s1 = s1 + load<u32>(from, 12) + s0;
    s0 = s0 + load<u32>(from, 16) + s1;
    s1 = s1 + load<u32>(from, 20) + s0;
    s0 = s0 + load<u32>(from, 24) + s1;
    s1 = s1 + load<u32>(from, 28) + s0;
  }
  for (; from != end; from += 8) {
    s0 = s0 + load<u32>(from) + s1;
    s1 = s1 + load<u32>(from, 4) + s0;
  }
  return both(s0, s1);
}

function sumBigEndian(sums: u64, from: usize, bytes: u32): u64 {
  let s0 = <u32>sums;
  let s1 = <u32>(sums >> 32);
  for (const end = from + bytes; from != end; from += 8) {
    s0 = s0 + bswap<u32>(load<u32>(from)) + s1;
    s1 = s1 + bswap<u32>(load<u32>(from, 4)) + s0;
  }
  return both(s0, s1);
}

// @ts-ignore: a decorator of the language
@inline
function sumOf(sums: u64, from: usize, bytes: u32, isBigEndian: bool): u64 {
  return isBigEndian ? sumBigEndian(sums, from, bytes) : sumLittleEndian(sums, from, bytes);
}

/** Goes on with the two sums at `sums` over `bytes` bytes, a multiple of 8. */
export function sumWords(sums: usize, from: usize, bytes: u32, isBigEndian: bool): void {
  store<u64>(sums, sumOf(load<u64>(sums), from, bytes, isBigEndian));
}

/** Whether two frames are commits of the same page with the same content. */
function isSameCommit(one: usize, other: usize, pageBytes: u32): bool {
  if (load<u32>(one) != load<u32>(other) || load<u32>(one, 4) == 0) return false;
  return memory.compare(one + FRAME_HEADER_BYTES, other + FRAME_HEADER_BYTES, pageBytes) == 0;
}

/** Checks one frame behind another from `from` on, and fills in the answers. The bytes may end inside a frame. */
export function checkFrames(facts: usize, from: usize, bytes: u32): u32 {
  const salt1 = load<u32>(facts + SALT_1);
  const salt2 = load<u32>(facts + SALT_2);
  const pageBytes = load<u32>(facts + PAGE_BYTES);
  const isBigEndian = load<u32>(facts + IS_BIG_ENDIAN) != 0;
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  let sums = load<u64>(facts + SUMS);
  let committedSums = sums;
  let committedBytes: u32 = 0;
  let pageCount: u32 = 0;
  let commits: u32 = 0;
  let isPadded = false;
  let stop = STOP_END;
  let valid: u32 = 0;
  for (; bytes - valid >= frameBytes; valid += frameBytes) {
    const at = from + valid;
    if (load<u32>(at, 8) != salt1 || load<u32>(at, 12) != salt2) {
      stop = STOP_SALT;
      break;
    }
    if (load<u32>(at) == 0) {
      stop = STOP_PAGE_NUMBER;
      break;
    }
    const next = sumOf(
      sumOf(sums, at, 8, isBigEndian),
      at + FRAME_HEADER_BYTES,
      pageBytes,
      isBigEndian,
    );
    if (bswap<u32>(load<u32>(at, 16)) != <u32>next || bswap<u32>(load<u32>(at, 20)) != <u32>(next >> 32)) {
      stop = STOP_CHECKSUM;
      break;
    }
    sums = next;
    const commit = bswap<u32>(load<u32>(at, 4));
    if (commit == 0) continue;
    commits++;
    if (valid > 0 && !isPadded) isPadded = isSameCommit(at - frameBytes, at, pageBytes);
    pageCount = commit;
    committedBytes = valid + frameBytes;
    committedSums = next;
  }
  store<u64>(facts + SUMS, sums);
  store<u32>(facts + VALID_BYTES, valid);
  store<u32>(facts + COMMITTED_BYTES, committedBytes);
  store<u64>(facts + COMMITTED_SUMS, committedSums);
  store<u32>(facts + PAGE_COUNT, pageCount);
  store<u32>(facts + COMMITS, commits);
  store<u32>(facts + IS_PADDED, isPadded ? 1 : 0);
  return stop;
}
