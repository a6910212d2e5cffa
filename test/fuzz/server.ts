/** A server on loopback that answers with whatever the fuzzer says. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: Uint8Array | string;
}

export interface FuzzServer {
  readonly port: number;
  /** Decides each answer; requests are counted from 1 since it was set. */
  answer: (request: { readonly number: number; readonly method: string; readonly url: string }) => Answer;
}

async function start(): Promise<FuzzServer> {
  let number = 0;
  let decide: FuzzServer['answer'] = () => ({ status: 500, type: 'text/plain', body: '' });
  const server: Server = createServer((request, response) => {
    request.resume();
    const { status, type, body } = decide({
      number: ++number,
      method: request.method ?? '',
      url: request.url ?? '',
    });
    send(response, status, type, body);
  });
  server.on('connection', (socket) => socket.unref());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // It ends with the process, and does not keep it.
  server.unref();
  return {
    port: (server.address() as AddressInfo).port,
    get answer() {
      return decide;
    },
    set answer(next) {
      number = 0;
      decide = next;
    },
  };
}

function send(response: ServerResponse, status: number, type: string, body: Uint8Array | string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

let running: Promise<FuzzServer> | undefined;

/** One for all targets of a process: they run one after another. */
export async function fuzzServer(): Promise<FuzzServer> {
  return (running ??= start());
}

/** `STATUS` on the first line, then the body; 200 when the first line is no status that a server may send. */
export function splitAnswer(input: Uint8Array): { status: number; body: Uint8Array } {
  const end = input.indexOf(0x0a);
  const first = Buffer.from(input.subarray(0, Math.max(0, end))).toString('latin1');
  const status = /^[2-5]\d\d$/.test(first) ? Number(first) : 200;
  // These have no body.
  return { status: [204, 205, 304].includes(status) ? 200 : status, body: input.subarray(end + 1) };
}

export function answerText(status: number, body: string): Uint8Array {
  return new TextEncoder().encode(`${status}\n${body}`);
}
