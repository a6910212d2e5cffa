import type { KeySpec, SectionName } from './key-spec.ts';
import { SECTION_PLACES, SECTIONS } from './schema.ts';

/** Between these lines of `docs/configuration.md` stands what `configReference` returns. */
export const REFERENCE_BEGIN = '<!-- keys: generated from src/config/schema.ts -->';
export const REFERENCE_END = '<!-- /keys -->';

/** Every key as Markdown: one table for each section. */
export function configReference(): string {
  return (Object.keys(SECTIONS) as SectionName[]).map(sectionTable).join('\n');
}

function sectionTable(name: SectionName): string {
  const place = SECTION_PLACES[name];
  const rows = Object.values(SECTIONS[name]).map(row);
  const title = place === '' ? 'Top level' : `\`${place}\``;
  return [`### ${title}`, '', '| Key | Value | Default | Meaning |', '|---|---|---|---|', ...rows, ''].join(
    '\n',
  );
}

function row(spec: KeySpec): string {
  const cells = [`\`${spec.key}\``, valueText(spec), defaultText(spec), meaning(spec)];
  return `| ${cells.join(' | ')} |`;
}

function valueText(spec: KeySpec): string {
  if (spec.choices !== undefined) return spec.choices.map((choice) => `\`${choice}\``).join(', ');
  if (spec.kind === 'sections') return `list of \`${SECTION_PLACES[spec.of ?? 'root']}\``;
  if (spec.kind === 'section') return 'section';
  return spec.kind === 'texts' ? 'list of texts' : spec.kind;
}

function defaultText(spec: KeySpec): string {
  if (spec.required === true) return 'required';
  if (spec.zero !== undefined && /^0\D*$/.test(spec.default ?? '')) return spec.zero;
  return spec.default === undefined ? (spec.defaultNote ?? '') : `\`${spec.default}\``;
}

function meaning(spec: KeySpec): string {
  const notes = [
    spec.help,
    spec.zero === undefined ? '' : `0: ${spec.zero}.`,
    spec.types === undefined ? '' : `For ${spec.types.join(', ')}.`,
    spec.sources === undefined ? '' : `For ${spec.sources.join(', ')}.`,
    spec.neededBy === undefined ? '' : `Needed by ${spec.neededBy.join(', ')}.`,
    spec.environment === undefined ? '' : `Environment: \`${spec.environment}\`.`,
    spec.secret === true ? 'Secret, never shown.' : '',
    spec.compat === undefined ? '' : `*${spec.compat}*`,
  ];
  return notes.filter((note) => note !== '').join(' ');
}
