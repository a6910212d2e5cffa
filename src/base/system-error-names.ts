/**
 * Names for errors of the kernel that Node.js has none for: it calls them "Unknown system error -122". A full quota and a network
 * file system that has lost a path are among them.
 */
import { constants } from 'node:os';

/** By the number on Linux, of which Node.js does not know the name either (`asm-generic/errno.h`). */
const LINUX: Readonly<Record<number, string>> = {
  52: 'EBADE',
  66: 'EREMOTE',
  70: 'ECOMM',
  77: 'EBADFD',
  117: 'EUCLEAN',
  121: 'EREMOTEIO',
  123: 'ENOMEDIUM',
  124: 'EMEDIUMTYPE',
  126: 'ENOKEY',
  127: 'EKEYEXPIRED',
  128: 'EKEYREVOKED',
  129: 'EKEYREJECTED',
  130: 'EOWNERDEAD',
  131: 'ENOTRECOVERABLE',
  133: 'EHWPOISON',
};

const TEXTS: Readonly<Record<string, string>> = {
  EBADE: 'invalid exchange with the file server',
  EBADMSG: 'bad message: a checksum is wrong',
  ECOMM: 'communication error on send',
  EDQUOT: 'disk quota exceeded',
  EHWPOISON: 'memory page has a hardware error',
  EKEYEXPIRED: 'the key has expired',
  EKEYREJECTED: 'the key was rejected',
  EKEYREVOKED: 'the key has been revoked',
  EMEDIUMTYPE: 'wrong medium type',
  EMULTIHOP: 'multihop attempted',
  ENOKEY: 'the required key is not available',
  ENOLCK: 'no locks available',
  ENOLINK: 'the link to the file server has been severed',
  ENOMEDIUM: 'no medium found',
  EREMOTE: 'the object is remote',
  EREMOTEIO: 'remote I/O error',
  ESTALE: 'stale file handle',
  ETIME: 'timer expired',
  EUCLEAN: 'the file system needs cleaning',
};

const UNKNOWN = /^Unknown system error -(\d+)/;
const UNKNOWN_MESSAGE = /^(Unknown system error -\d+): Unknown system error -\d+/;

/** The name of an error that Node.js calls unknown; `code` itself where it has a name. */
export function nameOfSystemError(code: string): string {
  const number = Number(UNKNOWN.exec(code)?.[1]);
  if (Number.isNaN(number)) return code;
  const known = Object.entries(constants.errno).find(([, value]) => value === number);
  return known?.[0] ?? (process.platform === 'linux' ? LINUX[number] : undefined) ?? code;
}

/** A message of Node.js about an error that it calls unknown, in the form that it has for others: `EDQUOT: disk quota exceeded, write`. */
export function withSystemErrorName(message: string): string {
  return message.replace(UNKNOWN_MESSAGE, (_, unknown: string) => {
    const name = nameOfSystemError(unknown);
    const text = TEXTS[name];
    return text === undefined ? name : `${name}: ${text}`;
  });
}
