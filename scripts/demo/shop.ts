/** The application, as the demo sees it. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import type { FromApplication, ToApplication } from './application.ts';
import { end, track } from './children.ts';

const PROGRAM = fileURLToPath(new URL('application.ts', import.meta.url));

export class Shop {
  readonly #child: ChildProcess;
  #latest: FromApplication = { transactions: 0, rows: 0, paused: false };

  constructor(databasePath: string) {
    this.#child = track(fork(PROGRAM, [databasePath], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }));
    this.#child.on('message', (message: FromApplication) => (this.#latest = message));
  }

  /** What was committed, as of its latest report. */
  get latest(): FromApplication {
    return this.#latest;
  }

  /** Resolves when the tables are there. */
  async ready(): Promise<void> {
    await this.#until(({ transactions }) => transactions > 0);
  }

  /** Resolves when nothing more is written until `resume`. */
  async pause(): Promise<void> {
    this.#tell('pause');
    await this.#until(({ paused }) => paused);
  }

  resume(): void {
    this.#tell('resume');
  }

  /** As a crash does it: without a chance to say goodbye. */
  async kill(): Promise<void> {
    await end(this.#child, 'SIGKILL');
  }

  #tell(message: ToApplication): void {
    this.#child.send(message);
  }

  async #until(condition: (latest: FromApplication) => boolean): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const check = (): void => {
        if (!condition(this.#latest)) return;
        this.#child.off('message', check);
        resolve();
      };
      this.#child.on('message', check);
      this.#child.once('exit', () => reject(new Error('the application of the demo ended early')));
    });
  }
}
