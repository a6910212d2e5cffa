/** Every reader of bytes from a disk or a network. */
import { CODEC_TARGETS } from './codec.ts';
import { CONFIG_TARGETS } from './config.ts';
import { CREDENTIAL_TARGETS } from './credentials.ts';
import { GENERATION_TARGETS } from './generations.ts';
import { HOSTILE_TARGETS } from './hostile.ts';
import { LOCAL_FILE_TARGETS } from './local-files.ts';
import { RESTORE_TARGETS } from './restore.ts';
import { STORAGE_TARGETS } from './storage.ts';
import type { FuzzTarget } from './target.ts';
import { WAL_TARGETS } from './wal.ts';

export const FUZZ_TARGETS: readonly FuzzTarget[] = [
  ...WAL_TARGETS,
  ...CODEC_TARGETS,
  ...GENERATION_TARGETS,
  ...RESTORE_TARGETS,
  ...HOSTILE_TARGETS,
  ...LOCAL_FILE_TARGETS,
  ...CONFIG_TARGETS,
  ...CREDENTIAL_TARGETS,
  ...STORAGE_TARGETS,
];

/** Those whose name begins so, or all. */
export function targetsNamed(beginning: string | undefined): readonly FuzzTarget[] {
  return FUZZ_TARGETS.filter(({ name }) => beginning === undefined || name.startsWith(beginning));
}
