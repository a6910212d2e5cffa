/** What an application says of itself at its end. */
export interface WriterReport {
  readonly commits: number;
  readonly errors: readonly string[];
  /** From before BEGIN to after COMMIT, the longest of all. */
  readonly longestMs: number;
}
