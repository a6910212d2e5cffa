import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';

import { Scratch } from '../support/scratch.ts';
import { firstDatabase, parse, problemsOf } from './support.ts';

const NAMES = ['*.db', 'a?.db', '[ab].db', '{a,b}.db', '**/x.db'];
const textOf = (path: string): string => `dbs: [{path: ${JSON.stringify(path)}, replicas: [{path: /r}]}]`;

test('wildcards in the path of a database are refused: they would match nothing, for ever', () => {
  for (const name of NAMES)
    assert.match(
      problemsOf(textOf(`/nowhere/${name}`)).join(),
      /^1:14 dbs\[0\]\.path: has wildcards, and there is no file/,
    );
});

test('a file may have such a name', () => {
  using scratch = new Scratch();
  for (const name of NAMES.slice(0, 4)) {
    const path = scratch.file(name);
    assert.equal(problemsOf(textOf(path)).length, 1);
    writeFileSync(path, '');
    assert.equal(firstDatabase(parse(textOf(path))).path, path);
  }
});

test('brackets and braces alone are no wildcards', () => {
  for (const name of ['a[.db', 'a{b}.db', 'a].db', '{}.db'])
    assert.equal(firstDatabase(parse(textOf(`/nowhere/${name}`))).path, `/nowhere/${name}`);
});
