/**
 * What a tab shows, and how what happens changes it. Pure.
 *
 * @typedef {import("./types.js").Conversation} Conversation
 * @typedef {import("./types.js").Event} Event
 * @typedef {import("./types.js").Message} Message
 * @typedef {import("./window.js").Window} Window
 *
 * @typedef {object} AppState
 * @property {Record<string, Conversation>} conversations
 * @property {Window} window the messages of the open conversation
 * @property {number} readBefore the number up to which messages were read when the conversation was opened
 * @property {import("./types.js").Link} link
 * @property {Record<string, string>} presence
 * @property {Record<string, import("./types.js").Profile>} profiles
 * @property {Record<string, {name: string, until: number}[]>} typing
 * @property {Record<string, {done: number, total: number}>} transfers
 * @property {Record<string, string>} drafts
 * @property {{id: number, text: string, undo: (() => void) | null} | null} notice
 * @property {string} said what a screen reader is told
 *
 * @typedef {Event
 *   | {kind: "opened", window: Window, readBefore: number}
 *   | {kind: "window", window: Window}
 *   | {kind: "shown", text: string, undo?: (() => void) | null}
 *   | {kind: "unshown", id: number}
 *   | {kind: "said", text: string}
 *   | {kind: "draft", key: string, text: string}
 *   | {kind: "started", conversations: Conversation[], drafts: Record<string, string>}
 *   | {kind: "tick"}} Action
 */
import { changed, guestTarget } from "./messages.js";
import { bounded, emptyWindow, withMessages, without } from "./window.js";

/**
 * Return a table by names. It has nothing but what is put into it: a user can be called `constructor`.
 * @template T
 * @param {Record<string, T>} [given]
 * @returns {Record<string, T>}
 */
export const table = (given = {}) => Object.assign(Object.create(null), given);

/** @type {AppState} */
export const START = {
  conversations: table(), window: emptyWindow(""), readBefore: 0, link: { state: "connecting", reason: "", retryAt: 0 },
  presence: table(), profiles: table(), typing: table(), transfers: table(), drafts: table(), notice: null, said: "",
};

const MOST_TYPING = 20;

/**
 * @param {AppState} state
 * @param {Action} action
 * @returns {AppState}
 */
export function reduce(state, action) {
  switch (action.kind) {
    case "started":
      return { ...state, conversations: byKey(table(), action.conversations), drafts: table(action.drafts) };
    case "put": {
      const window = bounded(withMessages(state.window, action.messages), action.looking ?? "");
      return { ...state, conversations: byKey(state.conversations, action.conversations), window };
    }
    case "removed":
      return action.conversation === state.window.key ? { ...state, window: without(state.window, action.uids) } : state;
    case "changed": {
      const find = (/** @type {string} */ uid) => state.window.messages.find((each) => each.uid === uid);
      const shown = action.conversation === state.window.key && (find(action.uid) ?? find(guestTarget(action.uid, action.change)));
      return shown ? { ...state, window: withMessages(state.window, [changed(shown, action.change)]) } : state;
    }
    case "opened":
      return { ...state, window: action.window, readBefore: action.readBefore };
    case "window":
      return action.window.key === state.window.key ? { ...state, window: action.window } : state;
    case "link":
      return { ...state, link: action.link };
    case "presence":
      return { ...state, presence: table(action.presence) };
    case "profiles":
      return { ...state, profiles: table(action.profiles) };
    case "typing":
      return { ...state, typing: typingWith(state.typing, action) };
    case "tick":
      return { ...state };
    case "transfer": {
      const { [action.uid]: _, ...others } = state.transfers;
      return { ...state, transfers: table(action.total ? { ...others, [action.uid]: action } : others) };
    }
    case "shown":
      return { ...state, notice: { id: (state.notice?.id ?? 0) + 1, text: action.text, undo: action.undo || null } };
    case "unshown":
      return state.notice?.id === action.id ? { ...state, notice: { id: action.id, text: "", undo: null } } : state;
    case "said":
      return { ...state, said: action.text };
    case "draft":
      return { ...state, drafts: table({ ...state.drafts, [action.key]: action.text }) };
    default:
      return state;
  }
}

/**
 * @param {Record<string, Conversation>} known
 * @param {Conversation[]} changed
 */
function byKey(known, changed) {
  if (!changed.length) return known;
  const next = table(known);
  for (const each of changed) next[each.key] = each;
  return next;
}

/**
 * @param {AppState["typing"]} typing
 * @param {{conversation: string, name: string, until: number}} action
 */
function typingWith(typing, { conversation, name, until }) {
  const others = (typing[conversation] ?? []).filter((each) => each.name !== name).slice(-MOST_TYPING);
  return table({ ...typing, [conversation]: until ? [...others, { name, until }] : others });
}

/**
 * Return who is typing in a conversation.
 * @param {AppState} state
 * @param {string} key
 * @param {number} now in milliseconds since 1970
 */
export const typingIn = (state, key, now) => (state.typing[key] ?? []).filter((each) => each.until > now).map((each) => each.name);
