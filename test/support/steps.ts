/** Tries every order in which several processes can make their steps. */
import type { Conditions, ObjectStore } from '../../src/storage/object-store.ts';

interface Waiting {
  readonly process: number;
  go(): void;
}

/**
 * Lets processes make one step at a time. Which one is next is told by a list of choices; where it ends, the first that
 * can is taken, and what could have been chosen is noted.
 */
export class Steps {
  readonly #choices: readonly number[];
  /** At each step: how many processes could have made one. */
  readonly open: number[] = [];
  #waiting: Waiting[] = [];
  #running: number;

  constructor(choices: readonly number[], processes: number) {
    this.#choices = choices;
    this.#running = processes;
  }

  /** Waits for this process's turn. */
  async turn(process: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.push({ process, go: resolve });
      this.#running--;
      this.#next();
    });
  }

  ended(): void {
    this.#running--;
    this.#next();
  }

  #next(): void {
    if (this.#running > 0 || this.#waiting.length === 0) return;
    const ready = this.#waiting.toSorted((a, b) => a.process - b.process);
    const choice = this.#choices[this.open.length] ?? 0;
    this.open.push(ready.length);
    const chosen = ready[choice] as Waiting;
    this.#waiting = ready.filter((one) => one !== chosen);
    this.#running++;
    chosen.go();
  }
}

/** The choices to try after these, depth first; undefined when all were tried. */
function following(choices: readonly number[], open: readonly number[]): number[] | undefined {
  const made = open.map((_, at) => choices[at] ?? 0);
  for (let at = made.length - 1; at >= 0; at--) {
    const next = (made[at] as number) + 1;
    if (next < (open[at] as number)) return [...made.slice(0, at), next];
  }
  return undefined;
}

/**
 * Runs a scene in every order of its processes' steps.
 *
 * @param processes - made anew for each order; each gets its turns from `steps`
 * @param check - called when all of them have ended
 * @returns how many orders there were
 */
export async function inEveryOrder(
  make: (turn: (process: number) => Promise<void>) => {
    readonly processes: readonly (() => Promise<void>)[];
    readonly check: (order: readonly number[]) => void;
  },
  ordersMax: number,
): Promise<number> {
  let choices: number[] | undefined = [];
  let orders = 0;
  while (choices !== undefined) {
    if (++orders > ordersMax) throw new Error(`there are more than ${ordersMax} orders`);
    let steps: Steps | undefined;
    const { processes, check } = make(async (process) => steps?.turn(process));
    steps = new Steps(choices, processes.length);
    const running = steps;
    await Promise.all(
      processes.map(async (process) => {
        try {
          await process();
        } finally {
          running.ended();
        }
      }),
    );
    check(choices);
    choices = following(choices, steps.open);
  }
  return orders;
}

/** `store` as one process sees it: each call waits for its turn. */
export function steppedStore(
  store: ObjectStore,
  conditions: Conditions,
  turn: () => Promise<void>,
): ObjectStore {
  return {
    type: store.type,
    location: store.location,
    conditions,
    async *list(prefix, options) {
      await turn();
      yield* store.list(prefix, options);
    },
    async listFolders(prefix, options) {
      await turn();
      return store.listFolders(prefix, options);
    },
    async *read(key, options) {
      await turn();
      yield* store.read(key, options);
    },
    async readBytes(key, options) {
      await turn();
      return store.readBytes(key, options);
    },
    async readVersioned(key, options) {
      await turn();
      return store.readVersioned(key, options);
    },
    async write(key, body, options) {
      await turn();
      return store.write(key, body, options);
    },
    async remove(keys, options) {
      await turn();
      await store.remove(keys, options);
    },
    close: async () => undefined,
  };
}
