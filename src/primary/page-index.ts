/**
 * Which frame of the log holds the newest version of a page: a map from page numbers to byte offsets in two flat
 * arrays (12 bytes an entry at most half full), because a log can hold millions of frames.
 */
export class PageIndex {
  #pages = new Uint32Array(1024);
  #offsets = new Float64Array(1024);
  #count = 0;

  get size(): number {
    return this.#count;
  }

  set(page: number, offsetBytes: number): void {
    if (this.#count * 2 >= this.#pages.length) this.#grow();
    const slot = this.#slot(page);
    if (this.#pages[slot] === 0) this.#count++;
    this.#pages[slot] = page;
    this.#offsets[slot] = offsetBytes;
  }

  /** Offset of the page's newest frame, or undefined when the log does not hold the page. */
  get(page: number): number | undefined {
    const slot = this.#slot(page);
    return this.#pages[slot] === page ? this.#offsets[slot] : undefined;
  }

  #slot(page: number): number {
    const mask = this.#pages.length - 1;
    let slot = Math.imul(page, 0x9e3779b1) & mask;
    while (this.#pages[slot] !== 0 && this.#pages[slot] !== page) slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const pages = this.#pages;
    const offsets = this.#offsets;
    this.#pages = new Uint32Array(pages.length * 2);
    this.#offsets = new Float64Array(pages.length * 2);
    this.#count = 0;
    for (const [at, page] of pages.entries()) {
      if (page !== 0) this.set(page, offsets[at] ?? 0);
    }
  }
}
