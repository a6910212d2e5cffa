/** What the guides list is what the program has: error codes, exit status, metrics, and links that lead somewhere. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { ERROR_CODES } from '../../src/base/errors.ts';
import { HEALTH_REASONS } from '../../src/daemon/database-status.ts';
import { createMetrics } from '../../src/server/metrics.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** The cells of every row of every table whose first cell matches. */
function rows(path: string, first: RegExp): string[][] {
  return read(path)
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )
    .filter(([cell = '']) => first.test(cell));
}

test('errors.md has every code with its meaning, a cause and a way out', () => {
  const listed = rows('docs/errors.md', /^`[A-Z0-9_]+`$/);
  const meanings = Object.fromEntries(
    listed.map(([code = '', meaning]) => [code.replaceAll('`', ''), meaning]),
  );
  assert.deepEqual(meanings, { ...ERROR_CODES });
  assert.equal(listed.length, Object.keys(meanings).length, 'no code twice');
  for (const cells of listed) assert.ok(cells.length === 4 && cells.every((cell) => cell !== ''), cells[0]);
});

test('every code is that of some error', () => {
  const sources = globSync('src/**/*.ts', { cwd: ROOT }).filter((path) => path !== 'src/base/errors.ts');
  const text = sources.map(read).join('\n');
  const unused = Object.keys(ERROR_CODES).filter((code) => !text.includes(`'${code}'`));
  assert.deepEqual(unused, []);
});

test('errors.md has the exit statuses of src/cli/exit-codes.ts', () => {
  const source = read('src/cli/exit-codes.ts')
    .split('\n')
    .filter((line) => line.startsWith(' * | '))
    .map((line) =>
      line
        .slice(4, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )
    .filter(([code]) => code !== 'code');
  assert.ok(source.length >= 5);
  assert.deepEqual(rows('docs/errors.md', /^(\d.*|other)$/), source);
});

test('monitoring.md has every reason of bad health', () => {
  const listed = rows('docs/monitoring.md', /^`[a-z-]+`$/).map(([reason]) => reason);
  assert.deepEqual(
    listed,
    HEALTH_REASONS.map((reason) => `\`${reason}\``),
  );
});

test('monitoring.md has every metric with its type, labels and meaning', async () => {
  assert.deepEqual(rows('docs/monitoring.md', /^`(litestream|rivulet)_/), await metrics());
});

async function metrics(): Promise<string[][]> {
  const all = createMetrics();
  const database = all.database('d');
  database.setSizes({ databaseBytes: 1, walBytes: 1 });
  database.setPosition({ index: 1, offsetBytes: 1 });
  database.setSpool(1);
  database.setStalled(false);
  const replica = all.replica('d', 'n');
  replica.setStalled(false);
  replica.setProof({ outcome: 'proven', atMs: 1, provenUntilMs: 1, restoreMs: 1 });
  replica.setSynced(1);
  replica.setLag({ lagMs: 1, lagBytes: 1, lagCommits: 1 });
  replica.setConfirmed({ index: 1, offsetBytes: 1 });
  replica.setLease('held');
  all.addOperation('file', 'PUT', 1);
  const text = await all.render();
  return [
    ...text.matchAll(/^# HELP ((?:litestream|rivulet)_\w+) (.+)\n# TYPE \S+ (\w+)\n\S+?\{(.+?)\} /gm),
  ].map(([, name, help = '', type = '', labels = '']) => {
    const names = [...labels.matchAll(/(\w+)="/g)].map(([, label]) => `\`${label}\``);
    return [`\`${name}\``, type, names.join(', '), help];
  });
}

const PAGES = ['README.md', 'CHANGELOG.md', ...globSync('docs/*.md', { cwd: ROOT })];

test('links between the guides lead somewhere', () => {
  for (const page of PAGES) {
    for (const [, target = '', anchor] of read(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)) {
      const path = target === '' ? page : join(dirname(page), target);
      assert.ok(existsSync(join(ROOT, path)), `${page} links to ${path}`);
      if (anchor === undefined || !path.endsWith('.md')) continue;
      assert.ok(anchorsOf(path).includes(anchor), `${page} links to ${path}#${anchor}`);
    }
  }
});

/** The anchors that GitHub makes of headings. */
function anchorsOf(path: string): string[] {
  return [...read(path).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test('security.md names a test for each promise, and every test that it names is there', () => {
  const promises = rows('docs/security.md', /./).filter(
    (cells) => cells.length === 2 && cells[1]?.includes('`test/') === true,
  );
  assert.ok(promises.length >= 30, `${promises.length} promises`);
  const named = [...read('docs/security.md').matchAll(/`(test\/[^`]+)`/g)].map(([, path = '']) => path);
  const missing = named.filter((path) => !existsSync(join(ROOT, path)));
  assert.deepEqual(missing, []);
  const sections = read('docs/security.md').split(/^#+ /m);
  for (const section of sections.filter((text) => /^\| Promise \| Test \|$/m.test(text))) {
    const bare = section
      .split('\n')
      .filter((line) => /^\| (?!Promise)[^|]+\|[^|]*\|$/.test(line) && !line.includes('`test/'));
    assert.deepEqual(bare, [], 'a promise without a test');
  }
});
