/** Two ends of a way through a test's own server: when one is gone, so is the other. */
import type { Socket } from 'node:net';

/** @param sockets - has both as long as they are open */
export function joinSockets(one: Socket, other: Socket, sockets: Set<Socket>): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    sockets.add(from);
    from.on('error', () => to.destroy());
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  }
}
