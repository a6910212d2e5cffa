const TEXT_LENGTH_MAX = 100;

/**
 * The candidate that somebody who typed `text` most likely meant, or undefined when none is near. Case and the
 * difference between `_` and `-` cost nothing; at most a third of the letters may be wrong.
 */
export function suggest(text: string, candidates: Iterable<string>): string | undefined {
  // Nobody mistypes a key of this length, and the work grows with it.
  if (text.length > TEXT_LENGTH_MAX) return undefined;
  const wanted = normalize(text);
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, normalize(candidate));
    if (distance >= bestDistance) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}

function normalize(text: string): string {
  return text.toLowerCase().replaceAll('_', '-');
}

/** How many letters must be inserted, removed, replaced or swapped with their neighbour to turn `a` into `b`. */
export function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      const removed = (previous[column] ?? 0) + 1;
      const inserted = (current[column - 1] ?? 0) + 1;
      const swapped = isSwap(a, b, row, column) ? (beforePrevious[column - 2] ?? 0) + 1 : Infinity;
      current.push(Math.min(replaced, removed, inserted, swapped));
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}

function isSwap(a: string, b: string, row: number, column: number): boolean {
  return row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
}
