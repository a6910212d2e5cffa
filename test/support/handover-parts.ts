/** What a checkpoint works with, on an open database whose read transaction is held. */
import { systemClock } from '../../src/base/clock.ts';
import { type HandoverParts } from '../../src/primary/handover.ts';
import type { LogTail } from '../../src/primary/log-tail.ts';
import type { OpenDatabase } from '../../src/primary/open-database.ts';

export function handoverParts(
  database: OpenDatabase,
  tail: LogTail,
  others: Partial<HandoverParts> = {},
): HandoverParts {
  const connections = others.connections ?? database.connections;
  return {
    path: database.file.path,
    machine: database.machine,
    clock: systemClock,
    connections,
    tail,
    published: () => database.published(),
    moveReadLock: (capture) => connections.moveHold(capture),
    captureMost: async () => true,
    capture: () => true,
    lockedBytesMax: undefined,
    onWriteLock: () => undefined,
    ...others,
  };
}
