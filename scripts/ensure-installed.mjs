/**
 * Installs the dependencies when they are missing or out of date, so that every npm script works in a fresh clone.
 * Plain JavaScript without dependencies: this runs on whatever Node.js is on PATH.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const NODE_MAJOR_MIN = 24;
const root = fileURLToPath(new URL('..', import.meta.url));

function modifiedMs(path) {
  return statSync(`${root}/${path}`, { throwIfNoEntry: false })?.mtimeMs;
}

/** Why an installation is needed, or undefined. npm writes the inner lock at the end of each installation. */
function reasonToInstall() {
  const installedMs = modifiedMs('node_modules/.package-lock.json');
  if (installedMs === undefined) return 'nothing is installed yet';
  return installedMs < modifiedMs('package-lock.json') ? 'package-lock.json has changed' : undefined;
}

/** npm's scripts look in node_modules/.bin first, where tools/node puts a Node.js for the common platforms. */
function requireNode() {
  const own =
    existsSync(`${root}/node_modules/.bin/node`) || existsSync(`${root}/node_modules/.bin/node.cmd`);
  if (own || Number.parseInt(process.versions.node, 10) >= NODE_MAJOR_MIN) return;
  console.error(
    `Rivulet needs Node.js >= ${NODE_MAJOR_MIN}; this is ${process.version}, and no newer one could be installed ` +
      `for ${process.platform}-${process.arch}. Put a newer one on PATH.`,
  );
  process.exit(1);
}

const reason = reasonToInstall();
if (reason !== undefined) {
  console.error(`Installing dependencies (npm ci): ${reason}`);
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--silent'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (status !== 0) {
    console.error('npm ci failed; run it by hand to see why');
    process.exit(1);
  }
}
requireNode();
