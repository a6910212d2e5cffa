/** From what reading comes upon to the damage that people are told of, with what can be restored instead. */
import { isRivuletError, RivuletError } from '../base/errors.ts';
import { brokenChain } from '../generations/broken-chain.ts';
import type { Inventory } from '../generations/inventory.ts';
import { type Generation, parseSegmentName, parseSnapshotName, type Position } from '../generations/names.ts';
import { ChainFault, SnapshotFault } from '../restore/faults.ts';
import type { Damage } from './proof.ts';

/** A hole or a wrong object, as the one who reads finds it. */
export interface Fault {
  readonly key: string;
  /** No chain passes it; undefined when the chain does not need what is damaged. */
  readonly position: Position | undefined;
  readonly problem: string;
  /** What else claims more than there is. */
  readonly claimantKey?: string | undefined;
  readonly cause?: unknown;
}

/** What is wrong with an object; undefined for an error that is not about one. */
export function faultOf(error: unknown): Fault | undefined {
  if (error instanceof ChainFault) {
    const { key, position, claimantKey, message, cause } = error;
    return { key, position, claimantKey, problem: message, cause };
  }
  if (!(error instanceof SnapshotFault)) return undefined;
  return { key: error.key, position: undefined, problem: error.message, cause: error.cause };
}

/** @param inventory - of the whole replica, for what can be restored instead */
export function damageOf(inventory: Inventory, generation: Generation, fault: Fault): Damage {
  const { key, position, problem: reason, cause } = fault;
  const keys = new Set([key, fault.claimantKey].filter((one) => one !== undefined));
  const error = brokenChain(inventory, { generation, from: position, keys, key, reason, cause });
  return { generation, key, index: position?.index ?? indexOf(key), error };
}

/** The damage that planning a restore has found by names; undefined for any other error. */
export function damageOfPlan(error: unknown, generation: Generation | undefined): Damage | undefined {
  if (isRivuletError(error, 'REPLICA_EMPTY')) {
    return { generation: undefined, key: undefined, index: undefined, error };
  }
  if (!isRivuletError(error, 'CHAIN_BROKEN', 'INTEGRITY')) return undefined;
  const key = error.details['key'];
  if (typeof key !== 'string') return { generation, key: undefined, index: undefined, error };
  const [, own] = key.split('/');
  return { generation: own ?? generation, key, index: indexOf(key), error };
}

function indexOf(key: string): number | undefined {
  const name = key.slice(key.lastIndexOf('/') + 1);
  return parseSegmentName(name)?.index ?? parseSnapshotName(name);
}

/** Nothing at all is left where something was stored. */
export function emptied(generation: Generation, location: string): Damage {
  const error = new RivuletError(
    'REPLICA_EMPTY',
    `${location} holds nothing of generation ${generation}, of which it held something`,
  );
  return { generation, key: undefined, index: undefined, error };
}
