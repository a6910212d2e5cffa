/**
 * URLs as Go's `net/url` reads and writes them. v0.3.13 turns a `file://` URL into a path by writing the URL back without
 * its scheme, so the directory's name has Go's percent-escapes in it; to find those directories again the same bytes
 * have to come out here. The facts below were tried with v0.3.13.
 */

export interface GoUrl {
  readonly scheme: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** With the port. */
  readonly host: string;
  /** As written, still escaped. */
  readonly rawPath: string;
  /** `?query` and `#fragment` as written; empty when there are none. */
  readonly suffix: string;
}

const URL_SHAPE = /^(\w+):\/\/([^/?#]*)([^?#]*)(.*)$/s;

/** Go refuses them anywhere in a URL. */
function hasControlCharacter(text: string): boolean {
  return Buffer.from(text, 'utf8').some((byte) => byte < 0x20 || byte === 0x7f);
}

/** Splits `scheme://[user[:password]@]host/path`; undefined when it does not look like that. */
export function splitUrl(text: string): GoUrl | undefined {
  const match = URL_SHAPE.exec(text);
  if (match === null || hasControlCharacter(text)) return undefined;
  const [, scheme = '', authority = '', rawPath = '', suffix = ''] = match;
  const at = authority.lastIndexOf('@');
  const userInfo = at < 0 ? undefined : authority.slice(0, at);
  const [user, ...rest] = userInfo?.split(':') ?? [];
  return {
    scheme: scheme.toLowerCase(),
    user: user === undefined ? undefined : unescape(user),
    password: rest.length === 0 ? undefined : unescape(rest.join(':')),
    host: authority.slice(at + 1),
    rawPath,
    suffix,
  };
}

/** Percent-escapes decoded; text with a broken escape is returned as it is. */
export function unescape(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The path as Go writes it back: unchanged when every character may stand in a path, else decoded and escaped anew. */
export function escapedPath(rawPath: string): string {
  if (/^[A-Za-z0-9\-_.~!$&'()*+,;=:@[\]/%]*$/.test(rawPath)) return rawPath;
  return encodeURIComponent(unescape(rawPath))
    .replace(/%(24|26|2B|2C|2F|3A|3B|3D|40)/g, (escaped) => decodeURIComponent(escaped))
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}
