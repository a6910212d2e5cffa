/**
 * The cumulative checksum of SQLite's write-ahead log (sqlite.org/fileformat2.html, section 4.2): a Fibonacci-like
 * sum over pairs of 32-bit words, `s0 += a + s1; s1 += b + s0`, in the byte order that the header's magic names.
 */

/** The two 32-bit sums, unsigned. */
export type Checksum = readonly [number, number];

export const CHECKSUM_START: Checksum = [0, 0];

/** True on machines whose words lie in memory with the low byte first; typed arrays show that order. */
export const LITTLE_ENDIAN_MACHINE: boolean = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

function sumWords(seed: Checksum, words: Uint32Array): Checksum {
  let s0 = seed[0] | 0;
  let s1 = seed[1] | 0;
  for (let i = 0; i < words.length; i += 2) {
    s0 = (s0 + (words[i] as number) + s1) | 0;
    s1 = (s1 + (words[i + 1] as number) + s0) | 0;
  }
  return [s0 >>> 0, s1 >>> 0];
}

function sumView(
  seed: Checksum,
  bytes: Uint8Array,
  start: number,
  end: number,
  littleEndian: boolean,
): Checksum {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, end - start);
  let s0 = seed[0] | 0;
  let s1 = seed[1] | 0;
  for (let i = 0; i < end - start; i += 8) {
    s0 = (s0 + view.getUint32(i, littleEndian) + s1) | 0;
    s1 = (s1 + view.getUint32(i + 4, littleEndian) + s0) | 0;
  }
  return [s0 >>> 0, s1 >>> 0];
}

/**
 * Continues the checksum `seed` over `bytes[start, end)`.
 *
 * @param bigEndian - whether words are read high byte first (WAL magic `0x377f0683`)
 * @throws RangeError when the length is not a multiple of 8 (a bug, not bad input)
 */
export function walChecksum(
  seed: Checksum,
  bytes: Uint8Array,
  start: number,
  end: number,
  bigEndian: boolean,
): Checksum {
  if ((end - start) % 8 !== 0)
    throw new RangeError(`checksum over ${end - start} bytes, not a multiple of 8`);
  // Typed-array reads are about twice as fast as DataView reads, but only in the machine's own order and aligned.
  if (bigEndian !== LITTLE_ENDIAN_MACHINE && (bytes.byteOffset + start) % 4 === 0) {
    return sumWords(seed, new Uint32Array(bytes.buffer, bytes.byteOffset + start, (end - start) / 4));
  }
  return sumView(seed, bytes, start, end, !bigEndian);
}

export function checksumsEqual(a: Checksum, b: Checksum): boolean {
  return a[0] === b[0] && a[1] === b[1];
}
