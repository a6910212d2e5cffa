/** A reader of bytes that come from a disk or a network, as the fuzzer sees it. */
import type { ErrorCode } from '../../src/base/errors.ts';

export interface FuzzTarget {
  /** `room/reader`. */
  readonly name: string;
  /** What it may refuse an input with; empty when it never refuses. Anything else that is thrown is a finding. */
  readonly codes: readonly ErrorCode[];
  /** For readers whose contract is an `Error` of one clause, which their callers wrap: these are refusals too. */
  readonly refusesWith?: (error: unknown) => boolean;
  /** Inputs that are in order, to be changed. */
  readonly samples: () => Promise<readonly Uint8Array[]> | readonly Uint8Array[];
  /** Words of the format, put in here and there; for formats that are text. */
  readonly words?: readonly string[];
  /** Makes checksums of a changed input right again, so that what lies behind them is reached. */
  readonly repair?: (input: Uint8Array) => Uint8Array;
  /**
   * Reads the input, and when it is accepted checks what the reader promises: written again it means the same. A broken
   * promise is thrown as an `AssertionError`.
   */
  readonly read: (input: Uint8Array) => Promise<void> | void;
  /** Memory that a reader may take: so many bytes for each byte of the input, and so many besides. */
  readonly memory?: { readonly perByte: number; readonly besides: number };
  /** The input is of a person, who wants to see it again in a message. What comes from a server is not shown whole. */
  readonly isShownInMessages?: boolean;
  /** Inputs are not made longer. */
  readonly inputBytesMax?: number;
  /** Of the time that others get; servers answer slowly. */
  readonly cpuMsMax?: number;
}

export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'utf8'));
}

/** The text that a program would read from a file with these bytes. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}
