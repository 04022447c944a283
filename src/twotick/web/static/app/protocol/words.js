/**
 * The syntax of names, Ids, numbers and texts of the protocol. Pure.
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const NAME = /^[A-Za-z0-9]{1,32}$/;
const ROOM = /^#[A-Za-z0-9_-]{1,32}$/;
const IDENT = /^[A-Za-z0-9._-]{1,64}$/;

/** @param {string} text */
export const isName = (text) => NAME.test(text);
/** @param {string} text */
export const isRoom = (text) => ROOM.test(text);
/** @param {string} text */
export const isIdent = (text) => IDENT.test(text);

/** @param {string} text */
export const toBytes = (text) => encoder.encode(text);
/** @param {Uint8Array} bytes */
export const toText = (bytes) => decoder.decode(bytes);

/**
 * Return a number of a header; 0 if it is missing or malformed (rule 2.9).
 * @param {import("./frames.js").Frame} frame
 * @param {string} name
 */
export function number(frame, name) {
  const value = frame.headers.get(name) ?? "";
  return /^[0-9]{1,15}$/.test(value) ? Number(value) : 0;
}

/**
 * Return the message that a header such as Reply-to names: its sender and Id; null if there is none.
 * @param {string | undefined} value
 * @param {string} sender the sender that a value without a name means
 * @returns {[string, string] | null}
 */
export function reference(value, sender) {
  const words = (value ?? "").split(" ");
  const [name, id] = words.length === 2 ? words : [sender, words[0]];
  return words.length <= 2 && isName(name) && isIdent(id) ? [name, id] : null;
}

/**
 * Return a time of a header in milliseconds since 1970; 0 if it is missing or malformed.
 * @param {string | undefined} value
 */
export function time(value) {
  const parsed = Date.parse(value ?? "");
  return Number.isFinite(parsed) ? parsed : 0;
}

/**
 * Return an object or a list of a JSON body; null if it is not valid.
 * @param {Uint8Array} body
 * @returns {any[]}
 */
export function jsonList(body) {
  const parsed = JSON.parse(decoder.decode(body));
  if (!Array.isArray(parsed)) throw new Error("the server's list is malformed");
  return parsed.filter((each) => each !== null && typeof each === "object");
}

/**
 * Return the base64 of a text in UTF-8.
 * @param {string} text
 */
export function base64(text) {
  let binary = "";
  for (const byte of encoder.encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** Return a new Id for a message or a request. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
