/**
 * Names and texts of others as the page shows them. Pure.
 */

const COLOURS = 12;

/**
 * Return the number of the colour of a name: always the same, however the name is written.
 * @param {string} name
 */
export function colourOf(name) {
  let hash = 2166136261;
  for (const letter of name.toLowerCase()) hash = Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 16777619) >>> 0;
  return hash % COLOURS;
}

/**
 * Return the letters of an avatar.
 * @param {string} name
 */
export const initials = (name) => name.replace(/^#/, "").slice(0, 2).toUpperCase();

const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5]|[\u{e0000}-\u{e0fff}]|[\ud800-\udfff]/gu;
const MARKS = /(\p{M}{4})\p{M}+/gu;

/**
 * Return a text of another user with its control characters made visible, so that nothing in it is hidden or turns the
 * direction of what stands around it.
 * @param {string} text
 */
export function visible(text) {
  if (/^[\n\x20-\x7e]*$/.test(text)) return text;
  return text
    .replace(/\r\n/g, "\n")
    .replace(HIDDEN, (each) => `<U+${(each.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}>`)
    .replace(MARKS, "$1");
}

/**
 * Return a size in words.
 * @param {number} bytes
 */
export function sizeText(bytes) {
  const units = ["B", "KB", "MB", "GB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
