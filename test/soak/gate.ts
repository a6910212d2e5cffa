/** The way to a server on loopback, which can be closed: nobody listens then, and connections are cut off. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { joinSockets } from '../support/joined-sockets.ts';

export class Gate implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;

  constructor(targetPort: number) {
    this.#server = createServer((socket) => {
      const onward = connect(targetPort, '127.0.0.1');
      joinSockets(socket, onward, this.#sockets);
      socket.pipe(onward);
      onward.pipe(socket);
    });
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async open(): Promise<void> {
    if (this.#server.listening) return;
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    // Not reset: with both ends of a pipe reset the process spun afterwards and did not end.
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
