import { isLeaseKey } from '../storage/open-register.ts';
import { GENERATIONS_PREFIX, isGeneration } from './names.ts';

/** Whether an object of that key belongs to a replica. A destination may hold files of others beside it. */
export function isReplicaKey(key: string): boolean {
  if (isLeaseKey(key)) return true;
  const [generation = '', ...rest] = key.slice(GENERATIONS_PREFIX.length).split('/');
  return key.startsWith(GENERATIONS_PREFIX) && isGeneration(generation) && rest.length > 0;
}
