/** What the kernel does, written plainly a second time: slow, and easy to compare with the formats' own documents. */

/** Decodes a block of the LZ4 block format. @returns undefined when it is malformed, or decodes to more than `room` */
export function decodeBlockPlainly(
  block: Uint8Array,
  room: number,
  history: Uint8Array,
): number[] | undefined {
  const out = [...history];
  let at = 0;
  const byte = (): number => block[at++] ?? Number.NaN;
  const lengthFrom = (bits: number): number => {
    let length = bits;
    for (let more = bits === 15 ? 255 : 0; more === 255; length += more) more = byte();
    return length;
  };
  while (at < block.length) {
    const token = byte();
    const literals = lengthFrom(token >> 4);
    if (!(at + literals <= block.length)) return undefined;
    for (let i = 0; i < literals; i++) out.push(byte());
    if (out.length - history.length > room) return undefined;
    if (at === block.length) return out.slice(history.length);
    const distance = byte() + 256 * byte();
    const length = lengthFrom(token & 15) + 4;
    if (!(distance > 0 && distance <= out.length && out.length - history.length + length <= room))
      return undefined;
    for (let i = 0; i < length; i++) out.push(out[out.length - distance] as number);
  }
  return undefined;
}

/** xxHash32 with seed 0, as its specification tells it step by step. */
export function xxhash32Plainly(bytes: Uint8Array): number {
  const [P1, P2, P3, P4, P5] = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f, 0x165667b1];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const rotated = (x: number, bits: number): number => (x << bits) | (x >>> (32 - bits));
  const lanes = [(P1 + P2) | 0, P2 | 0, 0, -P1 | 0];
  let at = 0;
  for (; at + 16 <= bytes.length; at += 16) {
    for (const [i, lane] of lanes.entries()) {
      const word = view.getUint32(at + 4 * i, true);
      lanes[i] = Math.imul(rotated((lane + Math.imul(word, P2)) | 0, 13), P1);
    }
  }
  const [a = 0, b = 0, c = 0, d = 0] = lanes;
  let hash = bytes.length >= 16 ? rotated(a, 1) + rotated(b, 7) + rotated(c, 12) + rotated(d, 18) : P5;
  hash = (hash + bytes.length) | 0;
  for (; at + 4 <= bytes.length; at += 4)
    hash = Math.imul(rotated((hash + Math.imul(view.getUint32(at, true), P3)) | 0, 17), P4);
  for (; at < bytes.length; at++)
    hash = Math.imul(rotated((hash + Math.imul(view.getUint8(at), P5)) | 0, 11), P1);
  hash = Math.imul(hash ^ (hash >>> 15), P2);
  hash = Math.imul(hash ^ (hash >>> 13), P3);
  return (hash ^ (hash >>> 16)) >>> 0;
}
