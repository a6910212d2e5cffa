/** The faults can be planted, and the guide tells of them. Whether they are caught is found out by `npm run test:mutants`. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { mutantTable } from './describe.ts';
import { urlOf } from './mutant.ts';
import { plant } from './plant.ts';
import { MUTANTS } from './table.ts';

describe('planted faults', () => {
  for (const mutant of MUTANTS) {
    it(`${mutant.name} can be planted, and something is said to catch it`, () => {
      const source = readFileSync(new URL(urlOf(mutant)), 'utf8');
      const changed = plant(mutant, source);
      assert.notEqual(changed, source);
      assert.ok(mutant.caughtBy.length > 0);
      for (const catcher of mutant.caughtBy) {
        if (catcher.kind !== 'test') continue;
        const path = fileURLToPath(new URL(`../${catcher.file}`, import.meta.url));
        assert.ok(existsSync(path), `${catcher.file} is not there`);
        if (catcher.only !== undefined)
          assert.ok(readFileSync(path, 'utf8').includes(catcher.only), catcher.only);
      }
    });
  }

  it('have names of their own', () => {
    assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
  });

  it('are the table of the guide', () => {
    const guide = readFileSync(new URL('../../docs/testing.md', import.meta.url), 'utf8');
    assert.ok(guide.includes(mutantTable()), 'docs/testing.md differs: npm run test:mutants -- --print');
  });
});
