/** How the loopback server misbehaves, when a test says so. */

/** What S3 calls its requests. */
export type Operation =
  | 'PutObject'
  | 'GetObject'
  | 'HeadObject'
  | 'DeleteObject'
  | 'DeleteObjects'
  /** As Litestream v0.3 lists: pages are not continued here. */
  | 'ListObjects'
  | 'ListObjectsV2'
  | 'HeadBucket'
  | 'GetBucketLocation'
  | 'CreateMultipartUpload'
  | 'UploadPart'
  | 'CompleteMultipartUpload'
  | 'AbortMultipartUpload'
  | 'ListMultipartUploads'
  | 'Unknown';

/** One request as it came. */
export interface RecordedRequest {
  readonly operation: Operation;
  readonly method: string;
  readonly bucket: string;
  /** Empty for requests about the bucket. */
  readonly key: string;
  /** The path as it came, still encoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the body that had come when the request was answered. */
  bodyBytes: number;
  /** 0 while it has no answer, or was cut off. */
  status: number;
  readonly atMs: number;
}

export type Fault =
  /** An error instead of an answer; nothing is done. */
  | {
      readonly answer: {
        readonly status: number;
        readonly code?: string;
        readonly headers?: Readonly<Record<string, string>>;
        /** More elements of the error's XML. */
        readonly fields?: Readonly<Record<string, string>>;
        /** Instead of XML. */
        readonly body?: string;
      };
    }
  /** The connection is reset when that many bytes of the request's body have come; nothing is done. */
  | { readonly resetRequestAfterBytes: number }
  /** The connection is reset when that many bytes of the answer's body have gone. */
  | { readonly resetAnswerAfterBytes: number }
  /** The answer ends there as if it were whole, without the promised rest. */
  | { readonly truncateAnswerAtBytes: number }
  /** It is done, but the answer is lost: the connection is reset. */
  | { readonly loseAnswer: true }
  /** Neither done nor answered. */
  | { readonly hang: true }
  /** The answer waits. */
  | { readonly delayMs: number }
  /** The answer's body comes in pieces of that size with a pause before each. */
  | { readonly dribble: { readonly bytes: number; readonly pauseMs: number } }
  /** Headers that the answer lacks. */
  | { readonly withoutHeaders: readonly string[] }
  /** If-None-Match and If-Match are passed over. */
  | { readonly ignoreConditions: true }
  /** For `DeleteObjects`: 200, and for each key for which this gives a code, an error; such an object stays. */
  | { readonly refuseKeys: (key: string) => string | undefined };

export interface Rule {
  /** The requests that it is about; all when absent. */
  readonly on?: Operation | readonly Operation[] | ((request: RecordedRequest) => boolean);
  /** How many of them are well first. */
  readonly after?: number;
  /** How many of them it hits; all when absent. */
  readonly times?: number;
  readonly fault: Fault;
}

/** A rule with what it has seen. */
export class ActiveRule {
  readonly rule: Rule;
  #seen = 0;
  #hits = 0;

  constructor(rule: Rule) {
    this.rule = rule;
  }

  /** How often it hit. */
  get hits(): number {
    return this.#hits;
  }

  hit(request: RecordedRequest): boolean {
    const { on, after = 0, times = Number.POSITIVE_INFINITY } = this.rule;
    const isMeant =
      on === undefined || (typeof on === 'function' ? on(request) : [on].flat().includes(request.operation));
    if (!isMeant || this.#seen++ < after || this.#hits >= times) return false;
    this.#hits++;
    return true;
  }
}
