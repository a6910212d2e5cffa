/** What an application's own TRUNCATE checkpoints may feel of Rivulet. */
import assert from 'node:assert/strict';
import type { TruncatingReport } from '../../support/applications/settings.ts';

/** Beside what the longest one takes alone. The guide promises 250 ms; test machines are busy. */
const LONGER_MS_MAX = 1_000;

export function assertUnhindered(felt: TruncatingReport, alone: TruncatingReport): void {
  const both = JSON.stringify({ felt, alone });
  assert.equal(felt.failed, 0, both);
  assert.ok(felt.longestMs <= alone.longestMs + LONGER_MS_MAX, both);
}
