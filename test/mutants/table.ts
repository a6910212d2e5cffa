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
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'page-zero-accepted',
    breaks: 'a frame for page number 0 is taken',
    file: 'wal/frames.ts',
    edits: [{ find: 'if (view.getUint32(at) === 0) {', replace: 'if (view.getUint32(at) < 0) {' }],
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'log-header-checksum-skipped',
    breaks: 'a torn header of a log is taken for a log',
    file: 'wal/wal-header.ts',
    edits: [
      { find: 'if (!checksumsEqual(checksum, computed)) throw', replace: 'if (computed.length === 0) throw' },
    ],
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'lz4-cut-object-accepted',
    breaks: 'an object that was cut off between blocks is taken for whole',
    file: 'codec/frame-parser.ts',
    edits: [{ find: 'if (size === 0) break;', replace: 'if (size === 0 || size > 0x7fffff00) break;' }],
    caughtBy: [],
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
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'unpublished-shipped',
    breaks: 'a transaction of a killed writer that nobody sees is shipped',
    file: 'primary/log-tail.ts',
    edits: [
      {
        find: 'const endBytes = Math.min(walBytes(this.#publishedFrames(), this.pageSizeBytes), this.#wal.sizeBytes());',
        replace:
          'this.#publishedFrames();\n    walBytes(0, this.pageSizeBytes);\n    const endBytes = this.#wal.sizeBytes();',
      },
    ],
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'busy-ignored',
    breaks: 'a checkpoint that others hindered counts as complete',
    file: 'primary/handover.ts',
    edits: [
      {
        find: 'return !result.busy && result.logFrames === result.checkpointedFrames;',
        replace: 'return result.logFrames >= -1;',
      },
    ],
    caughtBy: [],
  },
  {
    name: 'handover-without-capture',
    breaks: 'the hold is let go although the end of the log was not captured',
    file: 'primary/handover.ts',
    edits: [
      {
        find: 'return tail.isSameLog() && tail.advanceNow(aheadBytes) && capture();',
        replace: 'return tail.isSameLog() && tail.advanceNow(aheadBytes);',
      },
    ],
    caughtBy: [],
  },
  {
    name: 'handover-without-last-look',
    breaks: 'the hold is let go without a look at what was written last',
    file: 'primary/handover.ts',
    edits: [
      {
        find: 'return tail.isSameLog() && tail.advanceNow(aheadBytes) && capture();',
        replace: 'return tail.isSameLog() && aheadBytes > 0 && capture();',
      },
    ],
    caughtBy: [],
  },
  {
    name: 'hold-not-taken-again',
    breaks: 'after a checkpoint nothing keeps the log from being restarted',
    file: 'primary/connections.ts',
    edits: [
      {
        find: '    } finally {\n      this.hold();\n    }',
        replace: '    } finally {\n      this.#holding = false;\n    }',
      },
    ],
    caughtBy: [],
  },
  {
    name: 'hold-pretended',
    breaks: 'after a checkpoint nothing keeps the log from being restarted, and nobody knows',
    file: 'primary/connections.ts',
    edits: [
      {
        find: '    } finally {\n      this.hold();\n    }',
        replace: "    } finally {\n      this.#holding = true;\n      this.#holder.exec('BEGIN');\n    }",
      },
    ],
    caughtBy: [],
  },
  {
    name: 'hold-released-early',
    breaks: 'the read transaction ends before the new one has begun',
    file: 'primary/connections.ts',
    edits: [
      {
        find: '  moveHold(whileBothHold: () => boolean): boolean {\n    beginRead(this.#spare);',
        replace:
          "  moveHold(whileBothHold: () => boolean): boolean {\n    if (this.#holding) this.#holder.exec('ROLLBACK');\n    this.#holding = false;\n    beginRead(this.#spare);",
      },
    ],
    caughtBy: [],
  },
  {
    name: 'rest-not-spooled',
    breaks: 'what a destination lacks is not put aside before the log is restarted',
    file: 'primary/log-keeper.ts',
    edits: [
      {
        find: '    while (this.#capturePiece(database, tail)) continue;\n    return this.#uncaptured(tail) === undefined;',
        replace: '    return database !== undefined && tail !== undefined;',
      },
    ],
    caughtBy: [],
  },
  {
    name: 'spool-follows-the-fastest',
    breaks: 'the spool keeps only what the fastest destination lacks',
    file: 'primary/consumers.ts',
    edits: [
      {
        find: '(least === undefined || comparePositions(position, least) < 0 ? position : least)',
        replace: '(least === undefined || comparePositions(position, least) > 0 ? position : least)',
      },
    ],
    caughtBy: [],
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
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'state-before-capture',
    breaks: 'the state names a place before what leads there is safe',
    file: 'primary/primary.ts',
    edits: [
      {
        find: '    const isSafe = this.#keeper.captureNow(database, tail);\n    this.#save({ durable: false });\n    return isSafe;',
        replace: '    this.#save({ durable: false });\n    return this.#keeper.captureNow(database, tail);',
      },
    ],
    caughtBy: [],
  },
  {
    name: 'header-only-log-counted',
    breaks: 'a log without a frame takes an index, of which no object ever tells',
    file: 'primary/primary.ts',
    edits: [
      {
        find: 'const isEmpty = tail.position.offsetBytes <= WAL_HEADER_BYTES;',
        replace: 'const isEmpty = tail.position.offsetBytes < WAL_HEADER_BYTES;',
      },
    ],
    caughtBy: [],
  },
  {
    name: 'log-file-replaced-unseen',
    breaks: 'a log in another file counts as the continuation',
    file: 'primary/primary.ts',
    edits: [
      { find: 'if (database.wal.inode !== walInode) return', replace: 'if (walInode === undefined) return' },
    ],
    caughtBy: [],
  },
  {
    name: 'unpinned-restart-accepted',
    breaks: 'a log that was restarted while it was not pinned counts as the continuation',
    file: 'primary/primary.ts',
    edits: [
      {
        find: 'if (!database.connections.holding) return',
        replace: 'if (database.connections === undefined) return',
      },
    ],
    caughtBy: [],
  },
  {
    name: 'resume-unverified',
    breaks: 'a destination is continued although its last segment is not what the log has there',
    file: 'primary/primary.ts',
    edits: [
      {
        find: 'return here !== undefined && checksumsEqual(here.checksum, chain.checksum) ? cursor : undefined;',
        replace: 'void checksumsEqual;\n      return here !== undefined ? cursor : undefined;',
      },
    ],
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'remains-not-looked-at',
    breaks: 'after a kill a restarted log counts as the next one although the old one had gone on',
    file: 'primary/continuity.ts',
    edits: [{ find: ' && remains.continuation.validBytes === 0;', replace: ';' }],
    caughtBy: [],
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
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'snapshot-without-overlay',
    breaks: 'a snapshot leaves out what only the log has',
    file: 'primary/snapshot-source.ts',
    edits: [
      {
        find: 'if (overlay.size > 0 && !overlayPages(parts, overlay, piece, first)) {',
        replace: 'if (overlay.size < 0 && !overlayPages(parts, overlay, piece, first)) {',
      },
    ],
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'snapshot-from-restarted-log',
    breaks: 'pages of the next log get into a snapshot',
    file: 'primary/snapshot-source.ts',
    edits: [{ find: '  return parts.isSameLog();\n}', replace: '  return true;\n}' }],
    caughtBy: [],
  },
  {
    name: 'fsync-of-notes-forgotten',
    breaks: 'the state does not survive a power cut',
    file: 'base/files.ts',
    edits: [
      { find: 'if (durable) files.sync(descriptor);', replace: 'if (durable) files.statOpen(descriptor);' },
    ],
    caughtBy: [],
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
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'confirmed-before-upload',
    breaks: 'what is on its way counts as stored',
    file: 'replica/shipper.ts',
    edits: [
      {
        find: '    session.cursor = await this.#store(session, taken, signal);',
        replace:
          '    onSegment(0, positionOf(taken.cursor));\n    session.cursor = await this.#store(session, taken, signal);',
      },
    ],
    caughtBy: [],
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
    caughtBy: [],
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
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'gap-continued',
    breaks: 'a destination that lacks a log is continued',
    file: 'replica/find-position.ts',
    edits: [
      { find: 'if (segment.index !== index + 1 || segment.offsetBytes !== 0) return false;', replace: '' },
    ],
    caughtBy: [],
  },
  {
    name: 'histories-overlap',
    breaks: 'another history is written across the objects of the present log',
    file: 'replica/session.ts',
    edits: [
      {
        find: 'if (last < 0 || primary.position === undefined || last < primary.position.index) return;',
        replace: 'if (last < Number.POSITIVE_INFINITY) return;',
      },
    ],
    caughtBy: [],
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
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'intention-not-noted',
    breaks: 'a segment that was on its way at a kill is not known afterwards',
    file: 'replica/shipper.ts',
    edits: [{ find: '      record?.intend(generation, { from, end });\n', replace: '' }],
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'emptied-destination-unseen',
    breaks: 'segments are stored although the snapshots have been removed',
    file: 'replica/shipper.ts',
    edits: [
      { find: "throw new RivuletError('CHAIN_BROKEN', 'its snapshots have been removed');", replace: '' },
    ],
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'retention-in-wrong-order',
    breaks: 'what is left of a retention that was cut short is a chain without its middle',
    file: 'generations/retention-plan.ts',
    edits: [
      {
        find: 'keys: [...snapshots, ...segments, ...ends].map(({ key }) => key),',
        replace: 'keys: [...segments, ...snapshots, ...ends].map(({ key }) => key),',
      },
    ],
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'last-promise-removed',
    breaks: 'retention removes the only witness of where the chain ended',
    file: 'generations/retention-plan.ts',
    edits: [{ find: 'from.ends.slice(0, -1).filter(', replace: 'from.ends.filter(' }],
    caughtBy: [],
  },
  {
    name: 'listing-order-trusted',
    breaks: 'the order of a listing is taken for the order of the chain',
    file: 'generations/inventory.ts',
    edits: [{ find: 'segments: segments.sort(comparePositions),', replace: 'segments,' }],
    caughtBy: [],
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
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'promise-ignored',
    breaks: 'a chain that lost its last segment restores without a word',
    file: 'restore/verify-chain.ts',
    edits: [{ find: 'if (plan.promise !== undefined)\n', replace: 'if (plan.promise === null)\n' }],
    caughtBy: [],
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
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'previous-end-unchecked',
    breaks: 'a finished log that lost its last segment restores',
    file: 'restore/links.ts',
    edits: [{ find: 'if (endBytes === reached.offsetBytes) return;', replace: 'if (endBytes >= 0) return;' }],
    caughtBy: [],
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
    caughtBy: [],
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
    caughtBy: [],
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
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'copied-log-accepted',
    breaks: 'the same log twice restores',
    file: 'restore/chain-applier.ts',
    edits: [{ find: 'if (this.#seenSalts.has(salts)) {', replace: "if (this.#seenSalts.has('')) {" }],
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'uncommitted-applied',
    breaks: 'frames of a transaction that never committed are restored',
    file: 'restore/chain-applier.ts',
    edits: [
      {
        find: 'if (at < committedEnd) this.#file.put(',
        replace: 'if (at < committedEnd || at >= 0) this.#file.put(',
      },
    ],
    caughtBy: [],
  },
  {
    name: 'unfinished-transaction-carried-over',
    breaks: 'frames of a transaction that its log did not finish are restored with the next log',
    file: 'restore/chain-applier.ts',
    edits: [{ find: '    this.#stage.drop();\n    this.#file.trim();', replace: '    this.#file.trim();' }],
    caughtBy: [],
  },
  {
    name: 'half-frame-accepted',
    breaks: 'a segment that stops inside a frame restores',
    file: 'restore/chain-applier.ts',
    edits: [{ find: 'if (carry.length === 0) return;', replace: 'if (carry.length >= 0) return;' }],
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'pages-come-back',
    breaks: 'pages behind the end of a smaller database come back when it grows',
    file: 'restore/page-file.ts',
    edits: [
      { find: 'if (pageNumber > this.#pageCount) this.#pending.delete(pageNumber);', replace: '' },
      { find: 'if (this.#writtenPages > this.#pageCount) {', replace: 'if (this.#writtenPages < 0) {' },
    ],
    caughtBy: [],
  },
  {
    name: 'restored-without-fsync',
    breaks: 'a restored database does not survive a power cut',
    file: 'restore/output.ts',
    edits: [{ find: '  fsyncSync(fd);\n', replace: '  void fsyncSync;\n' }],
    caughtBy: [],
  },
  {
    name: 'restored-name-not-synced',
    breaks: 'the name of a restored database does not survive a power cut',
    file: 'restore/output.ts',
    edits: [{ find: '  await syncFolder(dirname(outputPath));', replace: '  void syncFolder;' }],
    caughtBy: [],
  },
  {
    name: 'output-overwritten',
    breaks: 'a restore replaces a file that came meanwhile',
    file: 'restore/output.ts',
    edits: [
      {
        find: '  fsyncSync(fd);\n  assertAbsent(outputPath);\n  await moveWithoutReplacing(temporaryPath, outputPath);',
        replace: '  fsyncSync(fd);\n  await rename(temporaryPath, outputPath);',
      },
    ],
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'file-without-fsync',
    breaks: 'an object in a directory does not survive a power cut',
    file: 'storage/file/write-file.ts',
    edits: [{ find: "    await failingAs('write', path, fsync(fd));\n", replace: '    void fsync;\n' }],
    caughtBy: [],
  },
  {
    name: 'file-name-not-synced',
    breaks: 'the name of an object in a directory does not survive a power cut',
    file: 'storage/file/write-file.ts',
    edits: [
      {
        find: "    await failingAs('make safe', dirname(path), fsyncDirectory(dirname(path)));\n",
        replace: '    void fsyncDirectory;\n',
      },
    ],
    caughtBy: [],
  },
  {
    name: 'resumed-at-wrong-place',
    breaks: 'a read that broke off goes on at the start',
    file: 'storage/retrying.ts',
    edits: [{ find: 'offsetBytes: offsetBytes + receivedBytes,', replace: 'offsetBytes,' }],
    caughtBy: [],
  },
  {
    name: 'other-object-taken-for-own',
    breaks: 'a refused write counts as done whatever lies there',
    file: 'storage/retrying.ts',
    edits: [{ find: 'if (Buffer.compare(found.bytes, bytes) !== 0) return undefined;', replace: '' }],
    caughtBy: [],
  },
  {
    name: 'short-read-taken-for-whole',
    breaks: 'a read that ends early counts as whole',
    file: 'storage/retrying.ts',
    edits: [
      { find: 'if (receivedBytes >= promisedBytes) return;', replace: 'if (receivedBytes >= 0) return;' },
    ],
    caughtBy: [],
  },
  {
    name: 'tried-again-after-abort',
    breaks: 'a call that was given up is made again',
    file: 'storage/retry.ts',
    edits: [
      {
        find: '    this.#signal?.throwIfAborted();\n    if (!mayRetry(error)) throw error;',
        replace: '    if (!mayRetry(error)) throw error;',
      },
      {
        find: '      signal?.throwIfAborted();\n      try {\n        return await attempt(attempts.number);',
        replace: '      try {\n        return await attempt(attempts.number);',
      },
      {
        find: '    await this.#tools.clock.sleep(waitMs, this.#signal);',
        replace: '    await this.#tools.clock.sleep(waitMs);',
      },
    ],
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'gap-in-row-accepted',
    breaks: 'a process wins the lease by the gap that a removal left',
    file: 'storage/sequence-register.ts',
    edits: [{ find: ' && (number === 1 || numbers.at(-2) === number - 1);', replace: ';' }],
    caughtBy: [],
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
    caughtBy: [],
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
    caughtBy: [],
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
    caughtBy: [],
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
    caughtBy: [],
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
    caughtBy: [],
  },
  {
    name: 'superseded-generation-continued',
    breaks: 'a process goes on with a generation that another one has written to since',
    file: 'replica/lease/lease.ts',
    edits: [
      { find: "return this.#forsaken === undefined ? 'go-on' : 'begin-anew';", replace: "return 'go-on';" },
    ],
    caughtBy: [],
  },
];

export function mutantOf(name: string): Mutant {
  const mutant = MUTANTS.find((candidate) => candidate.name === name);
  if (mutant === undefined) throw new Error(`there is no mutant "${name}"; see test/mutants/table.ts`);
  return mutant;
}
