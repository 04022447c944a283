/**
 * Frames to bytes and back (docs/protocol.md, section 2). Pure: no socket, no clock.
 */

const HEAD_LIMIT = 8192;
const LINE_FEED = 10;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const EMPTY = new Uint8Array(0);

/** The bytes break a rule of the protocol, so it is unknown where the next frame begins (rule 2.8). */
export class ProtocolError extends Error {}

/**
 * @typedef {object} Frame
 * @property {string} verb
 * @property {string[]} words the words after the verb
 * @property {Map<string, string>} headers by their names in lower case
 * @property {Uint8Array} body
 */

/**
 * Write a frame.
 * @param {string} verb the verb
 * @param {string[]} words the words after it
 * @param {Record<string, string | number | null | undefined>} [headers] null and undefined leave a header out
 * @param {Uint8Array | null} [body] null for a frame that has no body
 * @returns {Uint8Array}
 */
export function encodeFrame(verb, words, headers = {}, body = null) {
  let head = [verb, ...words].join(" ") + "\n";
  if (body !== null) head += `Content-length: ${body.length}\n`;
  for (const [name, value] of Object.entries(headers)) {
    if (value === null || value === undefined) continue;
    head += `${name}: ${value}\n`;
  }
  const lines = head.split("\n").length - 1;
  const expected = 1 + (body === null ? 0 : 1) + Object.values(headers).filter((each) => each !== null && each !== undefined).length;
  if (lines !== expected) throw new ProtocolError("a line break in a header");
  const start = encoder.encode(head + "\n");
  if (start.length > HEAD_LIMIT) throw new ProtocolError("the headers are too long");
  if (body === null || body.length === 0) return start;
  const frame = new Uint8Array(start.length + body.length);
  frame.set(start);
  frame.set(body, start.length);
  return frame;
}

/** Turns bytes into frames, however the bytes are split. */
export class Decoder {
  /** @param {number} maxBody the longest body that is accepted, in bytes */
  constructor(maxBody = 16 * 1024 * 1024) {
    this.maxBody = maxBody;
    /** @type {Uint8Array} */
    this.rest = EMPTY;
    this.searched = 0;
    /** @type {{frame: Frame, length: number, parts: Uint8Array[], have: number} | null} */
    this.open = null;
    /** @type {ProtocolError | null} why nothing more can be read */
    this.broken = null;
  }

  /**
   * Take bytes, and return the frames that are complete. Nothing is read after bytes that break a rule; then `broken`
   * says why.
   * @param {Uint8Array} bytes
   * @returns {Frame[]}
   */
  feed(bytes) {
    /** @type {Frame[]} */
    const frames = [];
    if (this.broken) return frames;
    try {
      this.read(bytes, frames);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.broken = error;
    }
    return frames;
  }

  /**
   * @param {Uint8Array} bytes
   * @param {Frame[]} frames
   */
  read(bytes, frames) {
    let input = bytes;
    while (input.length) {
      if (this.open) {
        input = this.takeBody(this.open, input, frames);
        continue;
      }
      const joined = this.rest.length ? concatenate(this.rest, input) : input;
      const start = skipBlanks(joined);
      if (start > 0) this.searched = 0;
      const text = joined.subarray(start);
      const end = headEnd(text, Math.max(0, this.searched - 2));
      if (end < 0) {
        if (text.length > HEAD_LIMIT) throw new ProtocolError("the headers are too long");
        this.rest = text.slice();
        this.searched = this.rest.length;
        break;
      }
      if (end > HEAD_LIMIT) throw new ProtocolError("the headers are too long");
      this.rest = EMPTY;
      this.searched = 0;
      const { frame, length } = parseHead(decoder.decode(text.subarray(0, end)));
      if (length > this.maxBody) throw new ProtocolError("the body is too long");
      input = text.subarray(end);
      if (length === 0) frames.push(frame);
      else this.open = { frame, length, parts: [], have: 0 };
    }
  }

  /**
   * @param {{frame: Frame, length: number, parts: Uint8Array[], have: number}} open
   * @param {Uint8Array} input
   * @param {Frame[]} frames
   * @returns {Uint8Array} what follows the body
   */
  takeBody(open, input, frames) {
    const part = input.subarray(0, open.length - open.have);
    open.parts.push(part.slice());
    open.have += part.length;
    if (open.have === open.length) {
      const body = new Uint8Array(open.length);
      let at = 0;
      for (const each of open.parts) {
        body.set(each, at);
        at += each.length;
      }
      open.frame.body = body;
      frames.push(open.frame);
      this.open = null;
    }
    return input.subarray(part.length);
  }
}

/**
 * @param {Uint8Array} first
 * @param {Uint8Array} second
 * @returns {Uint8Array}
 */
function concatenate(first, second) {
  const joined = new Uint8Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}

/**
 * Return how many blanks and blank lines stand before the next frame (rule 2.5).
 * @param {Uint8Array} bytes
 */
function skipBlanks(bytes) {
  let at = 0;
  while (at < bytes.length && (bytes[at] === 32 || bytes[at] === 9 || bytes[at] === 10 || bytes[at] === 13)) at++;
  return at;
}

/**
 * Return where the body begins, after the blank line; -1 if the blank line has not come yet.
 * @param {Uint8Array} bytes
 * @param {number} from
 */
function headEnd(bytes, from) {
  let feed = bytes.indexOf(LINE_FEED, 0);
  if (from > 0) {
    const before = bytes.lastIndexOf(LINE_FEED, from);
    if (before >= 0) feed = before;
  }
  while (feed >= 0) {
    let at = feed + 1;
    while (at < bytes.length && (bytes[at] === 32 || bytes[at] === 9)) at++;
    if (bytes[at] === 13) at++;
    if (bytes[at] === LINE_FEED) return at + 1;
    feed = bytes.indexOf(LINE_FEED, feed + 1);
  }
  return -1;
}

/**
 * @param {string} head
 * @returns {{frame: Frame, length: number}}
 */
function parseHead(head) {
  const lines = head.split("\n").map((line) => line.replace(/[ \t\r]+$/, ""));
  const words = lines[0].split(/[ \t]+/);
  /** @type {Map<string, string>} */
  const headers = new Map();
  let length = -1;
  for (const line of lines.slice(1)) {
    if (!line) continue;
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0)).trim().toLowerCase();
    if (!name) throw new ProtocolError("a header without a name");
    const value = line.slice(colon + 1).trim();
    if (name === "content-length") {
      if (length >= 0 || !/^[0-9]{1,10}$/.test(value)) throw new ProtocolError("a malformed Content-length");
      length = Number(value);
    }
    headers.set(name, value);
  }
  const frame = { verb: words[0], words: words.slice(1), headers, body: EMPTY };
  return { frame, length: Math.max(length, 0) };
}
