import assert from 'node:assert/strict';
import { it } from 'node:test';
import { loadOptional } from '../../src/storage/optional-package.ts';

const wanted = { name: '@azure/storage-blob', version: '12.34.0', usedFor: 'Azure Blob Storage' };

it('gives what was loaded', async () => {
  assert.equal(await loadOptional(wanted, async () => 'the package'), 'the package');
});

it('says how to install what is missing', async () => {
  const name = 'rivulet-never-published';
  const loading = loadOptional({ ...wanted, name }, async () => import(name as string) as Promise<unknown>);
  await assert.rejects(loading, {
    code: 'PACKAGE_MISSING',
    message: `Azure Blob Storage needs the package ${name}, which is not installed`,
    hint: `npm install ${name}@12.34.0`,
  });
});

it('does not hide another failure of loading', async () => {
  const failure = Object.assign(new Error("Cannot find package 'another' imported from there"), {
    code: 'ERR_MODULE_NOT_FOUND',
  });
  await assert.rejects(
    loadOptional(wanted, async () => Promise.reject(failure)),
    (error) => error === failure,
  );
});
