/** Names of keys in an HSM (RFC 7512), and the PIN that opens it. */

/** Never part of a message: it may hold the PIN. `withoutPin` is what may be shown. */
export interface Pkcs11Key {
  readonly withoutPin: string;
  /** `pin-value`, decoded. */
  readonly pin: string | undefined;
  /** Path of a file that holds the PIN: `pin-source`. */
  readonly pinFile: string | undefined;
}

const SCHEME = 'pkcs11:';
const PIN_ATTRIBUTE = /(?:^|[^a-z-])pin-(?:value|source)=/;

export function isPkcs11Uri(text: string): boolean {
  return /^pkcs11:/i.test(text);
}

/** @throws Error with one clause, without the PIN */
export function parsePkcs11Uri(uri: string): Pkcs11Key {
  const [path, query] = split(uri, '?');
  // A PIN belongs behind the `?`; written elsewhere by mistake it is one all the same, and must not be shown.
  const inPath = path.slice(SCHEME.length).split(';');
  const inQuery = query.split('&').filter((part) => part !== '');
  const attributes = [...inQuery, ...inPath];
  const others = inQuery.filter(isNoPin);
  const place = path.slice(0, SCHEME.length) + inPath.filter(isNoPin).join(';');
  return {
    withoutPin: others.length === 0 ? place : `${place}?${others.join('&')}`,
    pin: valueOf(attributes, 'pin-value'),
    pinFile: pinFileOf(valueOf(attributes, 'pin-source')),
  };
}

/** The URI as OpenSSL's engine takes it. */
export function withPin(key: Pkcs11Key, pin: string): string {
  const separator = key.withoutPin.includes('?') ? '&' : '?';
  return `${key.withoutPin}${separator}pin-value=${encodeURIComponent(pin)}`;
}

function isNoPin(attribute: string): boolean {
  return !PIN_ATTRIBUTE.test(attribute);
}

function valueOf(attributes: readonly string[], name: string): string | undefined {
  const found = attributes.find((part) => part.startsWith(`${name}=`));
  if (found === undefined) return undefined;
  try {
    return decodeURIComponent(found.slice(name.length + 1));
  } catch {
    throw new Error(`the ${name} of its pkcs11: URI has a % that does not begin two hexadecimal digits`);
  }
}

function pinFileOf(source: string | undefined): string | undefined {
  if (source === undefined) return undefined;
  if (source.startsWith('|')) throw new Error('a pin-source that is a command is not run; give a file');
  return source.replace(/^file:(?:\/\/)?/, '');
}

function split(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
