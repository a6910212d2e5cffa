/** The one way of text to the terminal: nothing that others wrote can act upon it. */
import { visibleLines } from '../base/visible-text.ts';
import type { Output } from './command.ts';

/** A stream of the process, or a test's memory. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/**
 * Line breaks pass, since most of them are ours: what is put into a line goes through `visibleText` where the line is
 * made.
 */
export function screenOn(stream: TextStream): Output {
  return {
    write: (text) => stream.write(visibleLines(text)),
    writeCodes: (text) => stream.write(text),
    get isTTY() {
      return stream.isTTY === true;
    },
    get columns() {
      return stream.columns;
    },
  };
}
