/**
 * Reads LZ4 blocks (LZ4 block format) and believes nothing in them: every length and distance is held against what is there and
 * against the room for the result, before anything is copied.
 */

const MATCH_BYTES_MIN: u32 = 4;
/** A 4-bit length of 15 goes on in the bytes behind it. */
const LENGTH_CONTINUES: u32 = 15;

/** Copies of up to so many bytes are made in steps of 16, which may go up to 15 bytes further. */
const STEPWISE_BYTES: u32 = 512;

/** For each distance below 16: the places of 16 bytes in a repetition of the first ones. */
const repetition: usize = memory.data(16 * 16, 16);
/** For each of these distances: the most bytes, up to 16, after which the repetition begins again. */
const repetitionStep: usize = memory.data(16, 16);

/** To be called once, before anything else here. */
export function prepareDecoding(): void {
  for (let distance: u32 = 1; distance < 16; distance++) {
    for (let i: u32 = 0; i < 16; i++) store<u8>(repetition + distance * 16 + i, <u8>(i % distance));
    store<u8>(repetitionStep + distance, <u8>(16 - (16 % distance)));
  }
}

/** Copies `bytes` from `distance` bytes before `to`, which repeats what it has just written where that is less than `bytes`. */
// @ts-ignore: a decorator of the language
@inline
function copyMatch(to: usize, distance: u32, bytes: u32, room: u32): void {
  const from = to - distance;
  const end = to + bytes;
  if (distance >= 16 && bytes <= 32 && room >= 32) {
    // Most matches. What is written too much is overwritten by what comes next.
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
  } else if (room - bytes < 16) {
    for (let i: usize = 0; i < bytes; i++) store<u8>(to + i, load<u8>(from + i));
  } else if (distance < 16) {
    const pattern = v128.swizzle(v128.load(from), v128.load(repetition + distance * 16));
    const step = <usize>load<u8>(repetitionStep + distance);
    for (let at = to; at < end; at += step) v128.store(at, pattern);
  } else if (bytes > STEPWISE_BYTES && distance >= bytes) memory.copy(to, from, bytes);
  else {
    let source = from;
    for (let at = to; at < end; at += 16) {
      v128.store(at, v128.load(source));
      source += 16;
    }
  }
}

/**
 * Decodes the block of `bytes` bytes at `from` to `to`, where there is room for `room` bytes. Matches may reach `history` bytes to
 * before `to`. Up to 16 bytes behind the block may be read, and nothing is written behind the room.
 *
 * @returns the decoded size, or -1 when the block is malformed or its content has no room
 */
export function decodeBlock(from: usize, bytes: u32, to: usize, room: u32, history: u32): i32 {
  let at = from;
  const end = from + bytes;
  let out = to;
  const outEnd = to + room;
  const outStart = to - history;
  while (at < end) {
    const token = <u32>load<u8>(at++);
    let literals = token >> 4;
    if (literals < LENGTH_CONTINUES && end - at >= 18 && outEnd - out >= 16) {
      // Few literals, and a match behind them: neither the block nor the room ends here.
      v128.store(out, v128.load(at));
      out += literals;
      at += literals;
    } else {
      if (literals == LENGTH_CONTINUES) {
        let more: u32;
        do {
          if (at >= end) return -1;
          more = <u32>load<u8>(at++);
          literals += more;
        } while (more == 255);
      }
      if (literals > <u32>(end - at) || literals > <u32>(outEnd - out)) return -1;
      if (literals <= 64 && <u32>(outEnd - out) >= literals + 16) {
        for (let i: usize = 0; i < literals; i += 16) v128.store(out + i, v128.load(at + i));
      } else memory.copy(out, at, literals);
      out += literals;
      at += literals;
      if (at == end) return <i32>(out - to);
      if (end - at < 2) return -1;
    }
    const distance = <u32>load<u16>(at);
    at += 2;
    if (distance == 0 || distance > <u32>(out - outStart)) return -1;
    let length = token & 15;
    if (length == LENGTH_CONTINUES) {
      let more: u32;
      do {
        if (at >= end) return -1;
        more = <u32>load<u8>(at++);
        length += more;
      } while (more == 255);
    }
    length += MATCH_BYTES_MIN;
    const left = <u32>(outEnd - out);
    if (length > left) return -1;
    copyMatch(out, distance, length, left);
    out += length;
  }
  return -1;
}
