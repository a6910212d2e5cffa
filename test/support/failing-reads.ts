/** The machine's files, of which some cannot be read for a while. */
import { type Files, systemFiles } from '../../src/base/files.ts';
import { type Machine, systemMachine } from '../../src/primary/machine.ts';

/** A code of the system; `short`: nothing comes although the file goes on. */
export type ReadFault = 'EIO' | 'ESTALE' | 'ENOMEM' | 'EINTR' | 'EAGAIN' | 'EBUSY' | 'short';

export const READ_FAULTS: readonly ReadFault[] = [
  'EIO',
  'ESTALE',
  'ENOMEM',
  'EINTR',
  'EAGAIN',
  'EBUSY',
  'short',
];

export class FailingReads {
  readonly #paths = new Map<number, string>();
  #fault: { readonly fault: ReadFault; readonly isHit: (path: string) => boolean } | undefined;
  #left = Number.POSITIVE_INFINITY;
  /** Reads that have failed. */
  failed = 0;

  /** From now on reads of files with such a name fail, so often. */
  begin(fault: ReadFault, isHit: (path: string) => boolean, times: number = Number.POSITIVE_INFINITY): void {
    this.#fault = { fault, isHit };
    this.#left = times;
  }

  end(): void {
    this.#fault = undefined;
  }

  readonly files: Files = this.#over(systemFiles);

  readonly machine: Machine = {
    ...systemMachine,
    files: this.files,
    openStateDirectory: (path, databasePath) => {
      const directory = systemMachine.openStateDirectory(path, databasePath);
      return { ...directory, files: this.#over(directory.files) };
    },
  };

  #over(files: Files): Files {
    const noting =
      (open: (path: string) => number) =>
      (path: string): number => {
        const descriptor = open(path);
        this.#paths.set(descriptor, path);
        return descriptor;
      };
    return {
      ...files,
      open: noting((path) => files.open(path)),
      openOwn: noting((path) => files.openOwn(path)),
      read: (descriptor, into, at, length, position) => {
        if (this.#isHit(descriptor)) {
          this.failed++;
          this.#left--;
          if (this.#fault?.fault === 'short') return 0;
          const code = this.#fault?.fault ?? 'EIO';
          throw Object.assign(new Error(`${code}: made to fail, read`), { code });
        }
        return files.read(descriptor, into, at, length, position);
      },
    };
  }

  #isHit(descriptor: number): boolean {
    return this.#left > 0 && this.#fault?.isHit(this.#paths.get(descriptor) ?? '') === true;
  }
}

export const isWal = (path: string): boolean => path.endsWith('-wal');
export const isDatabase = (path: string): boolean => path.endsWith('.db');
export const isSpooled = (path: string): boolean => path.includes('/spool/');
