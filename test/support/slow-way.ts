/** A way to a server on loopback that carries only so many bytes a second towards it. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { joinSockets } from './joined-sockets.ts';

export class SlowWay implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** May change at any time; infinite is as fast as can be. */
  bytesPerSecond: number;
  /** When all that was let through so far would have arrived at that rate. */
  #freeAtMs = 0;

  private constructor(targetPort: number, bytesPerSecond: number) {
    this.bytesPerSecond = bytesPerSecond;
    this.#server = createServer((socket) => this.#join(socket, connect(targetPort, '127.0.0.1')));
  }

  /** @param endpoint - of the server behind it, `http://HOST:PORT` */
  static async open(endpoint: string, bytesPerSecond: number): Promise<SlowWay> {
    const way = new SlowWay(Number(new URL(endpoint).port), bytesPerSecond);
    way.#server.listen(0, '127.0.0.1');
    await once(way.#server, 'listening');
    return way;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #join(socket: Socket, onward: Socket): void {
    joinSockets(socket, onward, this.#sockets);
    onward.pipe(socket);
    void this.#carry(socket, onward);
  }

  async #carry(from: Socket, to: Socket): Promise<void> {
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        await this.#turn(chunk.length);
        if (!to.write(chunk)) await Promise.race([once(to, 'drain'), once(to, 'close')]);
      }
      to.end();
    } catch {
      // One of the two ends is gone, and takes the other with it.
      to.destroy();
    }
  }

  /** All connections share the rate. */
  async #turn(bytes: number): Promise<void> {
    const nowMs = performance.now();
    this.#freeAtMs = Math.max(nowMs, this.#freeAtMs) + (1000 * bytes) / this.bytesPerSecond;
    const waitMs = this.#freeAtMs - nowMs;
    if (waitMs > 0) await delay(waitMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
