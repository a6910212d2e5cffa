/** The lease of one replica, with everything it needs from this machine. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Clock } from '../../base/clock.ts';
import { type Files, systemFiles } from '../../base/files.ts';
import type { Logger } from '../../base/log.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { openRegister } from '../../storage/open-register.ts';
import { Lease } from './lease.ts';
import type { LeaseSettings } from './lease-parts.ts';
import { type OwnerNote, readOwnerNote, writeOwnerNote } from './owner-file.ts';

export interface LeaseSurroundings {
  /** The destination without encryption: whoever stands by must be able to read the lease. */
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The database's state directory. */
  readonly metaPath: string;
  /** How what is in it is reached; by path when absent. */
  readonly files?: Files;
  /** The replica's name. */
  readonly name: string;
  readonly database: string;
  readonly program: string;
  /** For tests; this machine's name when absent. */
  readonly host?: string;
}

export function openLease(settings: LeaseSettings, around: LeaseSurroundings): Lease {
  const { store, clock, logger, metaPath, files = systemFiles, name, database, program } = around;
  const note = readOwnerNote(files, metaPath, name) ?? newNote(files, metaPath, name);
  return new Lease(settings, {
    get register() {
      return openRegister(store);
    },
    location: store.location,
    clock,
    logger,
    me: {
      owner: note.owner,
      host: around.host ?? (hostname() || 'unknown'),
      session: randomBytes(16).toString('hex'),
    },
    about: { pid: process.pid, database, program },
    note,
    writeNote: (changed) => writeOwnerNote(files, metaPath, name, changed),
  });
}

function newNote(files: Files, metaPath: string, name: string): OwnerNote {
  const note = { owner: randomBytes(16).toString('hex'), generation: undefined, tried: undefined };
  writeOwnerNote(files, metaPath, name, note);
  return note;
}
