import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Of a user that is not there. */
const NOBODY_UID = 4_000_000_000;

/** As in a container without a writable temporary directory: no place of this process can be used until the scope ends. */
export function noRuntimeDirectories(): Disposable {
  const { geteuid } = process;
  const { TMPDIR, XDG_RUNTIME_DIR, RUNTIME_DIRECTORY } = process.env;
  const directory = join('/tmp', `rivulet-${NOBODY_UID}`);
  mkdirSync(directory, { recursive: true });
  // Others may write to it, so it is not used.
  chmodSync(directory, 0o777);
  process.geteuid = () => NOBODY_UID;
  Object.assign(process.env, { TMPDIR: '/nowhere' });
  delete process.env['XDG_RUNTIME_DIR'];
  delete process.env['RUNTIME_DIRECTORY'];
  return {
    [Symbol.dispose]: () => {
      if (geteuid !== undefined) process.geteuid = geteuid;
      for (const [name, value] of Object.entries({ TMPDIR, XDG_RUNTIME_DIR, RUNTIME_DIRECTORY }))
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      rmSync(directory, { recursive: true });
    },
  };
}
