import { createHash, getFips, randomUUID } from 'node:crypto';

export interface MultipartBody {
  readonly contentType: string;
  readonly pieces: readonly Uint8Array[];
}

/**
 * An object with its description in one request (`multipart/related`, RFC 2387). The checksum in the description makes
 * the service refuse bytes that were damaged on their way.
 */
export function multipartBody(bytes: Uint8Array): MultipartBody {
  const boundary = randomUUID();
  const type = 'application/octet-stream';
  const description = JSON.stringify({ contentType: type, md5Hash: md5Of(bytes) });
  const head =
    `--${boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n${description}\r\n` +
    `--${boundary}\r\ncontent-type: ${type}\r\n\r\n`;
  return {
    contentType: `multipart/related; boundary=${boundary}`,
    pieces: [Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)],
  };
}

/** Undefined where the machine's rules forbid MD5. */
function md5Of(bytes: Uint8Array): string | undefined {
  return getFips() === 1 ? undefined : createHash('md5').update(bytes).digest('base64');
}
