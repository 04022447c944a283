/**
 * The texts of the page in the user's language, and its numbers and times.
 */
import english from "./en.js";

/** The languages that have texts. */
export const LANGUAGES = ["en", "de", "fr", "es", "hi"];

/** @typedef {keyof typeof english | keyof typeof import("./more/en.js").default} TextKey */

/** @type {Record<string, string>} */
let texts = english;
let language = "en";
let hasMore = false;
let locale = navigator.languages.slice();

/**
 * Load the texts of a language.
 * @param {string} wanted its code; empty for that of the browser
 */
export async function useLanguage(wanted) {
  const asked = wanted ? [wanted] : navigator.languages;
  const found = asked.map((each) => each.slice(0, 2).toLowerCase()).find((each) => LANGUAGES.includes(each)) ?? "en";
  const next = { ...english, ...(hasMore ? await more(found) : {}), ...(found === "en" ? {} : /** @type {any} */ (await import(`./${found}.js`)).default) };
  locale = wanted ? [wanted] : navigator.languages.slice();
  texts = next;
  document.documentElement.lang = language = found;
}

/**
 * Return the texts of the parts that are loaded when they are needed.
 * @param {string} wanted
 */
async function more(wanted) {
  const load = async (/** @type {string} */ each) => (await import(`./more/${each}.js`)).default;
  return { ...(await load("en")), ...(wanted === "en" ? {} : await load(wanted)) };
}

/**
 * Return a part of the page when it and its texts are loaded.
 * @template T
 * @param {Promise<T>} part
 * @returns {Promise<T>}
 */
export async function withTexts(part) {
  if (!hasMore) {
    texts = { ...(await more(language)), ...texts };
    hasMore = true;
  }
  return part;
}

/**
 * Return a text, with values in the places of their names in braces.
 * @param {TextKey} key
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function t(key, values = {}) {
  return texts[key].replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/**
 * Return a text that depends on a number.
 * @param {string} key has texts for `one` and `other`
 * @param {number} n
 */
export const plural = (key, n) =>
  t(/** @type {TextKey} */ (`${key}.${new Intl.PluralRules(locale).select(n) === "one" ? "one" : "other"}`), { n });

/** @param {number} time in milliseconds since 1970 */
export const clockText = (time) => new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" }).format(time);

/** @param {number} time in milliseconds since 1970 */
export const fullText = (time) => new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short" }).format(time);

/**
 * Return a day: today, yesterday, a day of the week, or a date.
 * @param {number} time in milliseconds since 1970
 */
export function dayText(time) {
  const days = daysAgo(time);
  if (days === 0 || days === 1) return capital(new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(-days, "day"));
  if (days > 1 && days < 7) return new Intl.DateTimeFormat(locale, { weekday: "long" }).format(time);
  return new Intl.DateTimeFormat(locale, { dateStyle: "long" }).format(time);
}

/**
 * Return a time as a list shows it: the time of today, or the day.
 * @param {number} time in milliseconds since 1970
 */
export function shortText(time) {
  const days = daysAgo(time);
  if (days === 0) return clockText(time);
  if (days > 0 && days < 7) return new Intl.DateTimeFormat(locale, { weekday: "short" }).format(time);
  return new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" }).format(time);
}

/**
 * Return a time as a list of messages shows it: the time of today, or the day and the time.
 * @param {number} time in milliseconds since 1970
 */
export const whenText = (time) => (daysAgo(time) === 0 ? clockText(time) : `${shortText(time)} ${clockText(time)}`);

/** @param {string} text */
const capital = (text) => text.charAt(0).toLocaleUpperCase(locale) + text.slice(1);

/** @param {number} time */
function daysAgo(time) {
  const midnight = (/** @type {number} */ when) => new Date(when).setHours(0, 0, 0, 0);
  return Math.round((midnight(Date.now()) - midnight(time)) / 86400_000);
}
