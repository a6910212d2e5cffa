/**
 * How much memory a reader asks for. Sizes in a damaged input must not be believed: one number that says 4 GiB and is
 * allocated at once takes the process down. What is counted is what is asked for by size, whether it is freed or not.
 */
export class MemoryMeter {
  #askedBytes = 0;

  get askedBytes(): number {
    return this.#askedBytes;
  }

  #count(size: unknown): void {
    if (typeof size === 'number' && size > 0) this.#askedBytes += size;
  }

  /** Counts while `work` runs. Not to be used by two at a time. */
  async around<T>(work: () => Promise<T> | T): Promise<T> {
    this.#askedBytes = 0;
    const restore = this.#install();
    try {
      return await work();
    } finally {
      restore();
    }
  }

  #install(): () => void {
    const { Uint8Array: array } = globalThis;
    const alloc = Buffer.alloc.bind(Buffer);
    const allocUnsafe = Buffer.allocUnsafe.bind(Buffer);
    const allocUnsafeSlow = Buffer.allocUnsafeSlow.bind(Buffer);
    const before = pick(Buffer);
    globalThis.Uint8Array = new Proxy(array, {
      construct: (target, args: [number], newTarget) => {
        this.#count(args[0]);
        return Reflect.construct(
          target,
          args,
          newTarget === globalThis.Uint8Array ? target : newTarget,
        ) as object;
      },
    });
    Buffer.alloc = (size: number, ...more: []) => (this.#count(size), alloc(size, ...more));
    Buffer.allocUnsafe = (size) => (this.#count(size), allocUnsafe(size));
    Buffer.allocUnsafeSlow = (size) => (this.#count(size), allocUnsafeSlow(size));
    return () => {
      globalThis.Uint8Array = array;
      Object.assign(Buffer, before);
    };
  }
}

function pick({
  alloc,
  allocUnsafe,
  allocUnsafeSlow,
}: Pick<typeof Buffer, 'alloc' | 'allocUnsafe' | 'allocUnsafeSlow'>): object {
  return { alloc, allocUnsafe, allocUnsafeSlow };
}
