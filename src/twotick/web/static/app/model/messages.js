/**
 * Messages: how they are made, ordered and changed. Pure.
 * @typedef {import("./types.js").Message} Message
 * @typedef {import("./types.js").State} State
 */

/** The place of a message that the server has not accepted yet. It sorts after all others. */
export const WAITING = 2 ** 52;

/**
 * @param {string} sender
 * @param {string} id
 */
export const uidOf = (sender, id) => `${sender.toLowerCase()} ${id}`;

/**
 * Return the key of a guest's message. It is never that of a message of a member who has the name now.
 * @param {string} uid the key that a member's message with this sender and Id has
 */
export const guestUid = (uid) => `${uid} guest`;

/**
 * Return the name of who has sent a message, with the word for guests if it is one.
 * @param {{sender: string, guest: boolean}} message
 * @param {(key: "role.guest") => string} t
 */
export const senderText = ({ sender, guest }, t) => (guest ? `${sender} (${t("role.guest")})` : sender);

/**
 * Return a message with what is given, and nothing else.
 * @param {Partial<Message> & {conversation: string, uid: string, sender: string}} given
 * @returns {Message}
 */
export function newMessage(given) {
  return {
    id: "", guest: false, text: "", type: "", time: 0, outgoing: false, place: WAITING, order: 0, seq: 0, state: "", reason: "",
    have: 0, of: 0, replyTo: null, forwardedFrom: "", reactions: {}, edited: 0, editPlace: 0, deleted: 0, event: null,
    file: null, mention: false, ...given,
  };
}

/**
 * Compare messages by their order in the conversation.
 * @param {Message} a
 * @param {Message} b
 */
export const compare = (a, b) => a.place - b.place || a.order - b.order;

const RANK = { "": 0, waiting: 1, accepted: 2, delivered: 3, read: 4, failed: 5 };

/**
 * Return a message with a new state, unless the new state is older than its own. Ticks never go back.
 * @param {Message} message
 * @param {State} state
 * @param {string} [reason] why it failed
 * @returns {Message}
 */
export function withState(message, state, reason = "") {
  if (RANK[state] <= RANK[message.state]) return message;
  return { ...message, state, reason };
}

/**
 * A change of a message (rule 13.1).
 * @typedef {object} Change
 * @property {"edit" | "delete" | "react"} kind
 * @property {string} by the user who changed it
 * @property {string} body
 * @property {number} place
 * @property {number} time
 */

/**
 * Return the key under which to look for what a change is about if no member has sent it: guests change nothing, and
 * those who change their own messages are members.
 * @param {string} uid
 * @param {Change} change
 */
export const guestTarget = (uid, { by }) => (uid.startsWith(`${by.toLowerCase()} `) ? uid : guestUid(uid));

/**
 * Apply a change. An older change does not undo a newer one.
 * @param {Message} message
 * @param {Change} change
 * @returns {Message}
 */
export function changed(message, change) {
  if (message.deleted) return message;
  if (change.kind === "delete") return asDeleted(message, change.time);
  if (change.kind === "edit") {
    if (change.place < message.editPlace) return message;
    return { ...message, text: change.body, edited: change.time, editPlace: change.place };
  }
  const by = change.by.toLowerCase();
  const before = Object.entries(message.reactions).find(([name]) => name.toLowerCase() === by);
  if (before && before[1].place > change.place) return message;
  const reactions = Object.fromEntries(Object.entries(message.reactions).filter(([name]) => name.toLowerCase() !== by));
  reactions[before ? before[0] : change.by] = { body: change.body, place: change.place };
  return { ...message, reactions };
}

/**
 * @param {Message} message
 * @param {number} when
 * @returns {Message}
 */
export const asDeleted = (message, when) => ({
  ...message, text: "", deleted: when, replyTo: null, forwardedFrom: "", reactions: {}, file: null, mention: false,
});

/**
 * Return a message with its content as it was before a change that is taken back. Its ticks stay.
 * @param {Message} now
 * @param {Message} before
 * @returns {Message}
 */
export function restored(now, before) {
  const { text, edited, editPlace, deleted, reactions, file, replyTo, forwardedFrom, mention } = before;
  return { ...now, text, edited, editPlace, deleted, reactions, file, replyTo, forwardedFrom, mention };
}

/**
 * Return the reactions of a message with those who reacted, in the order in which they came.
 * @param {Message} message
 * @returns {[string, string[]][]}
 */
export function reactionsOf(message) {
  /** @type {Map<string, string[]>} */
  const found = new Map();
  const given = Object.entries(message.reactions).sort((a, b) => a[1].place - b[1].place);
  for (const [name, { body }] of given) {
    if (body) found.set(body, [...(found.get(body) ?? []), name]);
  }
  return [...found];
}

/**
 * Return a message as the server has it, joined with what is known of it here.
 * @param {Message} mine
 * @param {Message} theirs
 * @returns {Message}
 */
export function merged(mine, theirs) {
  if (theirs.deleted && !mine.deleted) return asDeleted({ ...mine, place: theirs.place, order: 0 }, theirs.deleted);
  // An older version of the page has stored messages without `guest`.
  let next = { ...mine, guest: mine.guest ?? theirs.guest, time: theirs.deleted ? mine.time : theirs.time, seq: theirs.seq || mine.seq, file: mine.file?.key ? mine.file : theirs.file ?? mine.file };
  if (theirs.place !== WAITING) next = { ...next, place: theirs.place, order: 0 };
  if (theirs.state) next = withState(next, theirs.state, theirs.reason);
  if (!mine.deleted && theirs.edited && mine.editPlace === 0) next = { ...next, text: theirs.text, edited: theirs.edited };
  return next;
}

/** The Reasons that always have the same words (rule 7.5), and those of the page itself. */
const REASONS = /** @type {Record<string, string>} */ ({
  "there is no such room": "reason.noRoom",
  "the recipient refused the message": "reason.refused",
  refused: "reason.refused",
  "the server was restarted: it is not known whether the message arrived": "reason.restarted",
  "reason.lost": "reason.lost",
  "reason.damaged": "reason.damaged",
  "reason.large": "reason.large",
});

/**
 * Return why something was refused, in the user's language as far as the protocol says what the words mean.
 * @param {string} reason the server's words, or a key of REASONS
 * @param {(key: any, values?: Record<string, string | number>) => string} t
 */
export function reasonText(reason, t) {
  const away = /^([A-Za-z0-9]{1,32}) is not connected$/.exec(reason);
  if (away) return t("reason.away", { name: away[1] });
  return Object.hasOwn(REASONS, reason) ? t(REASONS[reason]) : reason;
}

/**
 * Return the words for a message's state, with which its description ends; empty for a message of another user.
 * @param {Message} message
 * @param {(key: any, values?: Record<string, string | number>) => string} t
 */
export function stateText(message, t) {
  switch (message.state) {
    case "waiting": return t("state.waiting");
    case "accepted": return message.of > 1 && message.have > 0 ? t("state.progress", { have: message.have, of: message.of }) : t("state.stored");
    case "delivered": return t("state.delivered");
    case "read": return t("state.read");
    case "failed": return t("state.failed", { reason: reasonText(message.reason, t) });
    default: return "";
  }
}
