/**
 * Exact numbers of bytes out of a stream with chunks of any size. Where one chunk holds them all, the answer is a view
 * of it; else they are joined.
 */
export class ChunkReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next `bytes` bytes when the present chunk has them, without waiting. */
  takeNow(bytes: number): Uint8Array | undefined {
    const end = this.#at + bytes;
    if (end > this.#chunk.length) return undefined;
    const taken = this.#chunk.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  /** The next `bytes` bytes, or as many as there are before the end. */
  async take(bytes: number): Promise<Uint8Array> {
    const now = this.takeNow(bytes);
    if (now !== undefined) return now;
    const parts: Uint8Array[] = [];
    let missing = bytes;
    while (missing > 0 && (await this.#fill())) {
      const part = this.takeNow(Math.min(missing, this.#chunk.length - this.#at))!;
      parts.push(part);
      missing -= part.length;
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  /** Copies the next bytes into `target`; answers how many there were, fewer only before the end. */
  async copyInto(target: Uint8Array): Promise<number> {
    let at = 0;
    while (at < target.length && (await this.#fill())) {
      const part = this.takeNow(Math.min(target.length - at, this.#chunk.length - this.#at))!;
      target.set(part, at);
      at += part.length;
    }
    return at;
  }

  /** Passes over `bytes` bytes and returns how many there were. */
  async skip(bytes: number): Promise<number> {
    let missing = bytes;
    while (missing > 0 && (await this.#fill())) {
      missing -= this.takeNow(Math.min(missing, this.#chunk.length - this.#at))!.length;
    }
    return bytes - missing;
  }

  /** Tells the source that nothing more will be asked for. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  /** Makes sure that the present chunk has unread bytes; false at the end of the source. */
  async #fill(): Promise<boolean> {
    while (this.#at >= this.#chunk.length) {
      const next = await this.#source.next();
      if (next.done === true) return false;
      this.#chunk = next.value;
      this.#at = 0;
    }
    return true;
  }
}
