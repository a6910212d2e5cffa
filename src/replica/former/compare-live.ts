/** Does the live database have what a destination holds? Pure. */
import type { FormerPages } from './former-pages.ts';

/** What was seen of the live database. */
export interface LivePages {
  /** Of each page that the former commits changed; one that is missing is not in the database. */
  readonly digests: ReadonlyMap<number, string>;
  readonly changeCounter: number;
}

/**
 * - `has-all`: the last commit is in the database
 * - `behind`: it is not. `isCertain` is false where the database was written to since, so that its pages may have come to
 *   their earlier content by themselves. `lacked` commits are missing; undefined: nobody knows how many
 * - `unknown`: the pages of the last commits were all written since, or are of another database
 */
export type Standing =
  | { readonly kind: 'has-all' | 'unknown' }
  | {
      readonly kind: 'behind';
      readonly isCertain: boolean;
      readonly lacked: number | undefined;
      /** It may lack more than that: the commits before were not looked at. */
      readonly isLeast: boolean;
    };

interface Evidence {
  /** The last commit that changed anything. */
  readonly last: number;
  /** The last commit of which a page is as that commit left it, and no later one changed it. */
  readonly newest: number;
  /** The last commit of which a page is as that commit left it, although a later one changed it; undefined: none. */
  readonly earlier: number | undefined;
}

function evidenceOf(former: FormerPages, live: LivePages): Evidence {
  let last = 0;
  let newest = 0;
  const earlier: { readonly seen: number; readonly lost: number }[] = [];
  for (const [page, versions] of former.versions) {
    const newestCommit = versions.at(-1)?.commit ?? 0;
    last = Math.max(last, newestCommit);
    const seen = versions.findLast(({ digest }) => digest === live.digests.get(page));
    if (seen === undefined) continue;
    if (seen.commit === newestCommit) newest = Math.max(newest, newestCommit);
    else earlier.push({ seen: seen.commit, lost: newestCommit });
  }
  // A page that a commit before the newest known one changed may have come to its earlier content since.
  const telling = earlier.filter(({ lost }) => lost > newest).map(({ seen }) => seen);
  return { last, newest, earlier: telling.length === 0 ? undefined : Math.max(...telling) };
}

export function compareLive(former: FormerPages, live: LivePages): Standing {
  const { last, newest, earlier } = evidenceOf(former, live);
  const counter = former.changeCounter;
  if (last > 0 && newest === last) return { kind: 'has-all' };
  if (earlier !== undefined) {
    const isCertain = counter === undefined || live.changeCounter <= counter;
    const seen = Math.max(newest, earlier);
    return {
      kind: 'behind',
      isCertain,
      lacked: former.commits - seen,
      isLeast: seen === 0 && !former.isWhole,
    };
  }
  if (counter !== undefined && live.changeCounter < counter)
    return { kind: 'behind', isCertain: true, lacked: undefined, isLeast: true };
  return { kind: 'unknown' };
}
