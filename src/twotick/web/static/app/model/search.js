/**
 * What users type to search: words, and filters such as `from:bob` (docs/protocol.md, rules 14.5 and 14.8). It means
 * the same as in the terminal app. Pure.
 *
 * @typedef {object} Search
 * @property {Record<string, string>} headers the headers of the SEARCH
 * @property {string} query its body
 * @property {string[]} words the words and phrases, as the user typed them
 */
import { isName, isRoom } from "../protocol/words.js";

/** The filters, with what follows them as an example. */
export const FILTERS = { from: "from:bob", in: "in:#team", before: "before:2026-11", after: "after:yesterday", file: "has:file" };

const LONGEST = 256;
const TOKEN = /"([^"]*)"?|[^\s"]+/g;
const FILTER = /^(from|in|before|after|has):(.*)$/is;
const DATE = /^(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?$/;
const AGO = /^(\d{1,9})([smhdw])$/i;
const UNITS = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };
const HEADERS = { from: "From", in: "In", before: "Until", after: "Since", has: "Has" };

/** What was typed is not understood: `key` is that of the text that says what to type. */
export class SearchError extends Error {
  /**
   * @param {"empty" | "from" | "in" | "day" | "has" | "twice" | "long"} kind
   * @param {string} [filter]
   */
  constructor(kind, filter = "") {
    super(kind);
    this.key = /** @type {const} */ (`search.bad.${kind}`);
    this.filter = filter;
  }
}

/**
 * Return what a user searches for.
 * @param {string} text
 * @param {string} me the user's name, for `from:me`
 * @param {number} now in milliseconds since 1970
 * @returns {Search}
 * @throws {SearchError}
 */
export function parseSearch(text, me, now) {
  /** @type {Record<string, string>} */
  const headers = {};
  /** @type {string[]} */
  const words = [];
  /** @type {string[]} */
  const query = [];
  for (const [token, phrase] of text.replaceAll("\0", " ").matchAll(TOKEN)) {
    const [, kind, value = ""] = FILTER.exec(token) ?? [];
    if (kind) {
      const name = /** @type {keyof typeof HEADERS} */ (kind.toLowerCase());
      if (HEADERS[name] in headers) throw new SearchError("twice", name);
      headers[HEADERS[name]] = valueOf(name, value, me, now);
    } else if (phrase === undefined) {
      words.push(token.replace(/\*+$/, ""));
      query.push(/[\p{L}\p{N}\p{M}]$/u.test(token) ? `${token}*` : token);
    } else if (phrase.trim()) {
      words.push(phrase);
      query.push(`"${phrase}"`);
    }
  }
  if (!query.length && !Object.keys(headers).length) throw new SearchError("empty");
  const joined = query.join(" ");
  if ([...joined].length > LONGEST) throw new SearchError("long");
  return { headers, query: joined, words };
}

/**
 * @param {keyof typeof HEADERS} name
 * @param {string} value
 * @param {string} me
 * @param {number} now
 */
function valueOf(name, value, me, now) {
  const bare = value.replace(/^@/, "");
  if (name === "from") {
    const sender = bare.toLowerCase() === "me" ? me : bare;
    if (!isName(sender)) throw new SearchError("from");
    return sender;
  }
  if (name === "in") {
    if (!isName(bare) && !isRoom(bare)) throw new SearchError("in");
    return bare;
  }
  if (name === "has") {
    if (!/^files?$/i.test(value)) throw new SearchError("has");
    return "file";
  }
  const time = timeOf(value, now);
  if (!Number.isFinite(time)) throw new SearchError("day", name);
  return new Date(time).toISOString();
}

/**
 * Return the time that a user means: the beginning of a day, month or year, a time, or so long ago; NaN for none.
 * @param {string} value
 * @param {number} now
 */
function timeOf(value, now) {
  const today = new Date(now);
  today.setHours(0, 0, 0, 0);
  if (value.toLowerCase() === "today") return today.getTime();
  if (value.toLowerCase() === "yesterday") return today.setDate(today.getDate() - 1);
  const [, year, month = "1", day = "1"] = DATE.exec(value) ?? [];
  if (year) {
    const found = new Date(Number(year), Number(month) - 1, Number(day));
    return found.getMonth() === Number(month) - 1 && found.getDate() === Number(day) ? found.getTime() : NaN;
  }
  const [, count, unit] = AGO.exec(value) ?? [];
  if (count) return now - Number(count) * UNITS[/** @type {keyof typeof UNITS} */ (unit.toLowerCase())] * 1000;
  const time = /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : NaN;
  return Math.abs(time) < 8.64e15 ? time : NaN;
}

/**
 * Return the part of a text around the first of some words, in pieces of which every second one is such a word.
 * @param {string} text
 * @param {string[]} words
 * @returns {string[]}
 */
export function excerpt(text, words) {
  const line = text.replace(/\s+/g, " ");
  const wanted = words.filter(Boolean).map((each) => each.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = wanted.length ? new RegExp(`(${wanted.join("|")})`, "giu") : null;
  const at = pattern ? line.search(pattern) : -1;
  const start = at > 40 ? at - 30 : 0;
  const part = `${start ? "…" : ""}${line.slice(start, start + 200)}`;
  return pattern ? part.split(pattern) : [part];
}
