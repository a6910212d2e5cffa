/** What `background-checkpoint.ts` and the thread of `checkpoint-worker.ts` tell each other. */
export interface CheckpointJob {
  readonly id: number;
  /** Undefined when it is only asked whether the thread is free. */
  readonly path: string | undefined;
  /** One number, set to one of `OUTCOMES` at the end, for a thread that stands still. */
  readonly outcome?: Int32Array;
}

export interface CheckpointReply {
  readonly id: number;
  /** Another checkpoint was running, so that this one did nothing. */
  readonly busy?: boolean;
  readonly error?: string;
}

export const OUTCOMES = { pending: 0, done: 1, busy: 2 } as const;
