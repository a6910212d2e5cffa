/** What `blocking-writer.ts` and its thread share. */
export const SLOT = { state: 0, length: 1, isReady: 2 } as const;

export const STATE = {
  idle: 0,
  /** `length` bytes are to be written. */
  full: 1,
  /** The write failed; `length` bytes are the code of the error. */
  failed: 2,
} as const;

export interface BlockingWriterData {
  readonly descriptor: number;
  readonly numbers: Int32Array;
  readonly bytes: Uint8Array;
}
