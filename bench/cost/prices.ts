/** What requests cost at the largest provider, in the unit that its price list has. */

/** The two classes in which Amazon S3 bills requests; deletes are free. */
export interface RequestCounts {
  readonly put: number;
  readonly get: number;
  readonly list: number;
  readonly delete: number;
}

/** US dollars for a thousand requests, Amazon S3 Standard in us-east-1: PUT, COPY, POST and LIST; GET and all others. */
export const PRICES: { readonly writing: number; readonly reading: number } = {
  writing: 0.005,
  reading: 0.0004,
};

const HOURS_PER_MONTH = 730;

/** Of requests that come at this rate each hour, for a month, in US dollars. */
export function dollarsPerMonth({ put, get, list }: RequestCounts): number {
  return (HOURS_PER_MONTH * ((put + list) * PRICES.writing + get * PRICES.reading)) / 1000;
}

/** What was counted in `elapsedMs`, as it would be in an hour. */
export function perHour(counts: RequestCounts, elapsedMs: number): RequestCounts {
  const factor = 3_600_000 / elapsedMs;
  const scaled = (count: number): number => Math.round(count * factor);
  return {
    put: scaled(counts.put),
    get: scaled(counts.get),
    list: scaled(counts.list),
    delete: scaled(counts.delete),
  };
}
