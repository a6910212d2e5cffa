/**
 * What applying a plan can find. These never leave the room: the orchestrator turns them into the errors that people
 * see, because only it knows what else could be restored.
 */
import { RivuletError } from '../base/errors.ts';
import type { Position } from '../generations/names.ts';

/** The chain cannot be passed at `position`. */
export class ChainFault extends Error {
  override readonly name = 'ChainFault';
  /** The object that is missing or wrong. */
  readonly key: string;
  readonly position: Position;
  /** The object that says that there must be more, when it is another one. */
  readonly claimantKey: string | undefined;

  constructor(
    key: string,
    position: Position,
    message: string,
    options: { cause?: unknown; claimantKey?: string } = {},
  ) {
    super(message, options);
    this.key = key;
    this.position = position;
    this.claimantKey = options.claimantKey;
  }
}

/** The snapshot is damaged or is not the one that its name says; an older one may do. */
export class SnapshotFault extends Error {
  override readonly name = 'SnapshotFault';
  readonly key: string;

  constructor(key: string, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.key = key;
  }
}

/** The snapshot stands further than the segments of the moment asked for: it is that moment's state by itself. */
export class SnapshotAhead extends Error {
  override readonly name = 'SnapshotAhead';
}

/** An error about one object that does not name it yet. */
export function withKey(key: string, error: RivuletError): RivuletError {
  if (error.message.includes(key)) return error;
  const options = { cause: error, ...(error.hint === undefined ? {} : { hint: error.hint }) };
  return new RivuletError(error.code, `${key}: ${error.message}`, options);
}
