/** TLS in front of a server that speaks plain HTTP, with a certificate that can be replaced. */
import { type AddressInfo, connect, type Socket } from 'node:net';
import { createServer, type Server } from 'node:tls';
import type { Identity } from '../../support/certificates.ts';
import { joinSockets } from '../../support/joined-sockets.ts';

export class TlsFront implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(identity: Identity, targetPort: number) {
    this.#server = createServer({ cert: identity.certificate, key: identity.key }, (socket) => {
      const target = connect(targetPort, '127.0.0.1');
      joinSockets(socket, target, this.#sockets);
      socket.pipe(target);
      target.pipe(socket);
    });
    this.#server.on('tlsClientError', () => undefined);
  }

  static async start(identity: Identity, targetUrl: string): Promise<TlsFront> {
    const front = new TlsFront(identity, Number(new URL(targetUrl).port));
    await new Promise<void>((resolve) => front.#server.listen(0, '127.0.0.1', resolve));
    return front;
  }

  get endpoint(): string {
    return `https://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Shows another certificate from now on, and cuts every connection. */
  show(identity: Identity): void {
    this.#server.setSecureContext({ cert: identity.certificate, key: identity.key });
    this.cut();
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
