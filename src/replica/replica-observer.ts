/** Facts that a replica tells as they happen; the daemon turns them into metrics and health. */
import type { Position } from '../generations/names.ts';
import type { DutyKind } from './schedule.ts';

export interface ReplicaObserver {
  /** So many log bytes were stored; everything before `position` is confirmed now. */
  onSegment(bytes: number, position: Position): void;
  onSnapshot(databaseBytes: number, objectBytes: number): void;
  onValidation(ok: boolean): void;
  /** A proof that the destination restores has ended. */
  onProof?(depth: 'quick' | 'full', outcome: 'proven' | 'broken' | 'inconclusive'): void;
  /** What is done beside the shipping has failed; it is tried again. */
  onDutyFailed?(duty: DutyKind): void;
  onFailure(error: unknown): void;
  onRecovery(): void;
}

export const noReplicaObserver: ReplicaObserver = {
  onSegment: () => undefined,
  onSnapshot: () => undefined,
  onValidation: () => undefined,
  onFailure: () => undefined,
  onRecovery: () => undefined,
};
