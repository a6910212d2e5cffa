/** What the parts of the conformance suite share. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { ObjectInfo, ObjectStore, ReadOptions } from '../../../src/storage/object-store.ts';

/** What the suite takes for granted of a backend, and how much it asks of a slow one. */
export interface Expectations {
  /** How far the store's clock may be from this machine's. */
  readonly clockToleranceMs: number;
  /** How far the time that a write resolves to may be from the one in a listing. */
  readonly writeTimeToleranceMs: number;
  /** How many objects a long listing or removal has; more than a page of the service (1,000 with S3). */
  readonly manyKeys: number;
  /** Size of the large objects; more than two parts of an upload in parts. */
  readonly bigObjectBytes: number;
  /** Writers at once where only one may win. */
  readonly racers: number;
  /** False where the service takes a backslash for a slash, so that the store must refuse it. */
  readonly backslashes: boolean;
}

/** Declares one test, which is given an empty store. */
export type DeclareTest = (
  title: string,
  run: (store: ObjectStore, context: TestContext) => Promise<void>,
) => void;

/** Everything that `source` gives. */
export async function gather<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of source) all.push(item);
  return all;
}

export async function infos(store: ObjectStore, prefix = '', signal?: AbortSignal): Promise<ObjectInfo[]> {
  return gather(store.list(prefix, { signal }));
}

/** Sorted: a listing may come in any order. */
export async function listed(store: ObjectStore, prefix: string, signal?: AbortSignal): Promise<string[]> {
  return (await infos(store, prefix, signal)).map((info) => info.key).sort();
}

export async function readAll(store: ObjectStore, key: string, options: ReadOptions = {}): Promise<Buffer> {
  return Buffer.concat(await gather(store.read(key, options)));
}

export async function textOf(store: ObjectStore, key: string): Promise<string> {
  return Buffer.from(await store.readBytes(key)).toString();
}

/** Writes each key with itself as content, a few at once. */
export async function writeAll(store: ObjectStore, keys: readonly string[]): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < keys.length) {
      const key = keys[next++]!;
      await store.write(key, Buffer.from(key));
    }
  };
  await Promise.all(Array.from({ length: 16 }, work));
}

export async function* chunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** A name that sorts as its number does. */
export function keyed(number: number): string {
  return number.toString(16).padStart(8, '0');
}

export function assertSameTime(actual: Date, expected: Date, toleranceMs: number): void {
  const apartMs = Math.abs(actual.getTime() - expected.getTime());
  assert.ok(
    apartMs <= toleranceMs,
    `${actual.toISOString()} is not ${expected.toISOString()}: ${apartMs} ms`,
  );
}
