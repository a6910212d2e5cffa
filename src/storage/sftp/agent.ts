/** An ssh-agent whose connections are ours: one that never answers would hold the process open for ever. */
import type { BaseAgent, ParsedKey, SignCallback, SigningRequestOptions } from 'ssh2';
import { SHA1_ONLY, signsBySha1 } from './weak-signature.ts';

/** `ssh2`'s way to the agent behind a socket. */
export type CreateAgent = (path: string) => BaseAgent;

export interface OwnedAgent {
  readonly agent: BaseAgent;
  /** Ends every connection to the agent. */
  close(): void;
}

interface Stream {
  once(event: 'close', listener: () => void): unknown;
  destroy(): unknown;
}

export function ownAgent(createAgent: CreateAgent, path: string): OwnedAgent {
  const agent = createAgent(path);
  const streams = new Set<Stream>();
  const getStream = agent.getStream?.bind(agent);
  if (getStream !== undefined) {
    agent.getStream = (callback) =>
      getStream((error, stream) => {
        if (stream !== undefined) {
          streams.add(stream);
          stream.once('close', () => streams.delete(stream));
        }
        callback(error, stream);
      });
  }
  refuseSha1(agent);
  return {
    agent,
    close: () => {
      for (const stream of streams) stream.destroy();
    },
  };
}

function refuseSha1(agent: BaseAgent): void {
  const sign = agent.sign.bind(agent) as (
    key: ParsedKey,
    data: Buffer,
    options: SigningRequestOptions,
    callback?: SignCallback,
  ) => void;
  agent.sign = (key: unknown, data: Buffer, options: unknown, callback?: SignCallback): void => {
    const given = options as SigningRequestOptions;
    if (signsBySha1(given.hash)) callback?.(new Error(SHA1_ONLY));
    else sign(key as ParsedKey, data, given, callback);
  };
}
