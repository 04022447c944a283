/**
 * The frames of the log and of histories, as messages and changes of messages. Pure.
 *
 * @typedef {import("../protocol/frames.js").Frame} Frame
 * @typedef {import("./types.js").Message} Message
 * @typedef {import("./messages.js").Change} Change
 */
import { isName, isRoom, number, reference, time, toText } from "../protocol/words.js";
import { mentions } from "./conversations.js";
import { guestUid, newMessage, uidOf } from "./messages.js";

const LONGEST_NAME = 255;
const STATES = ["accepted", "delivered", "read", "failed"];

/**
 * Return the name of the conversation that a FORWARD belongs to; null if it is malformed.
 * @param {Frame} frame
 * @param {string} me
 * @returns {string | null}
 */
export function conversationOf(frame, me) {
  const sender = frame.words[0] ?? "";
  const to = frame.headers.get("to") ?? "";
  if (to.startsWith("#")) return isRoom(to) ? to : null;
  const name = sender.toLowerCase() === me.toLowerCase() && to ? to : sender;
  return isName(name) || name.toUpperCase() === "ALL" ? name : null;
}

/**
 * Return whether a FORWARD only changes another message (rule 13.1).
 * @param {Frame} frame
 */
export const isChange = ({ headers }) =>
  headers.has("edits") || headers.has("deletes") || headers.has("reacts-to") || headers.has("pins") || headers.has("unpins");

/**
 * Return when the server took what a FORWARD brings (rule 9.7); 0 if that is not known.
 * @param {Map<string, string>} headers
 */
export const timeOf = (headers) => time(headers.get("accepted")) || time(headers.get("time"));

/**
 * Return the message of a FORWARD; null if it is malformed or not to be shown.
 * @param {Frame} frame
 * @param {string} me the user's name
 * @param {number} now in milliseconds since 1970, for messages without a time
 * @returns {[string, Message] | null} the name of its conversation, and the message
 */
export function messageOf(frame, me, now) {
  const { headers } = frame;
  const sender = frame.words[0] ?? "";
  const name = conversationOf(frame, me);
  if (name === null || !isName(sender)) return null;
  const guest = headers.get("guest") === "yes";
  const outgoing = !guest && sender.toLowerCase() === me.toLowerCase();
  const event = eventOf(frame);
  if (outgoing && !headers.has("to") && !event) return null; // a message to oneself is in the log twice
  const seq = number(frame, "seq");
  const place = name.startsWith("#") ? number(frame, "place") : seq;
  const id = headers.get("id") ?? "";
  const state = headers.get("state") ?? "";
  const text = event || headers.has("deleted") ? "" : bodyText(frame);
  const uid = uidOf(sender, id);
  const message = newMessage({
    conversation: name.toLowerCase(),
    uid: id ? (guest ? guestUid(uid) : uid) : `${event ? "event" : "number"} ${place || now}`,
    id, sender, guest, text, outgoing: outgoing && !event, seq, event,
    type: headers.get("content-type") ?? "",
    time: timeOf(headers) || time(headers.get("deleted")) || now,
    replyTo: reference(headers.get("reply-to"), sender),
    forwardedFrom: (headers.get("forwarded-from") ?? "").split(" ")[0],
    edited: time(headers.get("edited")),
    deleted: headers.has("deleted") ? time(headers.get("deleted")) || now : 0,
    file: headers.has("deleted") ? null : fileOf(frame),
  });
  if (place) message.place = place;
  if (message.outgoing) message.state = STATES.includes(state) ? /** @type {any} */ (state) : "accepted";
  message.mention = !message.outgoing && mentions(text, me);
  return [name, message];
}

/**
 * Return the text of a message, or what its content is if it is not a text.
 * @param {Frame} frame
 */
function bodyText(frame) {
  const type = frame.headers.get("content-type") ?? "";
  if (type && !type.toLowerCase().startsWith("text/")) return `[${type.slice(0, 80)}]`;
  return toText(frame.body);
}

/**
 * @param {Frame} frame
 * @returns {import("./types.js").EventRecord | null}
 */
function eventOf({ headers }) {
  const kind = headers.get("event");
  if (!kind) return null;
  return {
    kind,
    member: (headers.get("member") ?? headers.get("device") ?? "").slice(0, 64),
    role: (headers.get("role") ?? "").slice(0, 64),
    topic: headers.get("topic")?.slice(0, 250) ?? headers.get("until")?.slice(0, 10) ?? null,
    access: (headers.get("access") ?? "").slice(0, 64),
    room: (headers.get("room") ?? "").slice(0, 64),
    guests: headers.get("guests") ?? "",
  };
}

/**
 * @param {Frame} frame
 * @returns {import("./types.js").FileRecord | null}
 */
function fileOf(frame) {
  const { headers } = frame;
  const key = headers.get("file");
  if (!key) return null;
  return {
    key,
    name: (headers.get("file-name") ?? "").slice(0, LONGEST_NAME),
    size: number(frame, "file-size"),
    hash: headers.get("file-hash") ?? "",
    voice: (headers.get("x-voice") ?? "").slice(0, 80),
  };
}

/**
 * Return the change that a FORWARD makes to another message; null if it makes none that is shown.
 * @param {Frame} frame
 * @param {string} me
 * @param {number} now in milliseconds since 1970
 * @returns {{name: string, uid: string, change: Change} | null}
 */
export function changeOf(frame, me, now) {
  const { headers } = frame;
  const sender = frame.words[0] ?? "";
  const name = conversationOf(frame, me);
  if (name === null || headers.get("state") === "failed") return null;
  const room = name.startsWith("#");
  const common = {
    by: sender, body: toText(frame.body), time: timeOf(headers) || now,
    place: room ? number(frame, "place") : number(frame, "seq"),
  };
  const edits = reference(headers.get("edits"), sender);
  if (edits) return { name, uid: uidOf(sender, edits[1]), change: { ...common, kind: "edit" } };
  const deletes = reference(headers.get("deletes"), sender);
  if (deletes) return { name, uid: uidOf(room ? deletes[0] : sender, deletes[1]), change: { ...common, kind: "delete" } };
  const reacts = reference(headers.get("reacts-to"), sender);
  if (reacts) return { name, uid: uidOf(...reacts), change: { ...common, kind: "react", body: common.body.slice(0, 64) } };
  return null;
}

/**
 * Return the settings that an answer or an event has (rules 14.3 and 14.6).
 * @param {Map<string, string>} headers
 */
export const settingsOf = (headers) => ({
  muted: headers.get("muted") === "yes",
  blocked: headers.get("blocked") === "yes",
  pinned: headers.get("pinned") === "yes",
  closed: headers.get("closed") === "yes",
  mutedUntil: time(headers.get("muted-until")),
  notifyAll: headers.get("notify") === "all",
});
