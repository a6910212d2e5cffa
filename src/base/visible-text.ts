/**
 * Text from outside (objects, servers, programs, other processes, file names) as people may see it. Such text must not
 * move the cursor, recolour or clear a terminal, begin a line of its own, or show in another order than it is stored.
 */

/**
 * Controls (C0, DEL, C1), line and paragraph separators, format characters (bidirectional controls, zero-width
 * characters, tags), other characters that show nothing, and halves of surrogate pairs.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/gu;
const UNSAFE_IN_LINE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/u;

/** No line for people needs more; what is longer was made to fill a terminal or a log. */
export const VISIBLE_LENGTH_MAX = 4_000;

const ELLIPSIS = '...';
const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * One line of at most `lengthMax` UTF-16 units in which everything can be seen: what is unsafe is written as in JSON
 * (`\n`, `\u001b`). The result of a second call is that of the first.
 */
export function visibleText(text: string, lengthMax: number = VISIBLE_LENGTH_MAX): string {
  if (text.length <= lengthMax && isVisible(text)) return text;
  // Escapes only make it longer, so nothing behind this is shown.
  const escaped = text.slice(0, lengthMax + 1).replace(UNSAFE, escapeOf);
  if (text.length <= lengthMax && escaped.length <= lengthMax) return escaped;
  const cut = escaped.slice(0, Math.max(0, lengthMax - ELLIPSIS.length));
  // Neither half of a pair nor half of an escape at the end.
  return cut.replace(/[\uD800-\uDBFF]$|\\u?[0-9a-f]{0,3}$/, '') + ELLIPSIS.slice(0, lengthMax);
}

/** Whether nothing in a text has to be escaped. */
export function isVisible(text: string): boolean {
  return !UNSAFE_IN_LINE.test(text);
}

/**
 * The same for a text of several lines whose line breaks are our own, without a bound. Text that is JSON stays the same
 * JSON: there such characters stand inside strings only.
 */
export function visibleLines(text: string): string {
  return text.replace(UNSAFE, (found) => (found === '\n' ? found : escapeOf(found)));
}

function escapeOf(found: string): string {
  return SHORT_ESCAPES[found] ?? Array.from({ length: found.length }, (_, at) => unitOf(found, at)).join('');
}

/** One UTF-16 unit: JSON has no other escape for what lies outside of the basic plane. */
function unitOf(text: string, at: number): string {
  return `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`;
}
