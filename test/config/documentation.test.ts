import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

import { parse as parseYamlText } from 'yaml';
import * as z from 'zod';

import { configJsonSchema } from '../../src/config/json-schema.ts';
import { configReference, REFERENCE_BEGIN, REFERENCE_END } from '../../src/config/reference.ts';
import { SCALAR_KINDS } from '../../src/config/scalar-kinds.ts';
import { SECTIONS } from '../../src/config/schema.ts';
import { defaultOf } from '../../src/config/settle.ts';
import { parse } from './support.ts';

const PAGE = new URL('../../docs/configuration.md', import.meta.url);
const ALL_SPECS = Object.values(SECTIONS).flatMap((specs) => Object.values(specs));

test('docs/configuration.md has the table that the schema describes', async () => {
  const page = await readFile(PAGE, 'utf8');
  const between = page.split(REFERENCE_BEGIN)[1]?.split(REFERENCE_END)[0];
  assert.equal(between?.trim(), configReference().trim(), 'run: node scripts/update-config-reference.ts');
});

test('every YAML example of docs/configuration.md is accepted', async () => {
  const page = await readFile(PAGE, 'utf8');
  const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map((match) => match[1] ?? '');
  assert.ok(examples.length > 0);
  for (const example of examples) {
    assert.doesNotThrow(() => parse(example, { BACKUP_DIR: '/b', SFTP_PASSWORD: 'x' }), example);
  }
});

test('every default is a value of its key', () => {
  for (const spec of ALL_SPECS.filter((one) => one.default !== undefined)) {
    assert.notEqual(defaultOf(spec), undefined, spec.key);
    if (spec.choices !== undefined) assert.ok(spec.choices.includes(spec.default ?? ''), spec.key);
  }
});

test('the reference names every key and breaks no table', () => {
  const reference = configReference();
  for (const spec of ALL_SPECS) assert.ok(reference.includes(`| \`${spec.key}\` |`), spec.key);
  for (const line of reference.split('\n').filter((text) => text.startsWith('|'))) {
    assert.equal(line.split('|').length, 6, line);
  }
});

test('the JSON Schema has every key, and only they are allowed', () => {
  const schema = configJsonSchema() as {
    properties: Record<string, unknown>;
    $defs: Record<
      string,
      { properties: Record<string, unknown>; additionalProperties: boolean; required: string[] }
    >;
  };
  assert.deepEqual(
    Object.keys(schema.properties),
    Object.values(SECTIONS.root).map((spec) => spec.key),
  );
  assert.deepEqual(schema.$defs['database']?.required, ['path']);
  for (const name of ['logging', 'database', 'replica', 'age'] as const) {
    const keys = Object.values(SECTIONS[name]).map((spec) => spec.key);
    assert.deepEqual(Object.keys(schema.$defs[name]?.properties ?? {}), keys);
    assert.equal(schema.$defs[name]?.additionalProperties, false);
  }
  const references = JSON.stringify(schema).matchAll(/"\$ref":"#\/\$defs\/(\w+)"/g);
  for (const [, name = ''] of references) assert.ok(name in schema.$defs, name);
});

test('the patterns of durations and sizes agree with what is read', () => {
  for (const [kind, texts] of [
    ['duration', ['1s', '1h30m', '.5s', '1.s', '0', '+1s', '5', '1d', '', '1 s', 's', '1µs', '1m1']],
    ['size', ['1GiB', '64MB', '64 mb', '5', '1B', '64M', 'GB', '', '-1', '1.5KiB', '1KBB']],
  ] as const) {
    const { anyOf } = SCALAR_KINDS[kind].jsonSchema as { anyOf: [{ pattern: string }] };
    const pattern = new RegExp(anyOf[0].pattern);
    for (const text of texts) {
      assert.equal(
        pattern.test(text),
        SCALAR_KINDS[kind].parse(text) !== undefined,
        `${kind} ${JSON.stringify(text)}`,
      );
    }
  }
});

test('the JSON Schema accepts and refuses what the reader does', async () => {
  const schema = z.fromJSONSchema(configJsonSchema());
  const page = await readFile(PAGE, 'utf8');
  for (const [, example = ''] of page.matchAll(/```yaml\n(.*?)```/gs)) {
    const result = schema.safeParse(parseYamlText(example, { merge: true }));
    assert.ok(result.success, result.error?.message);
  }
  const refused: readonly unknown[] = [
    { frobnicate: 1 },
    { retention: '1h' },
    { logging: { type: 'jason' } },
    { dbs: [{}] },
    { dbs: [{ path: '/a', 'min-checkpoint-page-count': 0 }] },
    { dbs: [{ path: '/a', replica: { path: '/r', retention: '7d' } }] },
    { dbs: [{ path: '/a', replica: { path: '/r', 'sync-interval': 5 } }] },
  ];
  for (const value of refused) {
    assert.equal(schema.safeParse(value).success, false, JSON.stringify(value));
    assert.throws(() => parse(JSON.stringify(value)), JSON.stringify(value));
  }
});
