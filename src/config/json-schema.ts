import type { KeySpec, SectionName } from './key-spec.ts';
import { SCALAR_KINDS } from './scalar-kinds.ts';
import { SECTIONS } from './schema.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

/** A JSON Schema (2020-12) of the configuration file, for completion and checks in editors. */
export function configJsonSchema(): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Rivulet configuration',
    ...sectionSchema('root'),
    patternProperties: { '^x-': {} },
    $defs: Object.fromEntries(definedSections().map((name) => [name, sectionSchema(name)])),
  };
}

function definedSections(): SectionName[] {
  return (Object.keys(SECTIONS) as SectionName[]).filter((name) => name !== 'root');
}

function sectionSchema(name: SectionName): JsonSchema {
  const specs = Object.values(SECTIONS[name]);
  return {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(specs.map((spec) => [spec.key, keySchema(spec)])),
    required: specs.filter((spec) => spec.required === true).map((spec) => spec.key),
  };
}

function keySchema(spec: KeySpec): JsonSchema {
  const description = [spec.help, spec.compat].filter((text) => text !== undefined).join(' ');
  const fallback = spec.default === undefined ? {} : { default: defaultValue(spec) };
  return { description, ...fallback, ...valueSchema(spec) };
}

function defaultValue(spec: KeySpec): unknown {
  if (spec.kind !== 'boolean' && spec.kind !== 'count') return spec.default;
  return SCALAR_KINDS[spec.kind].parse(spec.default ?? '');
}

function valueSchema(spec: KeySpec): JsonSchema {
  if (spec.kind === 'section') return reference(spec);
  if (spec.kind === 'sections') return { type: 'array', items: reference(spec) };
  if (spec.kind === 'text' || spec.kind === 'texts') return SCALAR_KINDS[spec.kind].jsonSchema;
  return { anyOf: [scalarSchema(spec, spec.kind), VARIABLE] };
}

/** In place of any value there may be a variable. */
const VARIABLE: JsonSchema = { type: 'string', pattern: '\\$' };

function scalarSchema(spec: KeySpec, kind: keyof typeof SCALAR_KINDS): JsonSchema {
  if (spec.choices !== undefined) {
    return { type: 'string', enum: [...spec.choices, ...Object.keys(spec.synonyms ?? {})] };
  }
  if (kind === 'count' && spec.zero === undefined) return { type: 'integer', minimum: 1 };
  return SCALAR_KINDS[kind].jsonSchema;
}

function reference(spec: KeySpec): JsonSchema {
  return { $ref: `#/$defs/${spec.of ?? ''}` };
}
