/** Lines of JSON that processes append to a file, read as they come. */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';

const PIECE_BYTES = 1024 * 1024;

export class JsonTail<Line> {
  readonly #path: string;
  readonly #otherwise: (text: string) => Line;
  #offset = 0;
  #rest = '';

  /** @param otherwise - what a line that is not JSON means */
  constructor(path: string, otherwise: (text: string) => Line) {
    this.#path = path;
    this.#otherwise = otherwise;
  }

  /** The lines that were finished since the last call. */
  read(): Line[] {
    if (!existsSync(this.#path)) return [];
    const file = openSync(this.#path, 'r');
    try {
      const piece = Buffer.alloc(PIECE_BYTES);
      const texts: string[] = [];
      for (let bytes = readSync(file, piece, 0, PIECE_BYTES, this.#offset); bytes > 0;) {
        // Lines are ASCII but for names of files, and those are ours.
        texts.push(piece.toString('latin1', 0, bytes));
        this.#offset += bytes;
        bytes = readSync(file, piece, 0, PIECE_BYTES, this.#offset);
      }
      const lines = (this.#rest + texts.join('')).split('\n');
      this.#rest = lines.pop() ?? '';
      return lines.filter((line) => line !== '').map((line) => this.#parse(line));
    } finally {
      closeSync(file);
    }
  }

  #parse(line: string): Line {
    try {
      return JSON.parse(line) as Line;
    } catch {
      return this.#otherwise(line);
    }
  }
}
