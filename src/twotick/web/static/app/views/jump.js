/**
 * Going to a message that need not be stored: it is shown among those around it in the server's history. Loaded when
 * the user goes to one for the first time.
 *
 * @typedef {import("./controller.js").Controller} Controller
 * @typedef {import("../model/types.js").Message} Message
 * @typedef {{uid: string, sender: string, id: string, place?: number}} Target
 * @typedef {{messages: Message[], end: boolean}} Part some messages, and whether there are no others on that side
 */
import { isRoomKey, keyOf } from "../model/conversations.js";
import { guestUid, WAITING } from "../model/messages.js";
import { t } from "../texts/index.js";

const HALF = 30;
const PAGE = 60;
const MOST = 1000;

/**
 * Show a message in its conversation.
 * @param {Controller} app
 * @param {string} name the name of the conversation
 * @param {Target} target
 * @returns {Promise<boolean>} whether it is shown, or another conversation is
 */
export async function reach(app, name, target) {
  const turn = app.opening;
  const key = keyOf(name);
  const store = app.profile?.store;
  if (!store) return true;
  const shown = app.state.window;
  // A reference to a message does not say whether a guest has sent it.
  const theirs = guestUid(target.uid);
  const here = shown.key === key ? shown.messages.map((each) => each.uid) : [];
  let uid = here.includes(target.uid) ? target.uid : theirs;
  if (here.includes(uid)) {
    app.dispatch({ kind: "window", window: { ...shown, mark: { uid } } });
    return true;
  }
  const kept = (await store.message(key, target.uid)) ?? (await store.message(key, theirs));
  uid = kept?.uid ?? target.uid;
  const place = kept && kept.place !== WAITING ? kept.place : target.place && target.place !== WAITING ? target.place : await placeOf(app, name, target);
  if (turn !== app.opening) return true;
  if (!kept && !place) {
    app.say(t("talk.notFound"));
    return false;
  }
  const at = kept ?? /** @type {Message} */ ({ conversation: key, place, order: 0 });
  const { before, after, apart } = kept ? await stored(app, key, kept) : { ...(await around(app, name, place)), apart: true };
  if (turn !== app.opening) return true;
  const messages = [...before.messages, ...(kept ? [at] : []), ...after.messages];
  if (!messages.some((each) => each.uid === uid)) {
    app.say(t("talk.notFound"));
    return false;
  }
  const window = { key, messages, atOldest: before.end, atNewest: after.end, apart, mark: { uid } };
  app.dispatch({ kind: "opened", window, readBefore: shown.key === key ? app.state.readBefore : app.state.conversations[key]?.read ?? 0 });
  return true;
}

/**
 * @param {Controller} app
 * @param {string} key
 * @param {Message} at
 */
async function stored(app, key, at) {
  const store = /** @type {import("../net/profile.js").Profile} */ (app.profile).store;
  const [older, newer] = await Promise.all([store.older(key, at, HALF), store.newer(key, at, HALF)]);
  const complete = app.state.conversations[key]?.complete ?? false;
  return { before: { messages: older, end: older.length < HALF && complete }, after: { messages: newer, end: newer.length < HALF }, apart: false };
}

/**
 * @param {Controller} app
 * @param {string} name
 * @param {number} place
 */
async function around(app, name, place) {
  const before = await olderThan(app, name, place + 1, HALF);
  return { before, after: await newerThan(app, name, place) };
}

/**
 * Return the messages before one.
 * @param {Controller} app
 * @param {Message} first
 * @returns {Promise<Part>}
 */
export const older = (app, first) => olderThan(app, nameOf(app, first), first.place, PAGE);

/**
 * Return the messages after one: those of the server, and from the oldest stored one on, stored ones.
 * @param {Controller} app
 * @param {Message} last
 * @returns {Promise<Part>}
 */
export const newer = (app, last) => newerThan(app, nameOf(app, last), last.place, last);

/**
 * @param {Controller} app
 * @param {Message} message
 */
const nameOf = (app, message) => app.state.conversations[message.conversation]?.name ?? message.conversation;

/**
 * @param {Controller} app
 * @param {string} name
 * @param {number} place
 * @param {number} count
 * @returns {Promise<Part>}
 */
async function olderThan(app, name, place, count) {
  for (let before = place; ; ) {
    const { messages, headers, first } = await app.ask("HISTORY", [name], { Before: before, Limit: count });
    const end = !Number(headers.count) || first <= 1;
    if (messages.length || end || first >= before) return { messages, end: end || first >= before };
    before = first; // all of them only change others
  }
}

/**
 * @param {Controller} app
 * @param {string} name
 * @param {number} place
 * @param {Message | null} [last]
 * @returns {Promise<Part>}
 */
async function newerThan(app, name, place, last = null) {
  const key = keyOf(name);
  const store = /** @type {import("../net/profile.js").Profile} */ (app.profile).store;
  const oldest = (await store.newer(key, /** @type {any} */ ({ place: -Infinity, order: -Infinity }), 1))[0];
  const from = oldest && oldest.place !== WAITING ? oldest.place : Infinity;
  const kept = async () => {
    const found = await store.newer(key, last ?? /** @type {any} */ ({ place, order: Infinity }), PAGE);
    return { messages: found, end: found.length < PAGE };
  };
  if (place >= from) return kept();
  const messages = (await nextPage(app, name, place)).filter((each) => each.place < from);
  return messages.length ? { messages, end: false } : kept();
}

/**
 * Return the messages that follow a place. How far apart the messages of a conversation of two are is unknown, so the
 * range grows until it has some.
 * @param {Controller} app
 * @param {string} name
 * @param {number} place
 * @returns {Promise<Message[]>} none if there are none
 */
async function nextPage(app, name, place) {
  const room = isRoomKey(keyOf(name));
  for (let step = PAGE, low = 0; ; ) {
    const { messages, headers, first } = await app.ask("HISTORY", [name], { Before: place + step + 1, Limit: Math.min(step, MOST) });
    const found = messages.filter((each) => each.place > place);
    const partial = Number(headers.count) >= MOST && first > place + 1;
    if (partial && step - low > 1) step = low + ((step - low) >> 1);
    else if (found.length) return found;
    else {
      const newest = app.state.conversations[keyOf(name)]?.newest ?? 0;
      if (room ? !Number(headers.count) || step > 1e6 : place + step >= newest) return [];
      low = step;
      step *= 4;
    }
  }
}

/**
 * Return the place of a message of which only sender and Id are known; 0 if it cannot be found. A thread has all of its
 * messages (rule 13.6).
 * @param {Controller} app
 * @param {string} name
 * @param {Target} target
 */
async function placeOf(app, name, { uid, sender, id }) {
  if (!app.isMember) return 0;
  const { messages } = await app.ask("HISTORY", [name], { Thread: `${sender} ${id}`, Limit: MOST });
  const place = messages.find((each) => each.uid === uid)?.place ?? 0;
  return place === WAITING ? 0 : place;
}
