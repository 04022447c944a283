// The page's texts in the user's language. The English text is the key, so English loads nothing.

const LANGUAGES = ["en", "de", "fr", "es", "hi"];

const chosen = navigator.languages.map((each) => each.slice(0, 2).toLowerCase()).find((each) => LANGUAGES.includes(each)) ?? "en";

/** @type {Record<string, string>} */
let texts = {};

export function language() {
  return chosen;
}

export async function load() {
  if (chosen !== "en") texts = await fetch(`/admin/texts/${chosen}.json`).then((answer) => answer.json()).catch(() => ({}));
}

/**
 * @param {string} text
 * @param {Record<string, string>} details what to put into it
 */
export function t(text, details = {}) {
  return (texts[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => details[name] ?? whole);
}
