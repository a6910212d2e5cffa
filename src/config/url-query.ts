/** `?name=value&...` behind a replica URL: keys of a replica, where no file can have them. */
import { suggest } from '../base/suggest.ts';
import { unescape } from './go-url.ts';
import type { Given, KeySpec, KeySpecs, ReplicaType } from './key-spec.ts';
import { readScalar } from './read-scalar.ts';
import { REPLICA_KEYS } from './schema.ts';

const SPECS: KeySpecs = REPLICA_KEYS;

/** What a URL's query says, or a sentence that says what is wrong with it and repeats no value. */
export type UrlQuery = { readonly options: Given<'replica'> } | { readonly problem: string };

/**
 * Reads the part of a URL from its `?` on. Names are those of the keys (`force-path-style`) or the same in one word
 * (`forcePathStyle`), as Litestream v0.5 has them; v0.3.13 passes over all of it.
 */
export function readUrlQuery(type: ReplicaType, suffix: string): UrlQuery {
  if (suffix.includes('#')) return { problem: 'has a `#`, which must be written %23' };
  const options: Record<string, unknown> = {};
  for (const pair of suffix
    .replace(/^\?/, '')
    .split('&')
    .filter((one) => one !== '')) {
    const [name = '', ...rest] = pair.split('=');
    const found = keysInUrl(type).find(([, spec]) => plain(spec.key) === plain(unescape(name)));
    if (found === undefined) return { problem: unknownName(type, unescape(name)) };
    const [property, spec] = found;
    const isList = spec.kind === 'texts';
    if (property in options && !isList) return { problem: `has \`${spec.key}\` twice` };
    const value = readScalar(
      spec,
      unescape(rest.join('=').replaceAll('+', spec.secret === true ? '+' : ' ')),
    );
    if ('problem' in value) return { problem: `\`${spec.key}\` ${value.problem}` };
    options[property] = isList
      ? [
          ...((options[property] as readonly string[] | undefined) ?? []),
          ...(value.value as readonly string[]),
        ]
      : value.value;
  }
  return { options };
}

function keysInUrl(type: ReplicaType): readonly (readonly [string, KeySpec])[] {
  return Object.entries(SPECS).filter(
    ([, { inUrl, types }]) => inUrl === true && (types === undefined || types.includes(type)),
  );
}

/** Upper and lower case and hyphens do not matter. */
function plain(name: string): string {
  return name.replaceAll('-', '').toLowerCase();
}

/** A name that is none may be the rest of a password with a `?` in it, so it is repeated only when it looks like one. */
function unknownName(type: ReplicaType, name: string): string {
  const names = keysInUrl(type).map(([, { key }]) => key);
  if (names.length === 0) return `has a query, which ${type} URLs do not have`;
  const similar = suggest(name, names);
  if (similar !== undefined) return `has an unknown parameter; did you mean \`${similar}\`?`;
  return `has an unknown parameter; expected one of ${names.join(', ')}`;
}
