/**
 * Writes LZ4 blocks (LZ4 block format): the content is read once, and each place is compared with the last place whose next five
 * bytes had the same hash. The table of places is in the processor's nearest cache.
 */

const TABLE_BITS: u32 = 13;
/** A small block needs few places, and clearing the whole table would take longer than the work. */
const SMALL_TABLE_BITS: u32 = 11;
const SMALL_BYTES: u32 = 8 * 1024;

const MATCH_BYTES_MIN: u32 = 4;
/** By the format: the last five bytes of a block are literals, and its last match begins twelve bytes before the end or earlier. */
const END_LITERALS: usize = 5;
const END_MATCH_START: usize = 12;

/** After so many places without a match (a power of two), the steps become longer. */
const PATIENCE_BITS: u32 = 6;
/** Any odd number with well mixed bits; this one is 2^64 divided by the golden ratio. */
const MIX: u64 = 0x9e3779b97f4a7c15;

/**
 * The lower 16 bits of the place in the block where each hash was seen last. The distance to it is the lower 16 bits of the
 * difference, and so never more than a match may reach; whether it is a match is decided by comparing the bytes.
 */
const places: usize = memory.data(2 << 13, 16);

// @ts-ignore: a decorator of the language
@inline
function slotOf(eightBytes: u64, bits: u32): usize {
  return places + (<usize>(((eightBytes << 24) * MIX) >> (64 - bits)) << 1);
}

/** A length that goes on behind its 4 bits: bytes of 255, and one that is less. */
// @ts-ignore: a decorator of the language
@inline
function writeLength(to: usize, rest: u32): usize {
  for (; rest >= 255; rest -= 255) store<u8>(to++, 255);
  store<u8>(to, <u8>rest);
  return to + 1;
}

/** Copies in steps of 16 bytes; what is written behind the last one is overwritten, or not counted. */
// @ts-ignore: a decorator of the language
@inline
function copyLoosely(to: usize, from: usize, bytes: u32): void {
  if (bytes > 256) memory.copy(to, from, bytes);
  else {
    for (let i: usize = 0; i < bytes; i += 16) v128.store(to + i, v128.load(from + i));
  }
}

/** How many bytes are the same from `a` and `b` on, up to `end` for `a`. */
// @ts-ignore: a decorator of the language
@inline
function sameBytes(a: usize, b: usize, end: usize): u32 {
  const start = a;
  while (a + 8 <= end) {
    const difference = load<u64>(a) ^ load<u64>(b);
    if (difference != 0) return <u32>(a - start) + <u32>(ctz(difference) >> 3);
    a += 8;
    b += 8;
  }
  while (a < end && load<u8>(a) == load<u8>(b)) {
    a++;
    b++;
  }
  return <u32>(a - start);
}

// @ts-ignore: a decorator of the language
@inline
function encodeWith(from: usize, bytes: u32, to: usize, bits: u32): u32 {
  const end = from + bytes;
  let at = from;
  let literals = from;
  let out = to;
  if (bytes > END_MATCH_START) {
    const lastStart = end - END_MATCH_START;
    const matchEnd = end - END_LITERALS;
    memory.fill(places, 0, <usize>2 << bits);
    at++;
    for (;;) {
      let tries: u32 = 1 << PATIENCE_BITS;
      let distance: u32 = 0;
      let isFound = false;
      while (at <= lastStart) {
        const next = load<u64>(at);
        const slot = slotOf(next, bits);
        const place = <u32>(at - from);
        distance = (place - <u32>load<u16>(slot)) & 0xffff;
        store<u16>(slot, <u16>place);
        if (distance != 0 && load<u32>(at - distance) == <u32>next) {
          isFound = true;
          break;
        }
        at += tries++ >> PATIENCE_BITS;
      }
      if (!isFound) break;
      let match = at - distance;
      while (at > literals && match > from && load<u8>(at - 1) == load<u8>(match - 1)) {
        at--;
        match--;
      }
      const literalBytes = <u32>(at - literals);
      const token = out++;
      if (literalBytes >= 15) out = writeLength(out, literalBytes - 15);
      copyLoosely(out, literals, literalBytes);
      out += literalBytes;
      store<u16>(out, <u16>distance);
      out += 2;
      const length = MATCH_BYTES_MIN + sameBytes(at + MATCH_BYTES_MIN, match + MATCH_BYTES_MIN, matchEnd);
      const more = length - MATCH_BYTES_MIN;
      store<u8>(token, <u8>((min<u32>(literalBytes, 15) << 4) | min<u32>(more, 15)));
      if (more >= 15) out = writeLength(out, more - 15);
      at += length;
      literals = at;
      if (at > lastStart) break;
      // A place inside the match, from which the next one is often found.
      store<u16>(slotOf(load<u64>(at - 2), bits), <u16>(at - 2 - from));
    }
  }
  const rest = <u32>(end - literals);
  store<u8>(out++, <u8>(min<u32>(rest, 15) << 4));
  if (rest >= 15) out = writeLength(out, rest - 15);
  memory.copy(out, literals, rest);
  return <u32>(out + rest - to);
}

/**
 * Encodes `bytes` bytes at `from` as one block at `to`, and returns its size. Up to 16 bytes behind the content may be read.
 * `to` needs room for `bytes + bytes / 255 + 32` bytes.
 */
export function encodeBlock(from: usize, bytes: u32, to: usize): u32 {
  return bytes <= SMALL_BYTES
    ? encodeWith(from, bytes, to, SMALL_TABLE_BITS)
    : encodeWith(from, bytes, to, TABLE_BITS);
}
