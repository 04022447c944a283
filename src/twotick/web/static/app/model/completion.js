/**
 * Which word is being written that can be completed, and by what, as in the terminal app. Pure.
 *
 * @typedef {{sign: string, typed: string, start: number, argument: string}} Word the sign before it, what follows the sign,
 *   its place, and what follows a command
 */

const WORD = /(?:^|\s)(?:([@#])([\w-]*)|(:)(\p{L}[\w-]+))$|^(\/)([\w-]*)(?: (\S*))?$/u;

/** Completions that are shown at a time. */
export const MOST = 8;

/**
 * Return the word before the cursor; null if it is none that can be completed. A command is the first word of a message.
 * @param {string} before the text up to the cursor
 * @returns {Word | null}
 */
export function wordBefore(before) {
  const found = WORD.exec(before);
  if (!found) return null;
  const typed = found[2] ?? found[4] ?? found[6];
  return { sign: found[1] ?? found[3] ?? found[5], typed: typed.toLowerCase(), start: before.length - typed.length - 1, argument: found[7] ?? "" };
}

/**
 * Return the names that begin with a text, or whose display names have a word that does; each name once.
 * @param {string} typed in lower case
 * @param {string[]} names those that fit better come first
 * @param {(name: string) => string} display
 */
export function matching(typed, names, display = () => "") {
  /** @type {Map<string, string>} */
  const found = new Map();
  for (const name of names) {
    const key = name.toLowerCase();
    const words = [key, ...display(name).toLowerCase().split(/\s+/)];
    if (!found.has(key) && words.some((each) => each.startsWith(typed))) found.set(key, name);
    if (found.size === MOST) break;
  }
  return [...found.values()];
}
