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

/** @param {string} text */
export function t(text) {
  return texts[text] ?? text;
}
