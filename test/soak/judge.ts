/** Asks the thread that judges copies. */
import { Worker } from 'node:worker_threads';
import type { Judgement, Question } from './judge-worker.ts';

export class Judge implements AsyncDisposable {
  readonly #worker = new Worker(new URL('judge-worker.ts', import.meta.url));
  readonly #waiting = new Map<number, PromiseWithResolvers<Judgement>>();
  #lastId = 0;

  constructor() {
    this.#worker.on('message', ({ id, judgement }: { id: number; judgement: Judgement }) => {
      this.#waiting.get(id)?.resolve(judgement);
      this.#waiting.delete(id);
    });
    this.#worker.on('error', (error) => {
      for (const { reject } of this.#waiting.values()) reject(error);
    });
  }

  async judge(question: Question): Promise<Judgement> {
    const id = ++this.#lastId;
    const answer = Promise.withResolvers<Judgement>();
    this.#waiting.set(id, answer);
    this.#worker.postMessage({ id, question });
    return answer.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}
