/**
 * What lies at a place that has no generation in it. "Empty" is acted upon: an application starts with no data, a first snapshot
 * is stored. So it is said only of a place that holds nothing; everything else is named, with what reads it.
 */
import { isRivuletError, RivuletError } from '../base/errors.ts';
import type { Inventory } from './inventory.ts';
import { GENERATIONS_PREFIX, isGeneration } from './names.ts';
import type { CallOptions, ObjectInfo, ObjectStore } from '../storage/object-store.ts';
import { isLeaseKey } from '../storage/open-register.ts';

/**
 * - `ltx`: a replica of Litestream v0.5
 * - `below`: a replica in a folder of the place
 * - `above`: the place is a folder of a replica
 * - `unknown`: names that only a newer version, or another program with the same layout, gives
 * - `lease`: nothing but the lease of a replica whose data is not there
 * - `objects`: files of other programs
 */
export type OtherKind = 'ltx' | 'below' | 'above' | 'unknown' | 'lease' | 'objects';

export interface OtherContents {
  readonly kind: OtherKind;
  /** One sentence that names the place and an object. */
  readonly message: string;
  readonly hint: string;
  /** One object of it. */
  readonly key: string;
}

/** So many names tell what a place holds; it may hold millions of objects of others. */
const NAMES_MAX = 10_000;
/** File systems have it at their root, and it may only be read by root. */
const LOST_AND_FOUND = 'lost+found';

const LTX = /^(.*?)(?:ltx\/\d{1,2}|[0-9a-f]{4})\/[0-9a-f]{16}-[0-9a-f]{16}\.ltx$/;
const LTX_FOLDER = /^(?:ltx|[0-9a-f]{4})$/;
const BELOW = /^(.+?)\/generations\/[0-9a-f]{16}\/(?:snapshots|wal|ends)\//;
const ABOVE =
  /^(?:[0-9a-f]{16}\/)?(?:snapshots\/[0-9a-f]{8}\.snapshot|wal\/[0-9a-f]{8}_[0-9a-f]{8,16}\.wal)\.lz4$/;
const ENCRYPTED = /\.(?:age|gpg|pgp|enc|asc)$/;
const HIDDEN = /^\.[^.]/;
const PROBE = /^rivulet-check-[0-9a-f]+\//;

type Name = Pick<ObjectInfo, 'key' | 'sizeBytes'>;

/** Marks of consoles and tools, hidden files, and what `rivulet check` has left: nobody's data. */
function isNothing({ key, sizeBytes }: Name): boolean {
  return sizeBytes === 0 || PROBE.test(key) || key.split('/').some((part) => HIDDEN.test(part));
}

function isOfGeneration(key: string): boolean {
  const [, generation = ''] = key.split('/');
  return key.startsWith(GENERATIONS_PREFIX) && isGeneration(generation);
}

function kindOf({ key }: Name): OtherKind {
  if (isLeaseKey(key)) return 'lease';
  if (LTX.test(key)) return 'ltx';
  if (BELOW.test(key)) return 'below';
  if (ABOVE.test(key)) return 'above';
  return isOfGeneration(key) || key.startsWith('rivulet-') ? 'unknown' : 'objects';
}

/** What tells most comes first. */
const TELLING: readonly OtherKind[] = ['ltx', 'below', 'above', 'unknown', 'objects', 'lease'];

/** Another path at the same place. A location at S3 may end with the endpoint. */
function elsewhere(location: string, change: (path: string) => string): string {
  const [, path = location, endpoint = ''] = /^(s3:\/\/\S*)( at \S+)$/.exec(location) ?? [];
  return change(path) + endpoint;
}

/** The replica of which `location` is a folder. */
function above(location: string): string {
  return elsewhere(location, (path) => path.replace(/\/?(?:generations(?:\/[0-9a-f]{16})?)?\/*$/, ''));
}

function below(location: string, prefix: string): string {
  const folder = prefix.replace(/^[./]+|\/+$/g, '');
  return folder === '' ? location : elsewhere(location, (path) => `${path.replace(/\/+$/, '')}/${folder}`);
}

function describe(kind: OtherKind, key: string, location: string): Omit<OtherContents, 'kind' | 'key'> {
  if (kind === 'ltx') {
    const at = below(location, LTX.exec(key)?.[1] ?? '');
    return {
      message: `${at} holds a replica of Litestream v0.5 (LTX files, such as ${key}), which Rivulet does not read`,
      hint: 'Restore it with Litestream v0.5, then give Rivulet the restored database and a path of its own.',
    };
  }
  if (kind === 'below') {
    const at = below(location, BELOW.exec(key)?.[1] ?? '');
    return { message: `${location} is no replica, but a folder of it is`, hint: `Did you mean ${at}?` };
  }
  if (kind === 'above') {
    return {
      message: `${location} is a folder of a replica, and not the replica itself`,
      hint: `Did you mean ${above(location)}?`,
    };
  }
  if (kind === 'unknown') {
    return {
      message: `${location} holds ${key}, a name that this version of Rivulet does not know`,
      hint: 'Use the version that wrote it; if nobody needs it, remove it.',
    };
  }
  if (kind === 'lease') {
    return {
      message:
        `${location} holds nothing but the lease of a replica (${key}): the replica holds nothing that could be ` +
        'restored. Its data was removed, or its first snapshot never arrived',
      hint: 'If something was stored there, bring it back. If nothing ever was, remove the lease and try again.',
    };
  }
  const what = ENCRYPTED.test(key) ? 'files that another program encrypted' : 'files of other programs';
  return {
    message: `${location} holds ${what}, such as ${key}, and no replica`,
    hint: 'Check that this is the right place; a new replica gets a path of its own.',
  };
}

/** What the names at a place mean of which none is a part of a generation; undefined when they mean nothing. Pure. */
export function otherContentsOf(names: Iterable<Name>, location: string): OtherContents | undefined {
  const first = new Map<OtherKind, string>();
  for (const name of names) {
    if (isNothing(name)) continue;
    const kind = kindOf(name);
    if (!first.has(kind)) first.set(kind, name.key);
  }
  const kind = TELLING.find((one) => first.has(one));
  const key = kind === undefined ? undefined : first.get(kind);
  if (kind === undefined || key === undefined) return undefined;
  return { kind, key, ...describe(kind, key, location) };
}

type Lists = Pick<ObjectStore, 'list' | 'listFolders' | 'location'>;

async function* namesAt(store: Lists, options: CallOptions): AsyncGenerator<Name> {
  const folders = await store.listFolders('', options);
  if (!folders.includes(LOST_AND_FOUND)) {
    yield* store.list('', options);
    return;
  }
  for (const folder of folders) if (folder !== LOST_AND_FOUND) yield* store.list(`${folder}/`, options);
}

/**
 * Looks at a place that holds no generation.
 *
 * @returns undefined when it holds nothing
 * @throws RivuletError as the store does: then nobody knows what it holds
 */
export async function lookForOther(
  store: Lists,
  options: CallOptions = {},
): Promise<OtherContents | undefined> {
  const names: Name[] = [];
  for await (const { key, sizeBytes } of namesAt(store, options)) {
    names.push({ key, sizeBytes });
    if (names.length >= NAMES_MAX) break;
  }
  return otherContentsOf(names, store.location);
}

/** The error for a place that is not empty, and of which nothing can be restored. */
export function otherContentsError({ kind, message, hint, key }: OtherContents): RivuletError {
  const code = kind === 'lease' ? 'REPLICA_EMPTY' : 'REPLICA_UNREADABLE';
  return new RivuletError(code, message, { hint, details: { key, holds: kind } });
}

/**
 * For whoever looks at a replica: a listing without a generation says that nothing is there, which must be the truth.
 *
 * @throws RivuletError `REPLICA_UNREADABLE` when something else is there; as the store does
 */
export async function assertNothingElse(
  store: Lists,
  { generations }: Pick<Inventory, 'generations'>,
  options: CallOptions = {},
): Promise<void> {
  if (generations.length > 0) return;
  const other = await lookForOther(store, options);
  if (other !== undefined && other.kind !== 'lease') throw otherContentsError(other);
}

/** LTX files beside generations: whoever changed to Litestream v0.5 has the newer data there. */
export interface LtxBeside {
  readonly contents: OtherContents;
  /** Milliseconds since 1970. */
  readonly updatedAtMs: number;
}

/**
 * Looks for a replica of Litestream v0.5 beside the generations of `store`.
 *
 * @returns undefined also where that cannot be found out: a replica can be used where nothing but its own folder may be listed
 */
export async function lookForLtx(store: Lists, options: CallOptions = {}): Promise<LtxBeside | undefined> {
  try {
    return await ltxBeside(store, options);
  } catch (error) {
    if (options.signal?.aborted === true || !isRivuletError(error)) throw error;
    return undefined;
  }
}

async function ltxBeside(store: Lists, options: CallOptions): Promise<LtxBeside | undefined> {
  let newest: ObjectInfo | undefined;
  for (const folder of await store.listFolders('', options)) {
    if (!LTX_FOLDER.test(folder)) continue;
    let names = 0;
    for await (const object of store.list(`${folder}/`, options)) {
      const isNewer = newest === undefined || object.modifiedAt > newest.modifiedAt;
      if (LTX.test(object.key) && isNewer) newest = object;
      names += 1;
      if (names >= NAMES_MAX) break;
    }
  }
  if (newest === undefined) return undefined;
  const { key } = newest;
  const contents: OtherContents = { kind: 'ltx', key, ...describe('ltx', key, store.location) };
  return { contents, updatedAtMs: newest.modifiedAt.getTime() };
}
