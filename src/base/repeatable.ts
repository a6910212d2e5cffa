/** Sequences whose values are made when their turn comes, and again each time that somebody goes through them. */

/** All of the first, then all of the next. */
export function joined<T>(parts: readonly Iterable<T>[]): Iterable<T> {
  return {
    *[Symbol.iterator]() {
      for (const part of parts) yield* part;
    },
  };
}

/** What `make` makes of each value. */
export function mapped<From, To>(values: Iterable<From>, make: (value: From) => To): Iterable<To> {
  return {
    *[Symbol.iterator]() {
      for (const value of values) yield make(value);
    },
  };
}
