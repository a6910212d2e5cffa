/** The server's word on a request, by the protocol's numbers (draft-ietf-secsh-filexfer-02, section 7). */
export type StatusName =
  | 'END_OF_FILE'
  | 'NO_SUCH_FILE'
  | 'PERMISSION_DENIED'
  | 'FAILURE'
  | 'BAD_MESSAGE'
  | 'NO_CONNECTION'
  | 'CONNECTION_LOST'
  | 'UNSUPPORTED';

const NAMES: Readonly<Record<number, StatusName>> = {
  1: 'END_OF_FILE',
  2: 'NO_SUCH_FILE',
  3: 'PERMISSION_DENIED',
  4: 'FAILURE',
  5: 'BAD_MESSAGE',
  6: 'NO_CONNECTION',
  7: 'CONNECTION_LOST',
  8: 'UNSUPPORTED',
};

/** A refusal by the server; becomes a `RivuletError` where it is known what it means. */
export class SftpStatus extends Error {
  override readonly name = 'SftpStatus';
  readonly status: StatusName;

  constructor(status: StatusName, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.status = status;
  }

  /** What `ssh2` made of a status answer; undefined when the error is none. Unknown numbers are failures. */
  static from(error: Error): SftpStatus | undefined {
    if (!('code' in error) || typeof error.code !== 'number') return undefined;
    return new SftpStatus(NAMES[error.code] ?? 'FAILURE', error.message, error);
  }
}

/** The status that `error` is; undefined when it is something else. */
export function statusOf(error: unknown): StatusName | undefined {
  return error instanceof SftpStatus ? error.status : undefined;
}
