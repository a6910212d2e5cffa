/**
 * Bundles `src` and the packages that it uses into a few files in `dist`, and proves that the result starts. What a command does
 * not need lies in files that it does not load. Providers that a user installs himself stay outside.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Another folder may be given. */
const dist = process.argv[2] ?? join(root, 'dist');
const { version, peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Programs of their own: the command, its threads, and the one that asks a key in hardware. They lie side by side with all else. */
const ENTRIES = [
  'cli/main.ts',
  'credentials/hsm-request.ts',
  'daemon/blocking-writer-worker.ts',
  'daemon/watchdog-worker.ts',
  'primary/checkpoint-worker.ts',
  'restore/integrity-worker.ts',
];

rmSync(dist, { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: ENTRIES.map((file) => join(root, 'src', file)),
  outdir: dist,
  entryNames: '[name]',
  chunkNames: '[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  minifySyntax: true,
  minifyWhitespace: true,
  // Names stay as they are, for the stack of an error that somebody sends.
  keepNames: false,
  legalComments: 'none',
  metafile: true,
  absWorkingDir: root,
  // As ES modules where there is a choice: they keep the names of what they export, and what nobody uses is left out.
  mainFields: ['module', 'main'],
  // Optional native parts of ssh2, which does without.
  external: [...Object.keys(peerDependencies), 'cpu-features', '*.node'],
  banner: {
    // What packages in CommonJS find in their place.
    js:
      "import{createRequire as requireOf}from'node:module';const require=requireOf(import.meta.url)," +
      '__dirname=import.meta.dirname,__filename=import.meta.filename;',
  },
  plugins: [{ name: 'version', setup: putVersion }],
  logLevel: 'warning',
});
writeFileSync(join(dist, 'LICENSES.txt'), licenses(metafile));
checkNames(metafile);

const said = execFileSync(process.execPath, [join(dist, 'main.js'), 'version'], { encoding: 'utf8' });
if (said !== `v${version}\n`) throw new Error(`the built program says ${said.trim()}, expected v${version}`);
console.error(`built dist: rivulet ${said.trim()}`);

/** The version is known now; where package.json lies then is not. */
function putVersion({ onLoad }) {
  onLoad({ filter: /base[\\/]program-version\.ts$/ }, () => ({
    contents: `export const readVersion = () => 'v${version}';`,
    loader: 'js',
  }));
}

/**
 * A package in CommonJS that is imported when it is needed has only a default export in a bundle, whatever it has without one.
 *
 * @throws Error for a package of which the sources do not know that
 */
function checkNames({ outputs }) {
  const asDefault = new Set(['node_modules/pino', 'node_modules/ssh2']);
  for (const { entryPoint, exports } of Object.values(outputs)) {
    const folder = packageFolder(entryPoint ?? '');
    if (folder !== undefined && exports.join() === 'default' && !asDefault.has(folder))
      throw new Error(`${folder} has a default export alone: import it so, and name it here`);
  }
}

/** The licence of every package of which something is in the bundle. @throws Error when one has none */
function licenses({ inputs }) {
  const folders = new Set(Object.keys(inputs).map(packageFolder));
  folders.delete(undefined);
  return [...folders]
    .sort((a, b) => (a < b ? -1 : 1))
    .map(licenseOf)
    .join('\n');
}

function packageFolder(input) {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
}

function licenseOf(folder) {
  const path = join(root, folder);
  const {
    name,
    version: packageVersion,
    license,
  } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
  const file = readdirSync(path).find((one) => /^licen[cs]e(\.|$)/i.test(one));
  if (license === undefined && file === undefined) throw new Error(`${name} names no licence`);
  const text = file === undefined ? '' : `\n${readFileSync(join(path, file), 'utf8').trim()}\n`;
  return `${'='.repeat(80)}\n${name} ${packageVersion}: ${license ?? 'see below'}\n${text}`;
}
