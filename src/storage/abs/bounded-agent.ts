/**
 * Connections to Azure whose answers end. The client of the SDK reads listings and errors whole, whatever they are, and has
 * no place to say how long they may be; so it is given connections of ours, which look at each answer as it comes.
 */
import { type AgentOptions, type ClientRequest, Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { RequestPolicyFactory } from '@azure/storage-blob';

/** Of listings and errors: a page has 5,000 names, each 1,024 characters at most. */
const ANSWER_BYTES_MAX = 32 * 1024 * 1024;

const OPTIONS = {
  keepAlive: true,
  // HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as Node.js reads them.
  proxyEnv: process.env,
} as const;

/** What Node.js calls for each request; it is no part of the types. */
interface AgentInside {
  addRequest(request: ClientRequest, ...more: unknown[]): void;
}

/** Whether this is the content of an object, over which its reader watches. */
function isObject({ method, path }: ClientRequest, { statusCode }: IncomingMessage): boolean {
  const query = new URLSearchParams(path.split('?')[1] ?? '');
  return method === 'GET' && !query.has('comp') && (statusCode === 200 || statusCode === 206);
}

/** Ends every answer of `agent` that goes on for longer than it may. */
function bounded<T extends HttpAgent>(agent: T): T {
  const inside = agent as unknown as AgentInside;
  const addRequest = inside.addRequest.bind(agent);
  inside.addRequest = (request, ...more) => {
    request.prependOnceListener('response', (response: IncomingMessage) => {
      if (!isObject(request, response)) endAfter(response, ANSWER_BYTES_MAX);
    });
    addRequest(request, ...more);
  };
  return agent;
}

function endAfter(response: IncomingMessage, maxBytes: number): void {
  const push = response.push.bind(response);
  let lengthBytes = 0;
  response.push = (chunk: Uint8Array | null, encoding?: BufferEncoding): boolean => {
    lengthBytes += chunk?.length ?? 0;
    if (lengthBytes <= maxBytes) return push(chunk, encoding);
    response.destroy(new Error(`the answer is longer than ${maxBytes} bytes`));
    return false;
  };
}

/** One for all clients of the process; idle connections do not keep it alive. */
const agents: { http?: HttpAgent; https?: HttpsAgent } = {};

function agentFor(url: string): HttpAgent {
  const options: AgentOptions = OPTIONS;
  return url.startsWith('https:')
    ? (agents.https ??= bounded(new HttpsAgent(options)))
    : (agents.http ??= bounded(new HttpAgent(options)));
}

/** To be put in a pipeline of the SDK. */
export const boundedConnections: RequestPolicyFactory = {
  create: (next) => ({
    sendRequest: async (request) => {
      request.agent = agentFor(request.url);
      return next.sendRequest(request);
    },
  }),
};
