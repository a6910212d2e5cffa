/**
 * How many bytes of an upload are safe, from the `Range` of an answer 308, as in `bytes=0-42`; none where there is no
 * such header. Undefined when it says something else.
 */
export function persistedBytesOf(range: string | undefined): number | undefined {
  if (range === undefined) return 0;
  const last = /^bytes=0-(\d+)$/.exec(range)?.[1];
  return last === undefined ? undefined : Number(last) + 1;
}
