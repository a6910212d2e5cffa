/** xxHash32 with seed 0 (xxHash specification, XXH32). Four lanes, each of one 32-bit word in 16 bytes. */

const PRIME_1: u32 = 0x9e3779b1;
const PRIME_2: u32 = 0x85ebca77;
const PRIME_3: u32 = 0xc2b2ae3d;
const PRIME_4: u32 = 0x27d4eb2f;
const PRIME_5: u32 = 0x165667b1;

/** The state: four lanes, the length modulo 2^32, whether the lanes were used, how many bytes wait, and those bytes. */
const TOTAL: usize = 16;
const IS_LONG: usize = 20;
const WAITING: usize = 24;
const BYTES: usize = 28;

export function beginHash(state: usize): void {
  store<u32>(state, PRIME_1 + PRIME_2);
  store<u32>(state + 4, PRIME_2);
  store<u32>(state + 8, 0);
  store<u32>(state + 12, 0 - PRIME_1);
  store<u32>(state + TOTAL, 0);
  store<u32>(state + IS_LONG, 0);
  store<u32>(state + WAITING, 0);
}

// @ts-ignore: a decorator of the language
@inline
function mixed(lane: u32, word: u32): u32 {
  return rotl<u32>(lane + word * PRIME_2, 13) * PRIME_1;
}

/** Takes in `stripes` times 16 bytes. */
function addStripes(state: usize, from: usize, stripes: u32): void {
  let a = load<u32>(state);
  let b = load<u32>(state + 4);
  let c = load<u32>(state + 8);
  let d = load<u32>(state + 12);
  for (const end = from + (<usize>stripes << 4); from != end; from += 16) {
    a = mixed(a, load<u32>(from));
    b = mixed(b, load<u32>(from, 4));
    c = mixed(c, load<u32>(from, 8));
    d = mixed(d, load<u32>(from, 12));
  }
  store<u32>(state, a);
  store<u32>(state + 4, b);
  store<u32>(state + 8, c);
  store<u32>(state + 12, d);
  if (stripes > 0) store<u32>(state + IS_LONG, 1);
}

export function addToHash(state: usize, from: usize, bytes: u32): void {
  store<u32>(state + TOTAL, load<u32>(state + TOTAL) + bytes);
  const waiting = load<u32>(state + WAITING);
  if (waiting > 0) {
    const taken = min<u32>(16 - waiting, bytes);
    memory.copy(state + BYTES + waiting, from, taken);
    from += taken;
    bytes -= taken;
    if (waiting + taken < 16) {
      store<u32>(state + WAITING, waiting + taken);
      return;
    }
    addStripes(state, state + BYTES, 1);
  }
  addStripes(state, from, bytes >> 4);
  const rest = bytes & 15;
  memory.copy(state + BYTES, from + (bytes - rest), rest);
  store<u32>(state + WAITING, rest);
}

/** The hash of everything so far. The state stays as it is. */
export function hashOf(state: usize): u32 {
  let hash = load<u32>(state + TOTAL);
  if (load<u32>(state + IS_LONG) != 0) {
    hash += rotl<u32>(load<u32>(state), 1);
    hash += rotl<u32>(load<u32>(state + 4), 7);
    hash += rotl<u32>(load<u32>(state + 8), 12);
    hash += rotl<u32>(load<u32>(state + 12), 18);
  } else hash += PRIME_5;
  let at = state + BYTES;
  let left = load<u32>(state + WAITING);
  for (; left >= 4; left -= 4) {
    hash = rotl<u32>(hash + load<u32>(at) * PRIME_3, 17) * PRIME_4;
    at += 4;
  }
  for (; left > 0; left--) hash = rotl<u32>(hash + <u32>load<u8>(at++) * PRIME_5, 11) * PRIME_1;
  hash = (hash ^ (hash >> 15)) * PRIME_2;
  hash = (hash ^ (hash >> 13)) * PRIME_3;
  return hash ^ (hash >> 16);
}
