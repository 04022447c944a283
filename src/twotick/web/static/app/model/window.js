/**
 * The messages of a conversation that a tab has on its screen: a part of the stored ones, of bounded size. Pure.
 * @typedef {import("./types.js").Message} Message
 *
 * @typedef {object} Window
 * @property {string} key the key of the conversation
 * @property {Message[]} messages in order
 * @property {boolean} atOldest whether the first one is the first of the conversation
 * @property {boolean} atNewest whether the last one is the last of the conversation
 * @property {boolean} [apart] whether the messages are from the server's history: stored ones need not follow them
 * @property {{uid: string}} [mark] the message that the user has gone to
 */
import { compare } from "./messages.js";

/** The most messages in a window: each is a row of the document. */
export const MOST = 240;

/** How many more it may get from messages that come, so that not each of them moves it. */
const SLACK = 60;

/**
 * @param {string} key
 * @returns {Window}
 */
export const emptyWindow = (key) => ({ key, messages: [], atOldest: false, atNewest: true });

/**
 * Return a window with new and changed messages in their places.
 * @param {Window} window
 * @param {Message[]} messages
 * @returns {Window}
 */
export function withMessages(window, messages) {
  const theirs = new Map(messages.filter((each) => each.conversation === window.key).map((each) => [each.uid, each]));
  if (theirs.size === 0) return window;
  const first = window.messages[0];
  const last = window.messages.at(-1);
  const next = window.messages.map((each) => theirs.get(each.uid) ?? each);
  const known = new Set(window.messages.map((each) => each.uid));
  for (const each of theirs.values()) {
    if (known.has(each.uid)) continue;
    if (!window.atNewest && last && compare(each, last) > 0) continue;
    if (!window.atOldest && first && compare(each, first) < 0) continue;
    next.push(each);
  }
  next.sort(compare);
  return { ...window, messages: next };
}

/**
 * Return a window without some messages.
 * @param {Window} window
 * @param {string[]} uids
 * @returns {Window}
 */
export function without(window, uids) {
  const gone = new Set(uids);
  return { ...window, messages: window.messages.filter((each) => !gone.has(each.uid)) };
}

/**
 * Return a window with older messages in front. What is then too much is left out at the other end.
 * @param {Window} window
 * @param {Message[]} older
 * @param {boolean} atOldest
 * @returns {Window}
 */
export function withOlder(window, older, atOldest) {
  const known = new Set(window.messages.map((each) => each.uid));
  const all = [...older.filter((each) => !known.has(each.uid)), ...window.messages].sort(compare);
  const kept = all.slice(0, MOST);
  return { ...window, messages: kept, atOldest, atNewest: window.atNewest && kept.length === all.length };
}

/**
 * Return a window with newer messages behind. What is then too much is left out at the other end.
 * @param {Window} window
 * @param {Message[]} newer
 * @param {boolean} atNewest
 * @returns {Window}
 */
export function withNewer(window, newer, atNewest) {
  const known = new Set(window.messages.map((each) => each.uid));
  const all = [...window.messages, ...newer.filter((each) => !known.has(each.uid))].sort(compare);
  const kept = all.slice(-MOST);
  return { ...window, messages: kept, atNewest, atOldest: window.atOldest && kept.length === all.length };
}

/**
 * Return a window that has no more messages than it may: those around the one that the user looks at.
 * @param {Window} window
 * @param {string} uid the message; empty, or one that is not in the window, for the newest
 * @returns {Window}
 */
export function bounded(window, uid) {
  const { length } = window.messages;
  if (length <= MOST + SLACK) return window;
  const at = uid ? window.messages.findIndex((each) => each.uid === uid) : -1;
  const start = at < 0 ? length - MOST : Math.min(Math.max(0, at - MOST / 2), length - MOST);
  const end = start + MOST;
  return { ...window, messages: window.messages.slice(start, end), atOldest: window.atOldest && start === 0, atNewest: window.atNewest && end === length };
}
