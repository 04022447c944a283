/**
 * Conversations, and the rules by which they are listed. Pure.
 * @typedef {import("./types.js").Conversation} Conversation
 * @typedef {import("./types.js").Message} Message
 */

/** @param {string} name */
export const keyOf = (name) => name.toLowerCase();

/**
 * Return a conversation of which nothing is known yet.
 * @param {string} name
 * @returns {Conversation}
 */
export function newConversation(name) {
  return {
    key: keyOf(name), name, unread: 0, mentions: 0, read: 0, newest: 0, recency: 0, complete: false, muted: false,
    mutedUntil: 0, blocked: false, pinned: false, closed: false, role: "", left: false, topic: "", access: "",
    guests: false, members: 0, notifyAll: false, last: null,
  };
}

/** @param {string} key */
export const isRoomKey = (key) => key.startsWith("#");

/**
 * Return the conversations in the order of the list: pinned ones first, then those with the latest activity.
 * @param {Iterable<Conversation>} conversations
 * @param {string} shown the key of the conversation that is shown, which is listed even if it is closed
 * @returns {Conversation[]}
 */
export function listed(conversations, shown) {
  return [...conversations]
    .filter((each) => !each.closed || each.key === shown)
    .sort((a, b) => Number(b.pinned) - Number(a.pinned) || b.recency - a.recency || (a.key < b.key ? -1 : 1));
}

/**
 * Return whether notifications for a conversation are off (rule 14.6).
 * @param {Conversation} conversation
 * @param {number} now in milliseconds since 1970
 */
export const isMuted = (conversation, now) =>
  conversation.muted && (conversation.mutedUntil === 0 || conversation.mutedUntil > now);

/**
 * Return whether the user wants a notification of a message (rule 14.6).
 * @param {Conversation} conversation
 * @param {Message} message
 * @param {number} now in milliseconds since 1970
 */
export const isNotified = (conversation, message, now) =>
  (!isRoomKey(conversation.key) || message.mention || conversation.notifyAll) && !conversation.blocked && !isMuted(conversation, now);

/**
 * Return whether a text mentions a user (rule 14.2).
 * @param {string} text
 * @param {string} name
 */
export function mentions(text, name) {
  return new RegExp(`(?<![A-Za-z0-9])@${name}(?![A-Za-z0-9])`, "i").test(text);
}

/**
 * Return whether a moderator's rights are the user's in a room.
 * @param {Conversation} room
 */
export const moderates = (room) => room.role === "owner" || room.role === "moderator";
