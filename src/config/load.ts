import { open } from 'node:fs/promises';
import { homedir } from 'node:os';

import { messageOf, RivuletError, systemCode } from '../base/errors.ts';
import { orAbort } from '../storage/abandon.ts';
import { configCandidates } from './find-file.ts';
import type { ConfigCandidate } from './find-file.ts';
import { parseConfig } from './parse-config.ts';
import type { ParsedConfig } from './parse-config.ts';
import { absolutePath } from './paths.ts';

export interface LoadOptions {
  /** The file that the command line names; it wins over everything else. */
  readonly path?: string | undefined;
  /** Gives up waiting for a file that does not come, such as a pipe that nobody writes to. */
  readonly signal?: AbortSignal;
  /** Leave `$NAME` as it is. */
  readonly noExpandEnv?: boolean;
  /** Default `process.env`. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Default the working directory. */
  readonly cwd?: string;
  /** Default the user's home directory. */
  readonly home?: string;
  /** Default this machine's. */
  readonly platform?: NodeJS.Platform;
}

export interface LoadedConfig extends ParsedConfig {
  /** Absolute path of the file that was read. */
  readonly file: string;
}

/**
 * Finds, reads and checks the configuration file.
 *
 * @throws RivuletError CONFIG_NOT_FOUND when there is none (`details.places` lists where it was looked for);
 *   CONFIG_INVALID when it cannot be read or has errors.
 */
export async function loadConfig(options: LoadOptions = {}): Promise<LoadedConfig> {
  const environment = options.environment ?? process.env;
  const base = { cwd: options.cwd ?? process.cwd(), home: options.home ?? homedir() };
  const platform = options.platform ?? process.platform;
  const candidates = configCandidates({ explicitPath: options.path, environment, platform });
  for (const candidate of candidates) {
    const file = absolutePath(candidate.path, base);
    const text = await orAbort(readIfPresent(file), options.signal);
    if (text === undefined) continue;
    const expandsEnvironment = options.noExpandEnv !== true;
    return { file, ...parseConfig(text, { file, environment, expandsEnvironment, ...base }) };
  }
  throw notFound(candidates);
}

async function readIfPresent(file: string): Promise<string | undefined> {
  try {
    return await readBounded(file);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new RivuletError(
      'CONFIG_INVALID',
      `cannot read the configuration file ${file}: ${messageOf(error)}`,
      {
        cause: error,
        hint: 'Check that the path is a file and that this user may read it.',
        details: { file },
      },
    );
  }
}

/** Megabytes hold a hundred thousand databases; a path to something else (a device, a database) is not read to its end. */
const FILE_BYTES_MAX = 32 * 1024 * 1024;

async function readBounded(file: string): Promise<string> {
  await using handle = await open(file, 'r');
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of handle.createReadStream({ autoClose: false })) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes > FILE_BYTES_MAX)
      throw new Error(`it has more than ${FILE_BYTES_MAX} bytes, too many for a configuration`);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function notFound(candidates: readonly ConfigCandidate[]): RivuletError {
  const places = candidates.map(({ path }) => path);
  const looked = candidates.map(({ path, reason }) => `${path} (${reason})`).join(', ');
  const first = places[0] ?? '/etc/rivulet.yml';
  return new RivuletError('CONFIG_NOT_FOUND', `there is no configuration file: looked for ${looked}`, {
    hint: `Name one with -config PATH or RIVULET_CONFIG, or write ${first} with: ${EXAMPLE}`,
    details: { places },
  });
}

/** A whole configuration on one line, so that it fits into a hint. */
const EXAMPLE = 'dbs: [{path: /var/lib/app.db, replicas: [{url: "file:///var/backups/app"}]}]';
