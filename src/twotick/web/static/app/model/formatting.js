/**
 * The formatting of messages: a small part of Markdown (docs/formatting.md). No character is lost. Pure.
 *
 * @typedef {"strong" | "emphasis" | "code" | "link" | "mention" | "mark" | ""} Style
 * @typedef {{text: string, style: Style, within: Style}} Piece
 * @typedef {{kind: "text" | "quote" | "code" | "fence", pieces: Piece[]}} Line
 */

const escape = (/** @type {string} */ text) => text.replace(/[\\\]^-]/g, "\\$&");
const OPENING = "([{\"'\u00ab\u2018\u201c\u201e";
const CLOSING = ".,:;!?)]}\"'\u00bb\u2019\u201c\u201d\u2026";
const AFTER_LINK = ".,:;!?'\")]}>";

const LINK = "https?://[!-~\\u00a1-\\uffff]+";
const MENTION = "(?<![\\p{L}\\p{N}_])@[A-Za-z0-9]+";
const BEFORE = `(?<![^\\s${escape(OPENING)}])`;
const AFTER = `(?=[${escape(CLOSING)}]*(?:\\s|$))`;
const FIRST = "[^\\s.,:;!?*_`\\/\\\\|~^+=)\\]}>\\-]";

const IN_MARKS = new RegExp(`(?<link>${LINK})|(?<mention>${MENTION})`, "gu");
const IN_LINE = new RegExp(
  `(?<link>${LINK})|(?<mention>${MENTION})` +
    "|(?<!`)(?<code>```[^`]+```|`[^`]+`)(?!`)" +
    `|${BEFORE}\\*(?<strong>${FIRST}[^*]*)(?<!\\s)\\*${AFTER}` +
    `|${BEFORE}_(?<emphasis>${FIRST}[^_]*)(?<!\\s)_${AFTER}`,
  "gu",
);
const FENCE = /^```[A-Za-z0-9+#._-]{0,20} *$/;
const isEnd = (/** @type {string} */ line) => line.replace(/ +$/, "") === "```";

/**
 * Return the lines of a text in pieces. The texts of the pieces together are the line as it was typed.
 * @param {string} text
 * @returns {Line[]}
 */
export function formatText(text) {
  const lines = text.split("\n");
  /** @type {Line[]} */
  const found = [];
  const found_blocks = blocks(lines);
  let [start, end] = found_blocks.shift() ?? [lines.length, lines.length];
  lines.forEach((line, number) => {
    if (number > end) [start, end] = found_blocks.shift() ?? [lines.length, lines.length];
    if (start < number && number < end) found.push({ kind: "code", pieces: [piece(line, "code")] });
    else if (number === start || number === end) found.push({ kind: "fence", pieces: [piece(line, "mark")] });
    else if (line.startsWith("> ") && line.trim() !== ">")
      found.push({ kind: "quote", pieces: [piece("> ", "mark"), ...inLine(line.slice(2))] });
    else found.push({ kind: "text", pieces: inLine(line) });
  });
  return found;
}

/**
 * Return the blocks of code: the numbers of their first and last lines.
 * @param {string[]} lines
 * @returns {[number, number][]}
 */
function blocks(lines) {
  /** @type {[number, number][]} */
  const found = [];
  let opened = -1;
  let closing = -1;
  lines.forEach((line, number) => {
    if (isEnd(line)) closing = number;
  });
  for (let number = 0; number <= closing; number++) {
    if (opened < 0) opened = FENCE.test(lines[number]) ? number : -1;
    else if (isEnd(lines[number]) && number > opened + 1) {
      found.push([opened, number]);
      opened = -1;
    }
  }
  return found;
}

/**
 * @param {string} text
 * @param {Style} style
 * @param {Style} [within]
 * @returns {Piece}
 */
const piece = (text, style, within = "") => ({ text, style, within });

/**
 * @param {string} line
 * @returns {Piece[]}
 */
function inLine(line) {
  /** @type {Piece[]} */
  const pieces = [];
  let done = 0;
  IN_LINE.lastIndex = 0;
  for (let found = IN_LINE.exec(line); found; found = IN_LINE.exec(line)) {
    const groups = found.groups ?? {};
    const kind = /** @type {Style} */ (Object.keys(groups).find((name) => groups[name] !== undefined) ?? "");
    const start = found.index;
    const end = start + (kind === "link" ? link(found[0]) : found[0]).length;
    if (done < start) pieces.push(piece(line.slice(done, start), ""));
    if (kind === "link" || kind === "mention") pieces.push(piece(line.slice(start, end), kind));
    else pieces.push(...marked(found[0], kind));
    done = end;
  }
  if (done < line.length || !line) pieces.push(piece(line.slice(done), ""));
  return pieces;
}

/**
 * @param {string} text
 * @param {Style} kind
 * @returns {Piece[]}
 */
function marked(text, kind) {
  const marks = text.startsWith("```") ? 3 : 1;
  const inside = text.slice(marks, -marks);
  const middle = kind === "code" ? [piece(inside, "code")] : standingOut(inside, kind);
  return [piece(text.slice(0, marks), "mark"), ...middle, piece(text.slice(-marks), "mark")];
}

/**
 * @param {string} text
 * @param {Style} within
 * @returns {Piece[]}
 */
function standingOut(text, within) {
  /** @type {Piece[]} */
  const pieces = [];
  let done = 0;
  IN_MARKS.lastIndex = 0;
  for (let found = IN_MARKS.exec(text); found; found = IN_MARKS.exec(text)) {
    const kind = found.groups?.link === undefined ? "mention" : "link";
    const shown = kind === "link" ? link(found[0]) : found[0];
    if (done < found.index) pieces.push(piece(text.slice(done, found.index), within));
    pieces.push(piece(shown, kind, within));
    done = found.index + shown.length;
  }
  if (done < text.length || !text) pieces.push(piece(text.slice(done), within));
  return pieces;
}

/**
 * Return a web address without the punctuation after it. A bracket that the address has opened belongs to it.
 * @param {string} text
 */
function link(text) {
  let surplus = text.split(")").length - text.split("(").length;
  let end = text.length;
  while (AFTER_LINK.includes(text[end - 1])) {
    if (text[end - 1] === ")") {
      if (surplus <= 0) break;
      surplus--;
    }
    end--;
  }
  return text.slice(0, end);
}
