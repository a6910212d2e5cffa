import { suggest } from '../base/suggest.ts';
import type { SectionName } from './key-spec.ts';
import { SECTION_PLACES, SECTIONS } from './schema.ts';

/** Keys that Litestream v0.5 has and v0.3.13 does not; people copy them from its present documentation. */
const V05_KEYS: ReadonlySet<string> = new Set([
  'auto-recover',
  'dir',
  'heartbeat-interval',
  'heartbeat-url',
  'l0-retention',
  'l0-retention-check-interval',
  'levels',
  'mcp-addr',
  'pattern',
  'recursive',
  'snapshot',
  'truncate-page-n',
  'validation',
  'watch',
]);

/** Says that `key` is not one of the section's, and what was probably meant. */
export function unknownKeyMessage(key: string, section: SectionName): string {
  return `unknown key${likelyMeaning(key, section)}`;
}

function likelyMeaning(key: string, section: SectionName): string {
  const here = suggest(key, keysOf(section));
  const elsewhere = placesOf(key);
  if (here !== undefined && elsewhere === undefined) return `; did you mean \`${here}\`?`;
  if (elsewhere !== undefined) return `; \`${key}\` belongs ${elsewhere}`;
  if (V05_KEYS.has(key)) return '; it is a key of Litestream v0.5, which works differently: remove it';
  const similar = suggest(key, Object.values(SECTIONS).flatMap(keyNames));
  return similar === undefined ? '' : `; did you mean \`${similar}\`, which belongs ${placesOf(similar)}?`;
}

function keysOf(section: SectionName): string[] {
  return keyNames(SECTIONS[section]);
}

function keyNames(specs: (typeof SECTIONS)[SectionName]): string[] {
  return Object.values(specs).map((spec) => spec.key);
}

/** Where a key that exists belongs, in words; undefined when no section has it. */
function placesOf(key: string): string | undefined {
  const all = (Object.keys(SECTIONS) as SectionName[]).filter((name) => keysOf(name).includes(key));
  // Their keys have everyday names: who writes one elsewhere mostly means another section's.
  const others = all.filter((name) => name !== 'credentials' && name !== 'socket');
  const sections = others.length > 0 ? others : all;
  return sections.length === 0 ? undefined : sections.map(placeText).join(' or ');
}

function placeText(section: SectionName): string {
  const words: Record<SectionName, string> = {
    root: 'at the top level',
    socket: 'under `socket`',
    logging: 'under `logging`',
    database: 'under a database',
    replica: 'under a replica',
    credentials: 'under `credentials`',
    age: 'under `age` of a replica',
    lease: 'under `lease` of a replica',
    verify: 'under `verify` of a replica',
  };
  return section === 'root' || section === 'socket' || section === 'logging'
    ? words[section]
    : `${words[section]}: ${SECTION_PLACES[section]}`;
}
