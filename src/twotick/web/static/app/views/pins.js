/**
 * Pinning messages. Loaded when the menu of a message is opened.
 *
 * @typedef {import("./controller.js").Controller} Controller
 * @typedef {import("../model/types.js").Conversation} Conversation
 * @typedef {import("../model/types.js").Message} Message
 */
import { t } from "../texts/index.js";

/**
 * Return whether a message is pinned.
 * @param {Controller} app
 * @param {Conversation} conversation
 * @param {Message} message
 */
export async function isPinned(app, conversation, message) {
  return (await app.ask("PINS", [conversation.name])).messages.some((each) => each.uid === message.uid);
}

/**
 * Pin a message, or unpin it.
 * @param {Controller} app
 * @param {Conversation} conversation
 * @param {Message} message
 * @param {boolean | null} [wanted] whether it is to be pinned; null for the other way than now
 */
export async function setPinned(app, conversation, message, wanted = null) {
  try {
    const pin = wanted ?? !(await isPinned(app, conversation, message));
    await app.profile?.queueRaw(conversation.name, { [pin ? "Pins" : "Unpins"]: `${message.sender} ${message.id}` });
    app.say(t(pin ? "message.pinned" : "message.unpinned"));
  } catch (error) {
    app.complain(error);
  }
}
