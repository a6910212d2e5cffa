/**
 * Faults that are planted into the engine, one at a time, to see whether the tests notice them. Each one changes a few
 * words of one file while it is loaded (`hook.ts`); `npm run test:mutants` runs the tests that are named here and
 * expects every one of them to fail. `docs/testing.md` repeats this table, and a test compares the two.
 */
import type { Mutant } from './mutant.ts';

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'frame-checksum-skipped',
    breaks: 'frames count whatever their checksum says',
    file: 'wal/frames.ts',
    edits: [
      {
        find: 'if (view.getUint32(at + 16) !== next[0] || view.getUint32(at + 20) !== next[1]) {',
        replace: 'if (next.length === 0) {',
      },
    ],
    caughtBy: [{ kind: 'test', file: 'wal/frames.test.ts', only: 'says why it stopped' }],
  },
  {
    name: 'frame-salts-skipped',
    breaks: 'frames of an older log count as those of the present one',
    file: 'wal/frames.ts',
    edits: [
      {
        find: 'if (view.getUint32(at + 8) !== header.salt1 || view.getUint32(at + 12) !== header.salt2) {',
        replace: 'if (header.salt1 < 0) {',
      },
    ],
    caughtBy: [{ kind: 'test', file: 'wal/frames.test.ts', only: 'says why it stopped' }],
  },
  {
    name: 'page-zero-accepted',
    breaks: 'a frame for page number 0 is taken',
    file: 'wal/frames.ts',
    edits: [{ find: 'if (view.getUint32(at) === 0) {', replace: 'if (view.getUint32(at) < 0) {' }],
    caughtBy: [{ kind: 'test', file: 'wal/frames.test.ts', only: 'says why it stopped' }],
  },
  {
    name: 'commit-not-recognised-by-size',
    breaks: 'a frame after the last commit counts as committed',
    file: 'wal/frames.ts',
    edits: [
      {
        find: '      committedEnd = at + size;\n      committedChecksum = next;\n    }',
        replace: '    }\n    committedEnd = at + size;\n    committedChecksum = next;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'wal/frames.test.ts',
        only: 'cut anywhere, a log gives its whole frames and its whole transactions',
      },
    ],
  },
  {
    name: 'log-header-checksum-skipped',
    breaks: 'a torn header of a log is taken for a log',
    file: 'wal/wal-header.ts',
    edits: [
      { find: 'if (!checksumsEqual(checksum, computed)) throw', replace: 'if (computed.length === 0) throw' },
    ],
    caughtBy: [
      { kind: 'test', file: 'wal/wal-header.test.ts', only: 'is refused with any single bit flipped' },
    ],
  },
  {
    name: 'lz4-content-checksum-skipped',
    breaks: 'an object with a flipped bit is taken for whole',
    file: 'codec/frame-parser.ts',
    edits: [
      {
        find: 'if (end.contentChecksum === undefined || end.contentChecksum === actual) return;',
        replace: 'if (actual >= 0) return;',
      },
    ],
    caughtBy: [{ kind: 'test', file: 'codec/lz4-frame.test.ts', only: 'a frame with any one bit flipped' }],
  },
  {
    name: 'lz4-cut-object-accepted',
    breaks: 'an object that was cut off between blocks is taken for whole',
    file: 'codec/frame-parser.ts',
    edits: [{ find: 'if (size === 0) break;', replace: 'if (size === 0 || size > 0x7fffff00) break;' }],
    caughtBy: [
      { kind: 'test', file: 'codec/lz4-frame.test.ts', only: 'are the same whichever way they are made' },
    ],
  },
  {
    name: 'age-last-chunk-missing',
    breaks: 'an encrypted object that was cut off between chunks is taken for whole',
    file: 'codec/age/age-payload.ts',
    edits: [
      {
        find: 'const content = open(key, nonces.next(isLast), chunk);',
        replace:
          'const nonce = nonces.next(isLast);\n    let content: Uint8Array;\n    try {\n      content = open(key, nonce, chunk);\n    } catch (error) {\n      if (!isLast) throw error;\n      nonce[11] = 0;\n      content = open(key, nonce, chunk);\n    }',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'codec/age.test.ts',
        only: 'cut off anywhere: an error, never a shorter content',
      },
    ],
  },
  {
    name: 'uncommitted-shipped',
    breaks: 'what a transaction has written is shipped before it commits',
    file: 'primary/log-tail.ts',
    edits: [
      {
        find: 'if (scan.committedBytes > 0) {\n      this.#committed = scan.committedChain;',
        replace: 'if (scan.validBytes > 0) {\n      this.#committed = scan.chain;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/log-tail.test.ts',
        only: 'never passes frames of a transaction that has not committed',
      },
    ],
  },
  {
    name: 'unpublished-shipped',
    breaks: 'a transaction of a killed writer that nobody sees is shipped',
    file: 'primary/log-tail.ts',
    edits: [
      {
        find: 'const endBytes = this.isLogOf(index) ? walBytes(index.frames, this.pageSizeBytes) : 0;',
        replace: 'const endBytes = this.#source.wal.sizeBytes();',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/unpublished-commit.test.ts',
        only: 'is not taken for one, and what overwrites it is followed',
      },
    ],
  },
  {
    name: 'restart-not-noticed',
    breaks: 'a log that was restarted counts as the one before',
    file: 'primary/log-tail.ts',
    edits: [
      {
        find: 'return now !== undefined && Buffer.compare(now.bytes, this.headerBytes) === 0;',
        replace: 'return now !== undefined;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/log-tail.test.ts',
        only: 'frames of an older log behind the end do not count, and a restart is seen',
      },
    ],
  },
  {
    name: 'busy-ignored',
    breaks: 'a checkpoint that others hindered counts as complete',
    file: 'primary/handover.ts',
    edits: [
      {
        find: 'return tail.isLogOf(index) && index.backfilledFrames === index.frames && tail.hasAllOf(index);',
        replace: 'return tail.isLogOf(index);',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/closed.test.ts',
        only: 'is complete also beside a writer, partial beside a reader, busy when nothing can be made safe',
      },
    ],
  },
  {
    name: 'handover-without-capture',
    breaks: 'the hold is let go although the end of the log was not captured',
    file: 'primary/handover.ts',
    edits: [
      {
        find: 'return tail.isSameLog() && tail.advanceNow(aheadBytes, isLate) && capture(isLate);',
        replace: 'return tail.isSameLog() && tail.advanceNow(aheadBytes, isLate);',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/closed.test.ts',
        only: 'is complete also beside a writer, partial beside a reader, busy when nothing can be made safe',
      },
    ],
  },
  {
    name: 'handover-without-last-look',
    breaks: 'the hold is let go without a look at what was written last',
    file: 'primary/handover.ts',
    edits: [
      {
        find: 'return tail.isSameLog() && tail.advanceNow(aheadBytes, isLate) && capture(isLate);',
        replace: 'return tail.isSameLog() && aheadBytes > 0 && capture(isLate);',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/order-of-steps.test.ts',
        only: 'what is committed in the last moment before a checkpoint is put aside before the state names its end',
      },
    ],
  },
  {
    name: 'hold-pretended',
    breaks: 'a read transaction that ended counts as one that was held without a break',
    file: 'primary/read-lock.ts',
    edits: [
      { find: 'return this.#covers && this.isHeld;', replace: 'return this.#covers;' },
      {
        find: '    if (this.isHeld) return;\n    this.#covers = false;',
        replace: '    if (this.isHeld) return;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/order-of-steps.test.ts',
        only: 'a log that was begun anew while nothing pinned it is not the next one',
      },
    ],
  },
  {
    name: 'hold-released-early',
    breaks: 'the read transaction ends before the new one has begun',
    file: 'primary/connections.ts',
    edits: [
      {
        find: '  moveHold(whileBothHold: () => boolean): boolean {\n    this.#begin(this.#spare);',
        replace:
          "  moveHold(whileBothHold: () => boolean): boolean {\n    if (this.#holding) this.#holder.exec('ROLLBACK');\n    this.#holding = false;\n    this.#begin(this.#spare);",
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/connections.test.ts',
        only: 'the hold moves forward without a gap, or stays when asked to',
      },
    ],
  },
  {
    name: 'rest-not-spooled',
    breaks: 'what a destination lacks is not put aside before the log is restarted',
    file: 'primary/log-keeper.ts',
    edits: [
      {
        find: '    while (hasTime() && this.#capturePiece(database, tail, pieceBytes)) continue;\n    return this.#uncaptured(tail) === undefined;',
        replace: '    return database !== undefined && tail !== undefined && pieceBytes > 0 && hasTime();',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/order-of-steps.test.ts',
        only: 'what is committed in the last moment before a checkpoint is put aside before the state names its end',
      },
    ],
  },
  {
    name: 'spool-follows-the-fastest',
    breaks: 'the spool keeps only what the fastest destination lacks',
    file: 'primary/consumers.ts',
    edits: [
      {
        find: 'least === undefined || comparePositions(position, least) < 0 ? position : least,',
        replace: 'least === undefined || comparePositions(position, least) > 0 ? position : least,',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/primary.test.ts',
        only: 'two destinations at their own pace: the spool keeps what the slow one lacks',
      },
    ],
  },
  {
    name: 'spool-pruned-too-far',
    breaks: 'a piece of the spool is removed when its first byte is confirmed',
    file: 'primary/spool.ts',
    edits: [
      {
        find: '(entry.index === position.index && entry.offsetBytes + entry.lengthBytes <= position.offsetBytes)',
        replace: '(entry.index === position.index && entry.offsetBytes <= position.offsetBytes)',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/spool.test.ts',
        only: 'forgets what lies wholly before a position, and everything when nobody needs anything',
      },
    ],
  },
  {
    name: 'spool-gap-ignored',
    breaks: 'pieces of the spool with a gap between them count as one stretch',
    file: 'primary/spool.ts',
    edits: [
      {
        find: 'if (entry.index !== from.index || entry.offsetBytes > reached) continue;',
        replace: 'if (entry.index !== from.index) continue;',
      },
    ],
    caughtBy: [
      { kind: 'test', file: 'primary/spool.test.ts', only: 'knows how far it reaches without a hole' },
    ],
  },
  {
    name: 'spool-kept-after-power-cut',
    breaks: 'what was spooled before the machine was started anew counts as the log still',
    file: 'primary/log-follower.ts',
    edits: [
      {
        find: 'if (state.bootId !== machine.bootId()) keeper.forgetSpooled();',
        replace: 'if (state.bootId === undefined) keeper.forgetSpooled();',
      },
    ],
    caughtBy: [{ kind: 'test', file: 'primary/spool-after-power-cut.test.ts' }],
  },
  {
    name: 'state-before-capture',
    breaks: 'the state names a place before what leads there is safe',
    file: 'primary/checkpoint.ts',
    edits: [
      {
        find: '  const isSafe = keeper.captureNow(following.database, following.tail, isLate);\n  state.saveIfPossible(following, { durable: false });\n  return isSafe;',
        replace:
          '  state.saveIfPossible(following, { durable: false });\n  return keeper.captureNow(following.database, following.tail, isLate);',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/order-of-steps.test.ts',
        only: 'what is committed in the last moment before a checkpoint is put aside before the state names its end',
      },
    ],
  },
  {
    name: 'header-only-log-counted',
    breaks: 'a log without a frame takes an index, of which no object ever tells',
    file: 'primary/log-follower.ts',
    edits: [
      {
        find: 'const index = tail.isEmpty ? tail.index : tail.index + 1;',
        replace: 'const index = tail.index + 1;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/order-of-steps.test.ts',
        only: 'a log that never had a commit takes no index',
      },
    ],
  },
  {
    name: 'log-file-replaced-unseen',
    breaks: 'a log in another file counts as the continuation',
    file: 'primary/following.ts',
    edits: [{ find: 'return database.wal.inode !== walInode;', replace: 'return walInode === undefined;' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/order-of-steps.test.ts',
        only: 'a WAL in another file is opened again',
      },
    ],
  },
  {
    name: 'unpinned-restart-accepted',
    breaks: 'a log that was restarted while it was not pinned counts as the continuation',
    file: 'primary/following.ts',
    edits: [
      {
        find: "if (!readLock.isCountTrusted(tail)) return 'the WAL was restarted while it was not pinned';",
        replace: '',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/order-of-steps.test.ts',
        only: 'a log that was begun anew while nothing pinned it is not the next one',
      },
    ],
  },
  {
    name: 'resume-unverified',
    breaks: 'a destination is continued although its last segment is not what the log has there',
    file: 'primary/resume.ts',
    edits: [
      {
        find: 'const isHeld = here === undefined ? isInSpool(log, cursor) : isSameChain(here, chain);',
        replace: 'const isHeld = here === undefined ? isInSpool(log, cursor) : true;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/primary.test.ts',
        only: 'resumes behind a segment that is the log, and behind nothing else',
      },
    ],
  },
  {
    name: 'restart-accepted',
    breaks: 'after a kill any restarted log counts as the next one',
    file: 'primary/continuity.ts',
    edits: [
      {
        find: '  if (!isNextLog(previous, next))\n',
        replace: '  void isNextLog(previous, next);\n  if (previous === undefined)\n',
      },
      {
        find: '    facts.remains === undefined ||\n    !oldLogEndedAtTail(facts.remains, state.tailBytes, previous.pageSizeBytes)',
        replace: '    state.tailBytes < 0',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/continuity.test.ts',
        only: 'every other case begins a new generation, and says why',
      },
    ],
  },
  {
    name: 'remains-not-looked-at',
    breaks: 'after a kill a restarted log counts as the next one although the old one had gone on',
    file: 'primary/continuity.ts',
    edits: [{ find: ' && remains.continuation.validBytes === 0;', replace: ';' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/continuity.test.ts',
        only: 'every other case begins a new generation, and says why',
      },
    ],
  },
  {
    name: 'rolled-back-remains-believed',
    breaks: 'after a kill what a rolled back transaction has overwritten counts as the end of the old log',
    file: 'primary/continuity.ts',
    edits: [{ find: ' && !remains.isOverwritten;', replace: ';' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/rolled-back-remains.test.ts',
        only: 'prove nothing where a rolled back transaction has written',
      },
    ],
  },
  {
    name: 'overwritten-log-accepted',
    breaks: 'after a kill a log that was overwritten counts as the same',
    file: 'primary/continuity.ts',
    edits: [
      {
        find: 'if (!checksumsEqual(chain.checksum, state.tailChecksum))\n',
        replace: 'if (!checksumsEqual(chain.checksum, chain.checksum))\n',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/continuity.test.ts',
        only: 'every other case begins a new generation, and says why',
      },
    ],
  },
  {
    name: 'inode-ignored',
    breaks: 'a database that was replaced by another one is continued',
    file: 'primary/continuity.ts',
    edits: [
      {
        find: 'if (!sameFile(state.identity, identity)) return',
        replace: 'if (!sameFile(state.identity, state.identity)) return',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/continuity.test.ts',
        only: 'every other case begins a new generation, and says why',
      },
    ],
  },
  {
    name: 'snapshot-without-overlay',
    breaks: 'a snapshot leaves out what only the log has',
    file: 'primary/snapshot-source.ts',
    edits: [
      {
        find: 'if (overlay.size === 0 || overlayPages(parts, overlay, piece, first)) return true;',
        replace: 'if (overlay.size >= 0 || overlayPages(parts, overlay, piece, first)) return true;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/primary.test.ts',
        only: 'a snapshot that is read in place is the database, and the log is held up by it',
      },
    ],
  },
  {
    name: 'nameless-index-recovered',
    breaks: 'a transaction counts whose writer was killed over it, and whose database has no name any more',
    file: 'primary/open-database.ts',
    edits: [{ find: 'if (!file.isCurrent())', replace: 'if (path.length === 0)' }],
    caughtBy: [{ kind: 'simulate', seed: 3280, runs: 1 }],
  },
  {
    name: 'snapshot-in-place-not-checked',
    breaks: 'a snapshot that is read in place goes on after a commit',
    file: 'primary/still-snapshot.ts',
    edits: [
      {
        find: "if (now.kind !== 'index' || !isSameState(now.index, before.index)) throw new SnapshotOvertaken();",
        replace: "if (now.kind !== 'index') throw new SnapshotOvertaken();",
      },
    ],
    caughtBy: [{ kind: 'test', file: 'primary/still-snapshot.test.ts', only: 'is given up' }],
  },
  {
    name: 'overtaken-snapshot-not-made-again',
    breaks: 'a snapshot that was overtaken by a commit is an error instead of a copy',
    file: 'replica/upload-opened.ts',
    edits: [{ find: 'if (!(error instanceof SnapshotOvertaken)) throw error;', replace: 'throw error;' }],
    caughtBy: [
      { kind: 'test', file: 'primary/still-snapshot.test.ts', only: 'is made of a copy when something' },
    ],
  },
  {
    name: 'gone-database-waited-for-at-the-end',
    breaks: 'the end waits out its time for a database that is gone',
    file: 'replica/replica.ts',
    edits: [
      {
        find: "if (primary.status === 'waiting') {\n          problem",
        replace: 'if (clock.now() < 0) {\n          problem',
      },
    ],
    caughtBy: [{ kind: 'test', file: 'replica/read-failures.test.ts', only: 'ends with what is the matter' }],
  },
  {
    name: 'snapshot-not-pinned',
    breaks: 'a commit between the look and the begin of a snapshot is not noticed',
    file: 'primary/pin-snapshot.ts',
    edits: [
      {
        find: 'const settled = tail.advanceNow(0) && tail.isSameLog() && tail.position.offsetBytes === before;',
        replace: 'const settled = before > 0;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/order-of-steps.test.ts',
        only: 'a commit between the look at the log and the begin of a snapshot is noticed',
      },
    ],
  },
  {
    name: 'snapshot-from-restarted-log',
    breaks: 'pages of the next log get into a snapshot',
    file: 'primary/snapshot-source.ts',
    edits: [{ find: '  return parts.isSameLog();\n}', replace: '  return true;\n}' }],
    caughtBy: [{ kind: 'test', file: 'primary/primary.test.ts' }],
  },
  {
    name: 'copy-ends-before-the-tail',
    breaks: 'a copy of the database ends where the last look was, not behind what it may hold',
    file: 'primary/database-copy.ts',
    edits: [
      {
        find: 'const position = await readAgain(async () => source.lookAtEnd(), source);',
        replace: 'const position = source.position();',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/database-copy.test.ts',
        only: 'is exactly a database of which the last commit comes with the last piece',
      },
    ],
  },
  {
    name: 'copy-end-not-read',
    breaks: 'a copy takes the end of a log that cannot be told this moment for the one that was seen before',
    file: 'primary/copies.ts',
    edits: [
      {
        find: 'const isSeen = tail.isSameLog() && tail.advanceNow(AHEAD_BYTES) && tail.isSameLog();',
        replace: 'const isSeen = tail.position.offsetBytes >= 0;',
      },
      { find: '      await this.#parts.follower.settled();\n', replace: '' },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/database-copy.test.ts',
        only: 'waits until the end of the log can be told',
      },
    ],
  },
  {
    name: 'copy-redo-of-finished-logs-skipped',
    breaks:
      'what a log held that was restarted during a copy is not written over the pages that were copied before',
    file: 'primary/database-copy.ts',
    edits: [
      {
        find: 'if (page < toBeCopied.first || page > toBeCopied.last) newest.set(page, at);',
        replace: 'if (toBeCopied.last === 0) newest.set(page, at);',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/database-copy.test.ts',
        only: 'is exactly a database whose log is restarted twice behind the copy',
      },
      { kind: 'simulate', seed: 1, runs: 600 },
    ],
  },
  {
    name: 'copy-growth-skipped',
    breaks: 'pages behind the end that the file had when a copy began are missing in it',
    file: 'primary/database-copy.ts',
    edits: [
      { find: 'page < toBeCopied.first || page > toBeCopied.last', replace: 'page < toBeCopied.first' },
      {
        find: 'const NONE: PageRange = { first: 1, last: 0 };',
        replace: 'const NONE: PageRange = { first: 2 ** 32, last: 2 ** 32 };',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/database-copy.test.ts',
        only: 'leads to what is written while it is made, and keeps the log of its position for the destination',
      },
    ],
  },
  {
    name: 'copy-log-from-its-end',
    breaks: 'what the log held before a copy began, and is not in the file, is left out',
    file: 'primary/copies.ts',
    edits: [
      { find: 'start: startOfLog(tail.index),', replace: 'start: tail.cursor ?? startOfLog(tail.index),' },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/database-copy.test.ts',
        only: 'is exactly the database at its position, whatever is done between its pieces',
      },
      { kind: 'simulate', seed: 1, runs: 100 },
    ],
  },
  {
    name: 'copy-log-not-kept',
    breaks: 'what a copy needs of the log is not kept while it is made',
    file: 'primary/copies.ts',
    edits: [
      { find: '        keeper.confirm(consumer, position);', replace: '        keeper.drop(consumer);' },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/database-copy.test.ts',
        only: 'leads to what is written while it is made, and keeps the log of its position for the destination',
      },
    ],
  },
  {
    name: 'copy-not-cut-off',
    breaks: 'pages that a database has lost during a copy are in it',
    file: 'primary/database-copy.ts',
    edits: [{ find: 'redo.pageCount || filePages', replace: 'Math.max(redo.pageCount, filePages)' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/database-copy.test.ts',
        only: 'is exactly a database that shrinks when half of it is copied',
      },
      { kind: 'simulate', seed: 1, runs: 300 },
    ],
  },
  {
    name: 'copy-of-ended-generation-stored',
    breaks: 'a copy of a generation that has ended is uploaded all the same, behind what came after it',
    file: 'primary/copies.ts',
    edits: [{ find: '    assertGoesOn();\n', replace: '' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/database-copy.test.ts',
        only: 'ends with the generation that it is of, while it is made and while it is read',
      },
    ],
  },
  {
    name: 'copy-fills-the-disk',
    breaks: 'a copy takes the room that the application needs',
    file: 'primary/copy-store.ts',
    edits: [
      {
        find: 'if (this.#writtenBytes - this.#checkedBytes >= ROOM_CHECK_BYTES)',
        replace: 'if (this.#writtenBytes < 0)',
      },
    ],
    caughtBy: [
      { kind: 'test', file: 'primary/copy-store.test.ts', only: 'a copy gives up when others fill the disk' },
    ],
  },
  {
    name: 'copy-keeps-its-name',
    breaks: 'pages of a copy stay on the disk after a kill',
    file: 'primary/copy-store.ts',
    edits: [{ find: '    this.#path = path;\n    this.#removeName();', replace: '    this.#path = path;' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/copy-store.test.ts',
        only: 'is private, has no name while it is open, and holds what was written',
      },
      { kind: 'simulate', seed: 1, runs: 300 },
    ],
  },
  {
    name: 'fsync-of-notes-forgotten',
    breaks: 'the state does not survive a power cut',
    file: 'base/files.ts',
    edits: [
      { find: 'if (durable) files.sync(descriptor);', replace: 'if (durable) files.statOpen(descriptor);' },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/order-of-steps.test.ts',
        only: 'a note that must survive a power cut is synced before it has its name, and its name after',
      },
    ],
  },
  {
    name: 'gap-in-cover-ignored',
    breaks: 'a destination goes on behind a log that is gone',
    file: 'primary/log-keeper.ts',
    edits: [
      {
        find: 'if (at.offsetBytes < end && (this.#parts.spool.coveredUntil(at) ?? 0) < end) return false;',
        replace: '',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/order-of-steps.test.ts',
        only: 'what lies behind a log that is gone is not at hand',
      },
    ],
  },
  {
    name: 'log-end-not-compared',
    breaks: 'a destination goes on behind a finished log of another history that is as long',
    file: 'primary/resume.ts',
    edits: [
      {
        find: 'if (end.offsetBytes === cursor.chain.offsetBytes) return isSameChain(cursor.chain, end);',
        replace: 'if (end.offsetBytes === cursor.chain.offsetBytes) return true;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/after-power-cut.test.ts',
        only: 'is not continued by the next log, although it ends where its own log ended',
      },
    ],
  },
  {
    name: 'header-waited-for',
    breaks: 'a snapshot waits for a log in which nothing is committed',
    file: 'primary/log-keeper.ts',
    edits: [
      {
        find: 'if (to.offsetBytes > WAL_HEADER_BYTES) return false;',
        replace: 'if (to.offsetBytes >= 0) return false;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/log-without-frames.test.ts',
        only: 'a snapshot is stored all the same, and stands before what is written then',
      },
    ],
  },
  {
    name: 'ended-generation-confirmed',
    breaks: 'what is stored after its generation has ended is noted for the next one',
    file: 'primary/primary.ts',
    edits: [
      {
        find: 'if (generation === this.generation) this.#keeper.confirm(name, position);',
        replace: 'if (name !== generation) this.#keeper.confirm(name, position);',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/generation-ended.test.ts',
        only: 'has nothing noted of what is stored after its end',
      },
    ],
  },
  {
    name: 'verification-of-shipped-bytes-skipped',
    breaks: 'bytes are shipped as they lie in the file, checked or not',
    file: 'primary/cursor.ts',
    edits: [
      {
        find: 'if (start + scan.validBytes !== bytes.length) {',
        replace: 'if (start + scan.validBytes > bytes.length) {',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/cursor.test.ts',
        only: 'refuses anything that does not continue the chain',
      },
    ],
  },
  {
    name: 'confirmed-before-upload',
    breaks: 'what is on its way counts as stored',
    file: 'replica/shipper.ts',
    edits: [
      {
        find: '    session.cursor = await this.#store(session, taken, signal);',
        replace:
          '    onSegment(session, 0, positionOf(taken.cursor));\n    session.cursor = await this.#store(session, taken, signal);',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/recipients-only.test.ts',
        only: 'an answer that is lost, at whichever object, while the log grows and begins anew',
      },
    ],
  },
  {
    name: 'overwrites-instead-of-creating',
    breaks: 'an object of another history is replaced',
    file: 'replica/create-only.ts',
    edits: [
      {
        find: "return store.conditions === 'none' ? {} : { onlyIf: 'absent' };",
        replace: "return store === undefined ? { onlyIf: 'absent' } : {};",
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/recipients-only.test.ts',
        only: 'a first segment of unknown end that arrives after the next start',
      },
    ],
  },
  {
    name: 'first-segment-in-pieces',
    breaks: 'a first snapshot stands beside half of its log',
    file: 'replica/shipper.ts',
    edits: [
      {
        find: 'if (taken.from.offsetBytes > 0 || end.offsetBytes >= session.reachBytes) return true;',
        replace: 'if (end.offsetBytes >= 0) return true;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/replica.test.ts',
        only: 'a first snapshot over a large log: what it holds already appears in one object',
      },
    ],
  },
  {
    name: 'snapshot-before-its-log',
    breaks: 'a later snapshot appears before the log that leads to it',
    file: 'replica/upload-snapshot.ts',
    edits: [
      {
        find: '  await upload.beforeLastByte();',
        replace: '  void upload.beforeLastByte().catch(() => undefined);',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/order-of-steps.test.ts',
        only: 'a snapshot appears when the log that leads to it is there, not before',
      },
    ],
  },
  {
    name: 'gap-continued',
    breaks: 'a destination that lacks a log is continued',
    file: 'replica/find-position.ts',
    edits: [
      { find: 'if (segment.index !== index + 1 || segment.offsetBytes !== 0) return false;', replace: '' },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/order-of-steps.test.ts',
        only: 'one that lacks a log, or the start of one, is not continued',
      },
    ],
  },
  {
    name: 'snapshot-alone-continued',
    breaks: 'a first snapshot is continued although its log has lost what was copied',
    file: 'replica/find-position.ts',
    edits: [
      {
        find: 'return (await primary.resumeAtEnd(generation, index, { offsetBytes, salts, checksum })) !== undefined;',
        replace:
          'return (await primary.resumeAtEnd(generation, index, { offsetBytes, salts, checksum })) !== null;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/after-power-cut.test.ts',
        only: 'is not continued when the log has lost what it was made of, and went on otherwise',
      },
    ],
  },
  {
    name: 'histories-overlap',
    breaks: 'another history is written across the objects of the present log',
    file: 'replica/session.ts',
    edits: [
      {
        find: 'if (primary.position === undefined) return;',
        replace: 'if (last < Number.POSITIVE_INFINITY || primary.position === undefined) return;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/recipients-only.test.ts',
        only: 'a first segment of unknown end that arrives after the next start',
      },
    ],
  },
  {
    name: 'noted-size-ignored',
    breaks: 'the note about an unreadable segment is believed whatever lies there',
    file: 'replica/upload-record.ts',
    edits: [
      {
        find: 'if (stored.sizeBytes === newest.sizeBytes) return',
        replace: 'if (stored.sizeBytes >= 0) return',
      },
    ],
    caughtBy: [{ kind: 'test', file: 'replica/recipients-only.test.ts' }],
  },
  {
    name: 'intended-end-forgotten',
    breaks: 'the same name is written with two contents',
    file: 'replica/shipper.ts',
    edits: [
      {
        find: 'if (end === undefined || end.offsetBytes >= positionOf(taken.cursor).offsetBytes) return taken;',
        replace: 'if (end === undefined || end.offsetBytes >= 0) return taken;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/recipients-only.test.ts',
        only: 'killed again and again at the same segment, while the log grows',
      },
    ],
  },
  {
    name: 'intention-not-noted',
    breaks: 'a segment that was on its way at a kill is not known afterwards',
    file: 'replica/shipper.ts',
    edits: [{ find: '      record?.intend(generation, { from, end });\n', replace: '' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/recipients-only.test.ts',
        only: 'killed again and again at the same segment, while the log grows',
      },
    ],
  },
  {
    name: 'previous-end-not-told',
    breaks: 'the loss of the last segment of a log cannot be seen',
    file: 'replica/shipper.ts',
    edits: [
      {
        find: 'if (from.index <= firstIndex || previousEndBytes === undefined) return none;',
        replace: 'if (from.index >= 0 || previousEndBytes === undefined) return none;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/annotations.test.ts',
        only: 'the first segment of a log says where the one before ended; a snapshot says where it stands',
      },
    ],
  },
  {
    name: 'gone-back-not-told',
    breaks: 'a database that lacks what is stored begins another generation without a word',
    file: 'replica/former/compare-live.ts',
    edits: [{ find: 'if (earlier !== undefined) {', replace: 'if (earlier !== undefined && last === 0) {' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/former/gone-back.test.ts',
        only: 'by a WAL that was removed: how much it lacks is told, and the command that gets it',
      },
    ],
  },
  {
    name: 'going-on-called-going-back',
    breaks: 'a database that was written to while nobody looked is said to have gone back',
    file: 'replica/former/compare-live.ts',
    edits: [{ find: 'live.changeCounter < counter)', replace: 'live.changeCounter > counter)' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/former/compare-live.test.ts',
        only: 'is not behind where it stands at the last commit, or went on from there',
      },
      { kind: 'simulate', seed: 1, runs: 300 },
    ],
  },
  {
    name: 'keep-mark-ignored',
    breaks: 'retention removes what the database lacks',
    file: 'generations/retention-plan.ts',
    edits: [
      {
        find: '!isKept(from) && isSuperseded',
        replace: 'isSuperseded',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'generations/retention-plan.test.ts',
        only: 'leaves a marked generation alone until its time, then takes the mark with it',
      },
    ],
  },
  {
    name: 'end-on-nothing',
    breaks: 'the end says that everything is stored where nothing is left',
    file: 'replica/shipper.ts',
    edits: [
      {
        find: 'if (!(await hasSnapshot(store, session, signal))) throw snapshotsRemoved();',
        replace: '',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/emptied-destination.test.ts',
        only: 'is found by the end, which stores a fresh snapshot before it says that everything is stored',
      },
    ],
  },
  {
    name: 'listing-believed-about-snapshot',
    breaks: 'a snapshot that a listing lacks counts as removed',
    file: 'replica/snapshot-look.ts',
    edits: [
      {
        find: 'if (await isThere(store, snapshotKey(generation, snapshotIndex), { signal })) return true;',
        replace: 'await isThere(store, snapshotKey(generation, snapshotIndex), { signal });',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/listing-behind.test.ts',
        only: 'costs no snapshot when a log begins, although it is always empty',
      },
    ],
  },
  {
    name: 'listing-believed-about-damage',
    breaks: 'what a listing lacks counts as damage although it is there by its name',
    file: 'generations/unlisted.ts',
    edits: [{ find: 'if (await isThere(store, key, options)) return key;', replace: 'void key;' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'verify/quick-proof.test.ts',
        only: 'what a listing lacks and is there by its name is no damage, and nothing is read again for it',
      },
    ],
  },
  {
    name: 'emptied-destination-unseen',
    breaks: 'segments are stored although the snapshots have been removed',
    file: 'replica/snapshot-look.ts',
    edits: [
      {
        find: 'if (!(await this.#within(session, signal))) throw snapshotsRemoved();',
        replace: 'await this.#within(session, signal);',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/emptied-destination.test.ts',
        only: 'gets a fresh snapshot when the next log begins',
      },
    ],
  },
  {
    name: 'retention-without-anchor',
    breaks: 'the window begins with a moment that nothing leads to',
    file: 'generations/retention-plan.ts',
    edits: [
      {
        find: 'const anchor = snapshots.findLast(({ createdAt }) => createdAt <= windowStartMs);',
        replace: 'const anchor = snapshots.find(({ createdAt }) => createdAt >= windowStartMs);',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'generations/retention-plan.test.ts',
        only: 'keeps every moment of the window restorable, and the latest state',
      },
    ],
  },
  {
    name: 'retention-in-wrong-order',
    breaks: 'what is left of a retention that was cut short is a chain without its middle',
    file: 'generations/retention-plan.ts',
    edits: [
      {
        find: 'const steps = [[...snapshots, ...kept], later, ',
        replace: 'const steps = [later, [...snapshots, ...kept], ',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'generations/retention-order.test.ts',
        only: 'wherever a retention is cut short, no snapshot is left without its log',
      },
    ],
  },
  {
    name: 'old-generation-dropped-early',
    breaks: 'an older generation goes before the newer one covers the window',
    file: 'generations/retention-plan.ts',
    edits: [
      {
        find: 'createdAt > old.updatedAt && createdAt <= windowStartMs',
        replace: 'createdAt > old.updatedAt',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'generations/retention-order.test.ts',
        only: 'an older generation stays until a newer one covers the whole window',
      },
    ],
  },
  {
    name: 'last-promise-removed',
    breaks: 'retention removes the only witness of where the chain ended',
    file: 'generations/retention-plan.ts',
    edits: [{ find: 'from.ends.slice(0, -1).filter(', replace: 'from.ends.filter(' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'generations/retention-order.test.ts',
        only: 'the furthest promise stays, however old: nothing else tells where the chain must end',
      },
    ],
  },
  {
    name: 'listing-order-trusted',
    breaks: 'the order of a listing is taken for the order of the chain',
    file: 'generations/inventory.ts',
    edits: [{ find: 'segments: sorted(segments, comparePositions),', replace: 'segments,' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'generations/inventory.test.ts',
        only: 'sorts what the store lists in any order',
      },
    ],
  },
  {
    name: 'hole-in-names-ignored',
    breaks: 'a plan leads over a log that is missing',
    file: 'generations/restore-plan.ts',
    edits: [
      {
        find: 'if (segment.index === index && segment.offsetBytes === 0) return undefined;',
        replace: 'if (segment.index >= index) return undefined;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'generations/restore-plan.test.ts',
        only: 'names what is missing and what is left',
      },
    ],
  },
  {
    name: 'annotation-checksum-skipped',
    breaks: 'a damaged annotation is believed',
    file: 'generations/annotation.ts',
    edits: [
      {
        find: "if (bytes.readUInt32LE(body) !== xxhash32(bytes.subarray(0, body))) throw invalid(what, 'checksum');",
        replace: 'void xxhash32;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'generations/annotation.test.ts',
        only: 'refuses every payload with a bit changed behind its mark',
      },
    ],
  },
  {
    name: 'promise-ignored',
    breaks: 'a chain that lost its last segment restores without a word',
    file: 'restore/verify-chain.ts',
    edits: [{ find: 'if (plan.promise !== undefined)\n', replace: 'if (plan.promise === null)\n' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'restore/holes.test.ts',
        only: 'every fault in every object is an error with a way out, or makes no difference',
      },
    ],
  },
  {
    name: 'witness-ignored',
    breaks: 'the end of a log is not compared with what the next one says',
    file: 'restore/verify-chain.ts',
    edits: [
      {
        find: 'if (isBare || plan.witness === undefined) return [];',
        replace: 'if (isBare || plan.witness !== null) return [];',
      },
    ],
    caughtBy: [
      { kind: 'test', file: 'restore/holes.test.ts', only: 'so it is for an index and for a moment' },
    ],
  },
  {
    name: 'snapshot-ahead-accepted',
    breaks: 'a chain that ends before its snapshot restores',
    file: 'restore/verify-chain.ts',
    edits: [
      {
        find: 'if (comparePositions(reached, stands) >= 0) return;\n  if (plan.until',
        replace: 'if (comparePositions(reached, stands) >= -1e15) return;\n  if (plan.until',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'restore/chain.test.ts',
        only: 'restores an exact position, also one inside a segment',
      },
    ],
  },
  {
    name: 'previous-end-unchecked',
    breaks: 'a finished log that lost its last segment restores',
    file: 'restore/links.ts',
    edits: [{ find: 'if (endBytes === reached.offsetBytes) return;', replace: 'if (endBytes >= 0) return;' }],
    caughtBy: [
      { kind: 'test', file: 'restore/holes.test.ts', only: 'so it is for an index and for a moment' },
    ],
  },
  {
    name: 'previous-checksum-unchecked',
    breaks: 'a log of the right length and of another history restores',
    file: 'restore/links.ts',
    edits: [
      {
        find: 'if (claimed === undefined || checksumsEqual(claimed, checksum)) return;',
        replace: 'if (claimed === undefined || checksumsEqual(claimed, claimed)) return;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'restore/links.test.ts',
        only: 'a log follows the one before by its end and by the checksum there',
      },
    ],
  },
  {
    name: 'annotation-unchecked',
    breaks: 'a copied segment restores under another name',
    file: 'restore/links.ts',
    edits: [
      {
        find: "if (kind === 'segment' && own === generation && index === segment.index && segment.offsetBytes === 0) {",
        replace: "if (kind === 'segment') {",
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'restore/holes.test.ts',
        only: 'every fault in every object is an error with a way out, or makes no difference',
      },
    ],
  },
  {
    name: 'snapshot-annotation-unchecked',
    breaks: 'a copied snapshot restores under another name',
    file: 'restore/load-snapshot.ts',
    edits: [
      {
        find: "    annotation.kind === 'snapshot' &&\n    annotation.generation === generation &&\n    annotation.index === entry.index\n",
        replace: "    annotation.kind === 'snapshot'\n",
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'restore/holes.test.ts',
        only: 'every fault in every object is an error with a way out, or makes no difference',
      },
    ],
  },
  {
    name: 'snapshot-salts-unchecked',
    breaks: 'a snapshot and the log of another history restore together',
    file: 'restore/links.ts',
    edits: [
      {
        find: 'if (salts === undefined || (salts[0] === header.salt1 && salts[1] === header.salt2)) return undefined;',
        replace: 'if (salts === undefined || header.salt1 >= 0) return undefined;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'restore/links.test.ts',
        only: 'a snapshot and the log of another history do not belong together',
      },
    ],
  },
  {
    name: 'snapshot-checksum-unchecked',
    breaks: 'a snapshot and a log that went on otherwise restore together',
    file: 'restore/chain-applier.ts',
    edits: [
      {
        find: 'if (!endsFrame({ header: chain.header, checksum }, bytes, last)) throw',
        replace: 'if (!endsFrame({ header: chain.header, checksum }, bytes, last) && last < 0) throw',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'restore/strange-chains.test.ts',
        only: 'a snapshot of a log that went on otherwise is refused',
      },
    ],
  },
  {
    name: 'copied-log-accepted',
    breaks: 'the same log twice restores',
    file: 'restore/chain-applier.ts',
    edits: [{ find: 'if (this.#seenSalts.has(salts)) {', replace: "if (this.#seenSalts.has('')) {" }],
    caughtBy: [
      { kind: 'test', file: 'restore/strange-chains.test.ts', only: 'a log that is there twice is refused' },
    ],
  },
  {
    name: 'gap-in-log-accepted',
    breaks: 'a segment behind a gap is applied',
    file: 'restore/links.ts',
    edits: [
      {
        find: 'if (gap <= 0 && segment.offsetBytes > 0) return -gap;',
        replace: 'if (segment.offsetBytes > 0) return Math.max(0, -gap);',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'restore/holes.test.ts',
        only: 'every fault in every object is an error with a way out, or makes no difference',
      },
    ],
  },
  {
    name: 'uncommitted-applied',
    breaks: 'frames of a transaction that never committed are restored',
    file: 'restore/chain-applier.ts',
    edits: [
      {
        find: 'if (at < committedEnd) this.#pages.put(',
        replace: 'if (at < committedEnd || at >= 0) this.#pages.put(',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'restore/strange-chains.test.ts',
        only: 'a transaction that its log did not finish never takes place, whatever the next log commits',
      },
    ],
  },
  {
    name: 'unfinished-transaction-carried-over',
    breaks: 'frames of a transaction that its log did not finish are restored with the next log',
    file: 'restore/page-sink.ts',
    edits: [{ find: '  logEnded(): void {\n    this.#stage.drop();\n', replace: '  logEnded(): void {\n' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'restore/strange-chains.test.ts',
        only: 'a transaction that its log did not finish never takes place, whatever the next log commits',
      },
    ],
  },
  {
    name: 'half-frame-accepted',
    breaks: 'a segment that stops inside a frame restores',
    file: 'restore/chain-applier.ts',
    edits: [{ find: 'if (carry.length === 0) return;', replace: 'if (carry.length >= 0) return;' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'restore/strange-chains.test.ts',
        only: 'a segment that stops inside a frame is refused',
      },
    ],
  },
  {
    name: 'commit-size-believed',
    breaks: 'two small objects restore to a database of terabytes',
    file: 'restore/size-limit.ts',
    edits: [
      {
        find: 'pageCount <= pagesSeen + this.#unwrittenPagesMax)',
        replace: 'pageCount > 0)',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'restore/hostile.test.ts',
        only: 'a commit of terabytes is refused, and is damage',
      },
    ],
  },
  {
    name: 'snapshot-decoded-without-end',
    breaks: 'a small snapshot fills the disk',
    file: 'restore/load-snapshot.ts',
    edits: [
      {
        find: 'if (isRefused && this.#sizeBytes > sizeBytes) throw',
        replace: 'if (isRefused && this.#sizeBytes < 0) throw',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'restore/hostile.test.ts',
        only: 'a snapshot is decoded no further than it says that it goes',
      },
    ],
  },
  {
    name: 'not-truncated',
    breaks: 'pages that the database gave up stay in the restored file',
    file: 'restore/page-file.ts',
    edits: [
      {
        find: '    this.trim();\n    this.flush();\n    ftruncateSync(this.#fd, this.sizeBytes);',
        replace: '    this.flush();',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'restore/page-file.test.ts',
        only: 'the file has the size of the last commit, larger or smaller than what was written',
      },
    ],
  },
  {
    name: 'pages-come-back',
    breaks: 'pages behind the end of a smaller database come back when it grows',
    file: 'restore/page-file.ts',
    edits: [
      { find: 'if (pageNumber > this.#pageCount) this.#pending.delete(pageNumber);', replace: '' },
      { find: 'if (this.#writtenPages > this.#pageCount) {', replace: 'if (this.#writtenPages < 0) {' },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'restore/page-file.test.ts',
        only: 'pages behind the end of a database that became smaller do not come back when it grows',
      },
    ],
  },
  {
    name: 'restored-without-fsync',
    breaks: 'a restored database does not survive a power cut',
    file: 'restore/output.ts',
    edits: [{ find: '  fsyncSync(fd);\n', replace: '  void fsyncSync;\n' }],
    caughtBy: [{ kind: 'test', file: 'restore/durable.test.ts', only: 'a restored database' }],
  },
  {
    name: 'restored-name-not-synced',
    breaks: 'the name of a restored database does not survive a power cut',
    file: 'restore/output.ts',
    edits: [{ find: '    place.syncNames();\n', replace: '' }],
    caughtBy: [{ kind: 'test', file: 'restore/durable.test.ts', only: 'a restored database' }],
  },
  {
    name: 'output-overwritten',
    breaks: 'a restore replaces a file that came meanwhile',
    file: 'restore/output.ts',
    edits: [
      {
        find: '  assertAbsent(place.path);\n  const aside',
        replace: '  const aside',
      },
      {
        find: "    await moveWithoutReplacing(place.entry(suffix), place.entry(''), place.path);",
        replace: "    await rename(place.entry(suffix), place.entry(''));",
      },
    ],
    caughtBy: [
      { kind: 'test', file: 'restore/output.test.ts', only: 'does not replace what appears while it works' },
    ],
  },
  {
    name: 'large-transaction-lost',
    breaks: 'a transaction larger than memory is restored in part',
    file: 'restore/transaction-stage.ts',
    edits: [
      {
        find: 'if (this.#fd !== undefined && this.#spooledNumbers.length > 0) this.#replay(this.#fd, file);',
        replace: '',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'restore/chain.test.ts',
        only: 'applies a transaction that is larger than memory may hold',
      },
    ],
  },
  {
    name: 'proof-of-changed-objects-skipped',
    breaks: 'an object that was replaced after it was proven is not looked at again',
    file: 'verify/plan-quick.ts',
    edits: [{ find: '  if (changed !== undefined) {', replace: '  if (changed === -1) {' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'verify/quick-proof.test.ts',
        only: 'finds every fault in any object, new or proven before',
      },
    ],
  },
  {
    name: 'new-snapshots-not-proven',
    breaks: 'a damaged snapshot is taken for proven',
    file: 'verify/plan-quick.ts',
    edits: [
      {
        find: '  if (known === undefined) return snapshot.index > first;',
        replace: '  if (known !== undefined || snapshot.index >= 0) return first < 0;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'verify/quick-proof.test.ts',
        only: 'reads everything from the newest snapshot on, then only what is new',
      },
    ],
  },
  {
    name: 'gone-snapshot-not-missed',
    breaks: 'a snapshot that somebody removed is not missed',
    file: 'verify/plan-quick.ts',
    edits: [
      {
        find: '  return gone.find(isKept)?.index;',
        replace: '  void isKept;\n  return gone.length < 0 ? 0 : undefined;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'verify/quick-proof.test.ts',
        only: 'finds every fault in any object, new or proven before',
      },
    ],
  },
  {
    name: 'listed-size-not-compared',
    breaks: 'a listing that lies about a size is believed',
    file: 'verify/sized-store.ts',
    edits: [
      {
        find: 'if (listedBytes === undefined || bytes === listedBytes) return;',
        replace: 'if (listedBytes === undefined || bytes >= 0) return;',
      },
    ],
    caughtBy: [
      { kind: 'test', file: 'verify/quick-proof.test.ts', only: 'a listing that lies about a size' },
    ],
  },
  {
    name: 'idle-backup-not-looked-at',
    breaks: 'nobody notices that the backup of an idle database was removed',
    file: 'replica/schedule.ts',
    edits: [
      {
        find: 'if (lookedAtMs === undefined || idleEveryMs === undefined) return undefined;',
        replace: 'if (lookedAtMs !== undefined || idleEveryMs === undefined) return undefined;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/schedule.test.ts',
        only: 'where nothing is new the destination is listed',
      },
    ],
  },
  {
    name: 'one-wait-for-all-duties',
    breaks: 'deletes that are refused delay snapshots and proofs',
    file: 'replica/schedule.ts',
    edits: [
      {
        find: 'Math.max(atMs, schedule.waits?.get(kind) ?? atMs)',
        replace: 'Math.max(atMs, ...(schedule.waits?.values() ?? []))',
      },
    ],
    caughtBy: [{ kind: 'test', file: 'replica/duty-failures.test.ts', only: 'holds up none of the others' }],
  },
  {
    name: 'lost-state-still-restorable',
    breaks: 'a moment that is lost still counts as proven to restore',
    file: 'replica/prover.ts',
    edits: [
      {
        find: "if (proven === undefined || typeof untilMs !== 'number') return undefined;",
        replace: "if (proven === undefined || typeof untilMs !== 'number') return proven;",
      },
    ],
    caughtBy: [
      { kind: 'test', file: 'verify/remembered.test.ts', only: 'nothing of it counts as restorable' },
    ],
  },
  {
    name: 'file-without-fsync',
    breaks: 'an object in a directory does not survive a power cut',
    file: 'storage/file/write-file.ts',
    edits: [{ find: "    await failingAs('write', path, fsync(fd));\n", replace: '    void fsync;\n' }],
    caughtBy: [
      { kind: 'test', file: 'restore/durable.test.ts', only: 'an object in a directory, new or replaced' },
    ],
  },
  {
    name: 'file-name-not-synced',
    breaks: 'the name of an object in a directory does not survive a power cut',
    file: 'storage/file/write-file.ts',
    edits: [
      {
        find: "    await failingAs('make safe', directory.path, syncNames(directory));\n",
        replace: '    void syncNames;\n',
      },
    ],
    caughtBy: [
      { kind: 'test', file: 'restore/durable.test.ts', only: 'an object in a directory, new or replaced' },
    ],
  },
  {
    name: 'resumed-at-wrong-place',
    breaks: 'a read that broke off goes on at the start',
    file: 'storage/retrying.ts',
    edits: [{ find: 'offsetBytes: offsetBytes + receivedBytes,', replace: 'offsetBytes,' }],
    caughtBy: [{ kind: 'test', file: 'storage/retrying.test.ts', only: 'goes on at the byte where it was' }],
  },
  {
    name: 'other-object-taken-for-own',
    breaks: 'a refused write counts as done whatever lies there',
    file: 'storage/put-again.ts',
    edits: [{ find: 'if (Buffer.compare(found.bytes, bytes) !== 0) return undefined;', replace: '' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'storage/retrying.test.ts',
        only: 'lost against another when the object holds other bytes',
      },
    ],
  },
  {
    name: 'short-read-taken-for-whole',
    breaks: 'a read that ends early counts as whole',
    file: 'storage/retrying.ts',
    edits: [{ find: 'if (receivedBytes >= promisedBytes) {', replace: 'if (receivedBytes >= 0) {' }],
    caughtBy: [
      { kind: 'test', file: 'storage/retrying.test.ts', only: 'goes on after an end that came too early' },
    ],
  },
  {
    name: 'begun-after-abort',
    breaks: 'a call that was given up before it began is made',
    file: 'storage/retry.ts',
    edits: [
      {
        find: '        signal?.throwIfAborted();\n        const result = await attempt',
        replace: '        const result = await attempt',
      },
    ],
    caughtBy: [
      { kind: 'test', file: 'storage/retry.test.ts', only: 'begins nothing that was given up before' },
    ],
  },
  {
    name: 'swap-without-condition',
    breaks: 'two processes replace the lease at the same time',
    file: 'storage/version-register.ts',
    edits: [
      {
        find: 'return this.#store.write(this.#key, bytes, { ...options, onlyIf });',
        replace:
          'return this.#store.write(this.#key, bytes, onlyIf === undefined ? { ...options, onlyIf } : options);',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'storage/register.test.ts',
        only: 'is read, and swapped only by who has seen the value',
      },
    ],
  },
  {
    name: 'looked-at-instead-of-compared',
    breaks: 'a lease counts at a service that has said that it knows no conditional writes',
    file: 'storage/version-register.ts',
    edits: [
      { find: 'if (!this.#isCompared) return false;', replace: '' },
      { find: 'foundWritten === true && this.#isCompared', replace: 'foundWritten === true' },
      {
        find: 'const { version, modifiedAt } = await this.#write(bytes, onlyIf, options);\n    if (!this.#isCompared) {',
        replace:
          "const { version = '0', modifiedAt } = await this.#write(bytes, onlyIf, options);\n    if (bytes.length === 0) {",
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'daemon/unknown-conditions.test.ts',
        only: ': the lease goes on without, says so once, and leaves nothing',
      },
    ],
  },
  {
    name: 'conditions-frozen',
    breaks: 'what a service says late about its conditional writes is not passed on',
    file: 'storage/forwarding.ts',
    edits: [
      {
        find: 'get conditions() {\n      return store.conditions;\n    },',
        replace: 'conditions: store.conditions,',
      },
    ],
    caughtBy: [
      { kind: 'test', file: 'storage/forwarding.test.ts', only: 'passes on what its store has learned' },
    ],
  },
  {
    name: 'gap-in-row-accepted',
    breaks: 'a process wins the lease by the gap that a removal left',
    file: 'storage/sequence-register.ts',
    edits: [{ find: ' && (number === 1 || numbers.at(-2) === number - 1);', replace: ';' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'storage/register.test.ts',
        only: 'is a row of files, of which few stay; a removed row begins anew above nobody',
      },
    ],
  },
  {
    name: 'lease-valid-too-long',
    breaks: 'a lease is used for longer than it lasts',
    file: 'replica/lease/validity.ts',
    edits: [
      {
        find: 'const usableMs = durationMs - marginOf(durationMs);',
        replace: 'const usableMs = 2 * durationMs - marginOf(durationMs);',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/lease/decide.test.ts',
        only: 'whoever watches it waits longer than its holder trusts it, whatever the clocks',
      },
    ],
  },
  {
    name: 'lease-by-one-clock',
    breaks: 'a suspended machine goes on writing',
    file: 'replica/lease/validity.ts',
    edits: [
      {
        find: 'return elapsedMs < usableMs && wallMs < usableMs && wallMs > -usableMs;',
        replace: 'return elapsedMs < usableMs || wallMs > usableMs;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/lease/decide.test.ts',
        only: 'whoever watches it waits longer than its holder trusts it, whatever the clocks',
      },
    ],
  },
  {
    name: 'lease-not-asked-after-a-write',
    breaks: 'what was written after the lease was lost counts',
    file: 'replica/lease/fenced-store.ts',
    edits: [
      {
        find: '    await lease.confirm(term, storedAtMs(outcome), signal);\n',
        replace: '    void term;\n    void storedAtMs;\n',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/lease/lease.test.ts',
        only: 'a write that was under way when the lease went is not confirmed',
      },
    ],
  },
  {
    name: 'long-upload-completed-after-loss',
    breaks: 'a long upload is completed by a process that slept in the middle of it',
    file: 'replica/lease/fenced-store.ts',
    edits: [
      {
        find: '  yield* body;\n  await lease.ensure(signal);',
        replace: '  yield* body;\n  void lease;\n  void signal;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/lease/lease.test.ts',
        only: 'a long upload is kept alive, and not completed after the lease was lost',
      },
    ],
  },
  {
    name: 'lease-taken-by-wall-clock',
    breaks: 'a process whose clock is ahead takes the lease of a living writer',
    file: 'replica/lease/decide.ts',
    edits: [
      {
        find: "if (isUnchanged) return { kind: 'take', why: 'expired' };",
        replace:
          "if (isUnchanged || seen.nowMs - seen.storedAtMs > record.durationMs + CLOCK_SKEW_MS_MAX)\n    return { kind: 'take', why: 'expired' };",
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/lease/wrong-clocks.test.ts',
        only: 's off; that of a dead one is',
      },
    ],
  },
  {
    name: 'jump-of-a-clock-counts-as-watching',
    breaks: 'a monotonic clock that jumps takes the lease of a living writer',
    file: 'replica/lease/standby.ts',
    edits: [
      {
        find: 'return Math.min(elapsedMs, slowPollMs(durationMs));',
        replace: 'return Math.max(elapsedMs, -slowPollMs(durationMs));',
      },
    ],
    caughtBy: [
      { kind: 'test', file: 'replica/lease/wrong-clocks.test.ts', only: 'whose monotonic clock jumps once' },
    ],
  },
  {
    name: 'superseded-generation-restored',
    breaks: 'a clock of the store that was set back brings a superseded generation back',
    file: 'generations/choose-generation.ts',
    edits: [{ find: '  return hasSuccessor\n', replace: '  return hasSuccessor && written === undefined\n' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'generations/superseded.test.ts',
        only: 'also where the clock of the store was set back',
      },
    ],
  },
  {
    name: 'taken-over-without-waiting',
    breaks: "another's lease is taken although it may be alive",
    file: 'replica/lease/decide.ts',
    edits: [
      {
        find: 'const isUnchanged = seen.unchangedMs >= observationMs(record.durationMs);',
        replace: 'const isUnchanged = observationMs(record.durationMs) > 0;',
      },
    ],
    caughtBy: [{ kind: 'test', file: 'replica/lease/decide.test.ts', only: 'in each case' }],
  },
  {
    name: 'superseded-generation-continued',
    breaks: 'a process goes on with a generation that another one has written to since',
    file: 'replica/lease/lease.ts',
    edits: [
      { find: "return this.#forsaken === undefined ? 'go-on' : 'begin-anew';", replace: "return 'go-on';" },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/lease/lease.test.ts',
        only: 'a process that slept past its lease finds out at its next write, and never takes it back from a living one',
      },
    ],
  },
  {
    name: 'superseded-by-own-swap-forgotten',
    breaks:
      'a process goes on with what another one has written to, when the answer to its take-over was lost',
    file: 'replica/lease/succession.ts',
    edits: [
      {
        find: 'if (former.superseded.some((one) => one.generation === generation)) return false;',
        replace: '',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/lease/lease.test.ts',
        only: 'taken over by a swap whose answer is lost: what the other one has written to is not continued',
      },
    ],
  },
  {
    name: 'lease-trouble-taken-for-an-object',
    breaks: 'what cannot be written for want of a lease counts as there already',
    file: 'replica/lease/tenure.ts',
    edits: [
      {
        find: "if (attempt === SWAP_ATTEMPTS) throw contended('renew', this.#parts.location, error);",
        replace: 'if (attempt === SWAP_ATTEMPTS) throw error;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/lease/lease.test.ts',
        only: 'that cannot be renewed says nothing of the object that was to be written',
      },
    ],
  },
  {
    name: 'snapshot-of-empty-log-continued',
    breaks: 'a snapshot of a log without frames is continued by any log of that index',
    file: 'replica/find-position.ts',
    edits: [
      {
        find: 'if (salts === undefined) return isStartOfLogAt(primary, snapshot);',
        replace: 'if (salts === undefined) return true;',
      },
    ],
    caughtBy: [
      { kind: 'test', file: 'replica/log-without-frames.test.ts', only: 'another history leads to' },
    ],
  },
  {
    name: 'retention-by-own-clock',
    breaks: 'a clock that runs ahead lets go of what was to be kept',
    file: 'replica/store-clock.ts',
    edits: [
      {
        find: 'return Math.min(this.#clock.now(), this.#storeNowMs() ?? Number.POSITIVE_INFINITY);',
        replace: 'return this.#clock.now();',
      },
    ],
    caughtBy: [{ kind: 'test', file: 'replica/retention.test.ts', only: 'goes by the time of the store' }],
  },
  {
    name: 'proof-by-own-clock',
    breaks: 'what the retention removed counts as damage once the clock is set back',
    file: 'replica/store-clock.ts',
    edits: [
      {
        find: 'return Math.max(this.#clock.now(), this.#storeNowMs() ?? Number.NEGATIVE_INFINITY);',
        replace: 'return this.#clock.now();',
      },
    ],
    caughtBy: [{ kind: 'test', file: 'replica/store-clock.test.ts' }],
  },
  {
    name: 'replaced-log-followed',
    breaks: 'a database that has taken the place of another unseen is mixed with it',
    file: 'primary/following.ts',
    edits: [{ find: 'return database.wal.inode !== walInode;', replace: "return walInode === '';" }],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/order-of-steps.test.ts',
        only: 'a WAL in another file is opened again',
      },
    ],
  },
  {
    name: 'finished-log-not-checked-to-its-end',
    breaks: 'what was kept of a log is taken although it does not lead to where that log ended',
    file: 'primary/take.ts',
    edits: [{ find: '      assertLeadsTo(read.cursor, end);\n', replace: '' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/spool-after-power-cut.test.ts',
        only: 'do not lead to where the log ended',
      },
    ],
  },
  {
    name: 'unreadable-log-counts-as-lost',
    breaks: 'a read that the system refuses for a moment costs a full snapshot',
    file: 'primary/take.ts',
    edits: [{ find: 'if (failure !== undefined) throw failure;', replace: 'problem ??= failure;' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/read-failures.test.ts',
        only: 'looks and takes fail, and go on in the same generation',
      },
    ],
  },
  {
    name: 'unreadable-log-counts-as-shorter',
    breaks: 'a read that the system refuses at a start ends the generation',
    file: 'primary/begin.ts',
    edits: [{ find: "if (!isRivuletError(error, 'WAL_INVALID')) throw error;", replace: 'void error;' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/read-failures.test.ts',
        only: 'at a start: the generation is continued once it can be read',
      },
    ],
  },
  {
    name: 'short-read-counts-as-the-end',
    breaks: 'a read that gives nothing for a moment cuts off a file',
    file: 'base/files.ts',
    edits: [{ find: 'if (position + done >= sizeBytes) break;', replace: 'if (sizeBytes >= 0) break;' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/read-failures.test.ts',
        only: 'looks and takes fail, and go on in the same generation',
      },
    ],
  },
  {
    name: 'living-copy-continued',
    breaks: 'a copy of a state directory goes on with a history that the original wrote meanwhile',
    file: 'replica/lease/decide.ts',
    edits: [{ find: '  if (hasWaited) return false;\n', replace: '' }],
    caughtBy: [{ kind: 'test', file: 'replica/lease/decide.test.ts', only: 'whose history is ours' }],
  },
  {
    name: 'last-words-taken-for-life',
    breaks: 'the last request of a killed process keeps its successor waiting for ever',
    file: 'replica/lease/standby.ts',
    edits: [{ find: 'nowMs - sinceMs >= LAST_WORDS_MS', replace: 'before !== undefined' }],
    caughtBy: [
      { kind: 'test', file: 'replica/lease/turning-points.test.ts', only: 'changed by the last words' },
    ],
  },
  {
    name: 'note-not-checked',
    breaks: 'a flipped bit in a note of the local state is believed',
    file: 'base/checked-json.ts',
    edits: [{ find: 'if (check !== checkOf(fields))', replace: 'if (check === undefined)' }],
    caughtBy: [
      { kind: 'test', file: 'base/checked-json.test.ts' },
      { kind: 'test', file: 'replica/proof-note.test.ts' },
    ],
  },
  {
    name: 'slow-destination-given-up',
    breaks: 'a destination that is slow and does not fail loses its chain to a full spool',
    file: 'primary/consumers.ts',
    edits: [{ find: 'const PATIENCE_MS = 60_000;', replace: 'const PATIENCE_MS = 3_000;' }],
    caughtBy: [
      { kind: 'test', file: 'primary/primary.test.ts', only: 'a full spool drops the slow one only' },
    ],
  },
  {
    name: 'lag-since-all-was-stored',
    breaks: 'the lag of a destination that is always a little behind grows for ever',
    file: 'replica/lag.ts',
    edits: [{ find: 'firstLacking === -1 ? this.#marks.length : firstLacking', replace: '0' }],
    caughtBy: [{ kind: 'test', file: 'replica/lag.test.ts', only: 'with a steady writer' }],
  },
  {
    name: 'lag-bytes-of-present-log',
    breaks: 'what a destination lacks of a generation before is forgotten although nothing was stored',
    file: 'replica/lag.ts',
    edits: [{ find: 'this.#seenBytes += moreBytes;', replace: 'this.#seenBytes = moreBytes;' }],
    caughtBy: [{ kind: 'test', file: 'replica/lag.test.ts', only: 'never becomes less' }],
  },
  {
    name: 'stall-over-without-anything-stored',
    breaks: 'an upload to a full disk that gets a little further ends the alarm, again and again',
    file: 'daemon/stall-alarm.ts',
    edits: [{ find: 'facts.outcome ?? facts.progress', replace: 'facts.progress' }],
    caughtBy: [{ kind: 'test', file: 'daemon/stall-alarm.test.ts', only: 'stores nothing' }],
  },
  {
    name: 'silent-destination-healthy',
    breaks: 'a destination that never answers is well until a call to it is given up',
    file: 'daemon/database-status.ts',
    edits: [{ find: 'one.stillMs < STILL_AFTER_MS', replace: 'one.stillMs >= 0' }],
    caughtBy: [{ kind: 'test', file: 'daemon/database-status.test.ts', only: 'does not answer' }],
  },
  {
    name: 'last-descriptor-taken',
    breaks: 'databases are opened until none of them has a descriptor left to store anything',
    file: 'daemon/descriptor-budget.ts',
    edits: [{ find: 'DATABASE_DESCRIPTORS + transfers + reserve', replace: '0' }],
    caughtBy: [{ kind: 'test', file: 'daemon/descriptor-budget.test.ts', only: 'enough is left' }],
  },
  {
    name: 'watchdog-counts-sleep',
    breaks: 'a process that was stopped for a while is killed when it goes on',
    file: 'daemon/watchdog-rule.ts',
    edits: [
      {
        find: "hasWork: endLimitMs !== undefined, progress: '' }",
        replace: "hasWork: endLimitMs !== undefined, progress: '', gapMsMax: Infinity }",
      },
    ],
    caughtBy: [{ kind: 'test', file: 'daemon/watchdog-rule.test.ts', only: 'stopped for an hour' }],
  },
  {
    name: 'restart-taken-without-proof',
    breaks:
      'a WAL that was restarted while nothing was held, and whose commits nobody has counted, is taken as the next one',
    file: 'primary/following.ts',
    edits: [
      { find: 'if (readLock.covers) return undefined;', replace: 'if (next.index >= 0) return undefined;' },
    ],
    caughtBy: [
      { kind: 'simulate', seed: 1, runs: 60 },
      {
        kind: 'test',
        file: 'primary/letting-go.test.ts',
        only: 'that had ended when a commit was checkpointed and overwritten costs a generation, and lasts from then on',
      },
    ],
  },
  {
    name: 'commit-count-ignored',
    breaks: 'a trusted count of commits that does not add up is passed over',
    file: 'primary/following.ts',
    edits: [
      { find: 'if (!next.isCountable || remains?.scan.isPadded === true)', replace: 'if (next.index < 0)' },
    ],
    caughtBy: [
      { kind: 'simulate', seed: 1, runs: 60 },
      {
        kind: 'test',
        file: 'primary/letting-go.test.ts',
        only: 'that had ended when a commit was checkpointed and overwritten costs a generation, and lasts from then on',
      },
    ],
  },
  {
    name: 'young-count-trusted',
    breaks:
      'a count that a recovery has begun again, and that can come to the same number once more, is trusted',
    file: 'primary/commit-count.ts',
    edits: [{ find: 'change < TRUSTED_COMMITS', replace: 'change < 0' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/commit-count.test.ts',
        only: 'is not trusted while a recovery has begun it a short while ago: the same number may come again',
      },
    ],
  },
  {
    name: 'doubted-count-trusted',
    breaks: 'a count that was found wrong a moment ago is trusted again',
    file: 'primary/commit-count.ts',
    edits: [
      {
        find: 'if (!tail.isCountable) this.#doubtedAt = tail.change;',
        replace: 'if (!tail.isCountable) return;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/commit-count.test.ts',
        only: 'is not trusted where frames and index have counted differently, nor for a long time after that',
      },
    ],
  },
  {
    name: 'padding-counted-as-commits',
    breaks: 'copies of a commit frame count as commits',
    file: 'wal/frames.ts',
    edits: [{ find: 'isPadded ||= at > start &&', replace: 'isPadded ||= at < start &&' }],
    caughtBy: [{ kind: 'test', file: 'wal/padded-commits.test.ts', only: 'that are padded are told' }],
  },
  {
    name: 'lock-moved-without-capture',
    breaks:
      'a lasting read transaction steps aside although what is in the WAL is neither stored nor spooled',
    file: 'primary/read-lock.ts',
    edits: [{ find: 'moveHold(capture);', replace: 'moveHold(() => capture() || true);' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/letting-go.test.ts',
        only: 'that lasts does not step aside while something in the WAL is neither stored nor kept',
      },
    ],
  },
  {
    name: 'recovery-not-noticed',
    breaks: 'an index that counts something else than the frames is not noticed',
    file: 'primary/log-tail.ts',
    edits: [
      {
        find: 'if (this.#change !== undefined) this.#isCountable &&= index.change === this.#change;',
        replace: 'if (this.#change === undefined) this.#isCountable &&= index.frames >= 0;',
      },
    ],
    caughtBy: [{ kind: 'simulate', seed: 1, runs: 60 }],
  },
  {
    name: 'begun-lock-covers-at-once',
    breaks: 'a read transaction that has just begun is taken for one that was held since the last look',
    file: 'primary/read-lock.ts',
    edits: [
      {
        find: '    this.#covers = false;\n    this.#deps.connections.hold();',
        replace: '    this.#deps.connections.hold();\n    this.#covers = true;',
      },
    ],
    caughtBy: [
      { kind: 'simulate', seed: 1, runs: 60 },
      {
        kind: 'test',
        file: 'primary/letting-go.test.ts',
        only: 'that had ended when a commit was checkpointed and overwritten costs a generation, and lasts from then on',
      },
    ],
  },
  {
    name: 'released-without-capture',
    breaks: 'the read transaction is ended while captured bytes are neither stored nor spooled',
    file: 'primary/checkpoint.ts',
    edits: [{ find: 'if (capture()) readLock.release();', replace: 'readLock.release();' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/letting-go.test.ts',
        only: 'does not end while something in the WAL is neither stored nor kept',
      },
    ],
  },
  {
    name: 'index-closed-under-connections',
    breaks:
      'the descriptors of database and index are closed before the connections, which drops all their locks',
    file: 'primary/open-database.ts',
    edits: [
      {
        find: '    wal.close();\n    connections?.close();\n    file.close();\n    index?.close();\n    isOver();',
        replace:
          '    isOver();\n    wal.close();\n    file.close();\n    index?.close();\n    connections?.close();',
      },
    ],
    caughtBy: [{ kind: 'simulate', seed: 1, runs: 30 }],
  },
  {
    name: 'torn-index-accepted',
    breaks: 'an index between its two copies counts as whole',
    file: 'wal/wal-index.ts',
    edits: [
      {
        find: "if (!areCopiesEqual(bytes)) return { kind: 'torn' };",
        replace: "if (!areCopiesEqual(bytes) && bytes.length < 0) return { kind: 'torn' };",
      },
    ],
    caughtBy: [
      { kind: 'test', file: 'wal/wal-index.test.ts', only: 'is torn wherever the two copies differ' },
    ],
  },
  {
    name: 'index-checksum-skipped',
    breaks: 'an index with a flipped bit in both copies counts as whole',
    file: 'wal/wal-index.ts',
    edits: [
      {
        find: 'if (!checksumsEqual(checksum, walChecksum(',
        replace: 'if (checksum.length < 0 && !checksumsEqual(checksum, walChecksum(',
      },
    ],
    caughtBy: [
      { kind: 'test', file: 'wal/wal-index.test.ts', only: 'is torn with any bit flipped in both copies' },
    ],
  },
  {
    name: 'format-characters-shown',
    breaks: 'text from outside can show in another order, or hide',
    file: 'base/visible-text.ts',
    edits: [{ find: 'const UNSAFE = /[\\p{Cc}\\p{Cf}', replace: 'const UNSAFE = /[\\p{Cc}' }],
    caughtBy: [{ kind: 'test', file: 'base/visible-text.test.ts' }],
  },
  {
    name: 'sha1-host-key-accepted',
    breaks: 'a server that can only sign by SHA-1 is trusted',
    file: 'storage/sftp/host-key.ts',
    edits: [
      {
        find: "['rsa-sha2-512', 'rsa-sha2-256'],",
        replace: "['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'],",
      },
    ],
    caughtBy: [
      { kind: 'test', file: 'storage/sftp/weak-trust.test.ts', only: 'whose host key signs by it alone' },
    ],
  },
  {
    name: 'unprotected-key-taken',
    breaks: 'a private key that others can read is used',
    file: 'base/file-access.ts',
    edits: [{ find: '(file.mode & BEYOND_OWNER) !== 0', replace: '(file.mode & BEYOND_OWNER) === 0o777' }],
    caughtBy: [{ kind: 'test', file: 'storage/sftp/weak-trust.test.ts', only: 'is refused with' }],
  },
  {
    name: 'empty-pages-without-end',
    breaks: 'a folder whose pages are empty is read for ever',
    file: 'storage/sftp/folder-bounds.ts',
    edits: [
      {
        find: 'if (this.#emptyPages > EMPTY_PAGES_MAX)',
        replace: 'if (this.#emptyPages > EMPTY_PAGES_MAX * 1e9)',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'storage/sftp/folder-bounds.test.ts',
        only: 'files, folders, names and empty pages',
      },
    ],
  },
  {
    name: 'unreadable-header-written',
    breaks: 'objects are encrypted to more recipients than can be read again',
    file: 'codec/age/age.ts',
    edits: [
      {
        find: 'if (recipients.length > RECIPIENTS_MAX)',
        replace: 'if (recipients.length > RECIPIENTS_MAX * 1e9)',
      },
    ],
    caughtBy: [{ kind: 'test', file: 'codec/age.test.ts', only: 'as many recipients as' }],
  },
  {
    name: 'replica-behind-links',
    breaks: 'a link in the place of a folder of a replica leads to where objects are made and removed',
    file: 'base/directory-handle.ts',
    edits: [
      {
        find: 'REAL_DIRECTORY: number = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;',
        replace: 'REAL_DIRECTORY: number = O_RDONLY | O_DIRECTORY;',
      },
    ],
    caughtBy: [{ kind: 'test', file: 'storage/file-links.test.ts', only: 'lead nowhere' }],
  },
  {
    name: 'note-through-link',
    breaks: 'a link in the place of a note is read as the note',
    file: 'base/directory-handle.ts',
    edits: [
      {
        find: 'OWN_FILE: number = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;',
        replace: 'OWN_FILE: number = O_RDONLY | O_NONBLOCK;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'base/private-directory.test.ts',
        only: 'are never written or read through links',
      },
    ],
  },
  {
    name: 'shared-state-directory',
    breaks: 'the local state is kept where others can write',
    file: 'base/private-directory.ts',
    edits: [
      {
        find: '  if ((mode & (GROUP_WRITES | OTHERS_WRITE)) === 0) return undefined;',
        replace: '  if (mode >= 0) return undefined;',
      },
    ],
    caughtBy: [
      { kind: 'test', file: 'base/private-directory.test.ts', only: 'is not one to which others may write' },
      { kind: 'test', file: 'primary/state-directory.test.ts', only: 'that others can write to' },
    ],
  },
  {
    name: 'spool-removes-strangers',
    breaks: 'files of others in the spool are removed',
    file: 'primary/spool.ts',
    edits: [
      {
        find: 'NAME.test(nameOfTemporary(name) ?? name) && files',
        replace: "name !== '' && files",
      },
    ],
    caughtBy: [{ kind: 'test', file: 'primary/spool.test.ts', only: 'is found again by the next process' }],
  },
  {
    name: 'state-among-foreign-files',
    breaks: 'a directory that holds the files of others is taken for the local state',
    file: 'primary/state-directory.ts',
    edits: [{ find: 'names.every(isOurName);', replace: 'names.length > 0;' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/state-directory.test.ts',
        only: 'is not one that holds the files of others',
      },
    ],
  },
  {
    name: 'remains-of-several-restarts-counted',
    breaks: 'a commit that nobody published makes up for one that nobody saw',
    file: 'primary/following.ts',
    edits: [
      {
        find: 'if (remains !== undefined && !isNextLog(tail.format, { salt1 }))',
        replace: 'if (remains !== undefined && salt1 < 0)',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/read-lock.test.ts',
        only: 'a commit that nobody published does not make up for one that nobody saw',
      },
    ],
  },
  {
    name: 'remains-not-kept',
    breaks: 'what was read from a restarted WAL is not kept for those who lack it',
    file: 'primary/log-follower.ts',
    edits: [{ find: '      keeper.keep(tail.position, remains.bytes);\n', replace: '' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/read-lock.test.ts',
        only: 'what was committed before the WAL was restarted unseen is read from what is left of it',
      },
    ],
  },
  {
    name: 'damage-beside-unchecked-passes',
    breaks: 'where SQLite cannot check one table, damage in the others passes',
    file: 'restore/integrity.ts',
    edits: [{ find: '    complaints.push(...own.complaints);\n', replace: '' }],
    caughtBy: [
      {
        kind: 'test',
        file: 'restore/integrity.test.ts',
        only: 'is left out of the check, and damage beside it is found',
      },
    ],
  },
  {
    name: 'unreadable-wal-passes',
    breaks: 'a WAL that was overwritten or cut while nothing is committed counts as nothing new',
    file: 'primary/following.ts',
    edits: [
      {
        find: 'if (tail.isEmpty || chain === undefined) return true;',
        replace: 'if (tail.isEmpty || chain !== undefined) return true;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/unreadable-wal.test.ts',
        only: 'an error although nothing is new, and what is committed is read all the same',
      },
    ],
  },
  {
    name: 'empty-wal-counts-as-itself',
    breaks: 'a commit that came and was truncated between two looks at an empty WAL is missed',
    file: 'primary/log-follower.ts',
    edits: [
      {
        find: 'if (!tail.isLogOf(index) || !tail.isSameLog()) {',
        replace: 'if (!tail.isLogOf(index) || (tail.chain !== undefined && !tail.isSameLog())) {',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/letting-go.test.ts',
        only: 'a commit that came and was truncated is not taken for nothing',
      },
    ],
  },
  {
    name: 'partial-checkpoint-taken-for-overwriting',
    breaks: 'a page that a partial checkpoint has left out counts as overwritten',
    file: 'primary/foreign-writes.ts',
    edits: [
      {
        find: 'if (!isNewest || page > pagesMin || frame >= index.backfilledFrames) continue;',
        replace: 'if (page > pagesMin || frame >= index.backfilledFrames) continue;',
      },
    ],
    caughtBy: [{ kind: 'simulate', seed: 9000, runs: 600 }],
  },
  {
    name: 'standby-lacks-nothing',
    breaks: 'what is committed beside a standby counts as stored',
    file: 'primary/log-follower.ts',
    edits: [
      {
        find: 'return begun.commits === this.commits && begun.isStoredAt(name);',
        replace: 'return begun.isStoredAt(name);',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'replica/lease/replica-lease.test.ts',
        only: 'a standby beside which something was committed',
      },
    ],
  },
  {
    name: 'unopened-database-lacks-nothing',
    breaks: 'a database that could not be opened counts as stored',
    file: 'replica/replica.ts',
    edits: [
      {
        find: "if (primary.status === 'waiting') return !primary.hasUnseen();",
        replace: "if (primary.status === 'waiting') return true;",
      },
    ],
    caughtBy: [{ kind: 'test', file: 'replica/replica.test.ts', only: 'gets a snapshot and every commit' }],
  },
  {
    name: 'write-lock-waits-for-the-disk',
    breaks: 'the write lock is held until the checkpoint under it has ended',
    file: 'primary/handover.ts',
    edits: [
      {
        find: "if (outcome === 'late') return false;",
        replace: "if (outcome === 'late') return machine.standStill(5_000) === undefined;",
      },
    ],
    caughtBy: [
      { kind: 'test', file: 'primary/handover.test.ts', only: 'the write lock is released in time although' },
      { kind: 'simulate', seed: 285, runs: 100 },
    ],
  },
  {
    name: 'slow-disk-locked',
    breaks: 'the write lock is taken although the disk takes too long for a few frames',
    file: 'primary/handover.ts',
    edits: [
      { find: 'return tookMs * share >= SLOW_MS;', replace: 'return tookMs * share >= SLOW_MS * 1_000;' },
    ],
    caughtBy: [
      { kind: 'test', file: 'primary/handover.test.ts', only: 'a disk that takes long for a few frames' },
    ],
  },
  {
    name: 'claim-by-name',
    breaks: 'a database is claimed by its path, not by device and inode',
    file: 'primary/database-claim.ts',
    edits: [
      {
        find: 'const key = `${device}-${inode}`;',
        replace: 'const key = `${path.length}-${device}-${inode}`;',
      },
    ],
    caughtBy: [{ kind: 'test', file: 'primary/database-claim.test.ts', only: 'is refused in' }],
  },
  {
    name: 'wal-mode-not-taken-back',
    breaks: 'a database stays in WAL mode that could not be used then',
    file: 'primary/wal-mode.ts',
    edits: [{ find: '    takeBack(path);\n', replace: '' }],
    caughtBy: [
      { kind: 'test', file: 'primary/connections.test.ts', only: 'is switched back when it cannot be used' },
    ],
  },
  {
    name: 'state-directory-left-behind',
    breaks: 'locks stay in a state directory that another one has taken the place of',
    file: 'primary/state-directory.ts',
    edits: [
      {
        find: 'if (directory.isCurrent() && lock.isCurrent()) return false;',
        replace: 'if (lock.isCurrent()) return false;',
      },
    ],
    caughtBy: [
      {
        kind: 'test',
        file: 'primary/state-directory.test.ts',
        only: 'is taken again where it was removed or replaced',
      },
    ],
  },
];

export function mutantOf(name: string): Mutant {
  const mutant = MUTANTS.find((candidate) => candidate.name === name);
  if (mutant === undefined) throw new Error(`there is no mutant "${name}"; see test/mutants/table.ts`);
  return mutant;
}
