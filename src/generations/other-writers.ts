/** Who else writes to a replica: the lease keeps away those who know it, and names show the others. */
import { generationOf, type Inventory } from './inventory.ts';
import type { Generation } from './names.ts';

/**
 * Generations that have got something since `own` began. A generation's writer begins another one only when it is done with
 * it, so somebody else wrote them: a program without leases, such as Litestream, on a copy of the database or beside us.
 */
export function otherWriters(inventory: Inventory, own: Generation): Generation[] {
  const ours = generationOf(inventory, own);
  if (ours === undefined) return [];
  return inventory.generations
    .filter(({ generation, snapshots, segments, updatedAt }) => {
      const hasContent = snapshots.length + segments.length > 0;
      return generation !== own && hasContent && updatedAt > ours.startedAt;
    })
    .map(({ generation }) => generation);
}
