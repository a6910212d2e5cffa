/**
 * Frees the memory of `bytes`, which must be all of their buffer and belong to the caller alone; they are empty
 * afterwards. The collector does not hurry for memory outside its heap: a stream of native blocks would pile up
 * hundreds of megabytes before it looks, and fresh memory costs more time than memory that was just given back.
 */
export function giveBack(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) buffer.transfer(0);
}
