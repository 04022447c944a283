/**
 * One connection for all tabs of a browser: the tab that has the lock has the session, and the others ask it. When that
 * tab is closed, the next one gets the lock (a device has one connection: docs/protocol.md, rule 10.7).
 *
 * @typedef {import("../model/types.js").Account} Account
 * @typedef {import("../model/types.js").Event} Event
 * @typedef {import("../model/types.js").Message} Message
 * @typedef {import("../model/types.js").OutboxItem} OutboxItem
 */
import { keyOf } from "../model/conversations.js";
import { changed, newMessage, uidOf, WAITING } from "../model/messages.js";
import { newId } from "../protocol/words.js";
import { Accounts, Store } from "../store/database.js";
import { Session } from "./session.js";
import { problemOf, Refused } from "./sign_in.js";

const PATIENCE = 40_000;
const LONGEST = 24 * 3600_000;

/**
 * What a user writes.
 * @typedef {object} Draft
 * @property {string} to the name of the recipient
 * @property {string} text
 * @property {[string, string] | null} [replyTo]
 * @property {File | null} [file]
 * @property {string} [voice] the header of a voice note
 * @property {Message | null} [forwards] the message that is sent on
 */

/** An account in a tab. */
export class Profile {
  /**
   * @param {Account} account
   * @param {Store} store
   * @param {string} url of the WebSocket
   * @param {(event: Event) => void} onEvent
   */
  constructor(account, store, url, onEvent) {
    this.account = account;
    this.store = store;
    this.url = url;
    this.onEvent = onEvent;
    /** @type {Session | null} */
    this.session = null;
    /** @type {Map<string, {message: any, resolve: (result: any) => void, reject: (error: Error) => void, timer: number}>} */
    this.calls = new Map();
    this.order = 0;
    this.closed = false;
    this.give = () => {};
    this.channel = new BroadcastChannel(`twotick-${account.guest ? "guest" : "member"}-${account.name.toLowerCase()}`);
    this.channel.onmessage = ({ data }) => this.heard(data);
    /** Resolved when some tab has the session. */
    this.ready = this.lead();
  }

  /** Wait for the lock, and then be the tab that has the session. */
  async lead() {
    if (!navigator.locks) return this.begin();
    const { promise, resolve } = withResolver();
    void navigator.locks.request(this.channel.name, async () => {
      if (this.closed) return;
      await this.begin();
      resolve(undefined);
      await new Promise((give) => {
        this.give = () => give(undefined);
      });
    });
    const free = !(await navigator.locks.query()).held?.some((each) => each.name === this.channel.name);
    return free ? promise : undefined;
  }

  async begin() {
    const session = new Session(this.account, this.store, this.url, (event) => this.tell(event));
    this.session = session;
    await session.start();
    this.channel.postMessage({ leads: true });
    for (const [id, call] of this.calls) this.answerHere(session, id, call);
  }

  /**
   * Tell all tabs, this one too.
   * @param {Event} event
   */
  tell(event) {
    if (this.closed) return;
    this.channel.postMessage({ event });
    this.onEvent(event);
  }

  /** @param {any} data */
  heard(data) {
    if (this.closed) return;
    if (data.event) this.onEvent(data.event);
    else if (data.call && this.session) this.answer(data);
    else if (data.answer) this.settle(data.answer, data.result, data.error);
    else if (data.leads) for (const call of this.calls.values()) this.channel.postMessage(call.message);
  }

  /** @param {{call: string, method: string, given: any[]}} asked */
  answer({ call, method, given }) {
    this.session?.call(method, given).then(
      (result) => this.channel.postMessage({ answer: call, result }),
      (error) => this.channel.postMessage({ answer: call, error: problemOf(error) }),
    );
  }

  /**
   * @param {Session} session
   * @param {string} id
   * @param {{message: any}} call
   */
  answerHere(session, id, { message }) {
    session.call(message.method, message.given).then((result) => this.settle(id, result, null), (error) => this.settle(id, null, problemOf(error)));
  }

  /**
   * @param {string} id
   * @param {any} result
   * @param {import("../model/types.js").Problem | null} error
   */
  settle(id, result, error) {
    const call = this.calls.get(id);
    if (!call) return;
    this.calls.delete(id);
    clearTimeout(call.timer);
    if (error) call.reject(Object.assign(new Error(error.message), error));
    else call.resolve(result);
  }

  /**
   * Ask the session for something.
   * @param {string} method one of the methods of Session
   * @param {...any} given
   * @returns {Promise<any>}
   */
  call(method, ...given) {
    return new Promise((resolve, reject) => {
      const id = newId();
      const message = { call: id, method, given };
      // A large file takes long, and waits for a connection.
      const patience = method === "download" ? LONGEST : PATIENCE;
      const timer = setTimeout(() => this.settle(id, null, problemOf(new Refused(0, "no answer"))), patience);
      this.calls.set(id, { message, resolve, reject, timer });
      if (this.session) this.answerHere(this.session, id, { message });
      else this.channel.postMessage(message);
    });
  }

  /**
   * Send a message. It is in the store, with its Id, when the promise is fulfilled.
   * @param {Draft} draft
   * @returns {Promise<Message>}
   */
  async send({ to, text, replyTo = null, file = null, voice = "", forwards = null }) {
    const id = newId();
    const now = Date.now();
    const message = newMessage({
      conversation: keyOf(to), uid: uidOf(this.account.name, id), id, sender: this.account.name, time: now,
      text: forwards ? forwards.text : text, outgoing: true, place: WAITING, order: now * 1000 + (this.order++ % 1000),
      state: "waiting", replyTo, forwardedFrom: forwards ? forwards.forwardedFrom || forwards.sender : "",
      file: file ? { key: "", name: file.name, size: file.size, hash: "", voice } : forwards?.file ?? null,
    });
    /** @type {Record<string, string>} */
    const headers = forwards ? { Forwards: `${forwards.sender} ${forwards.id}` } : { Time: new Date(now).toISOString() };
    if (message.file?.voice) headers["X-Voice"] = message.file.voice;
    if (replyTo) headers["Reply-to"] = replyTo.join(" ");
    await this.queue({ id, to, uid: message.uid, headers, body: forwards ? "" : text, file, fileName: file?.name ?? "" }, message);
    return message;
  }

  /**
   * Change a message: edit it, delete it or react to it. The page shows the change at once.
   * @param {string} to the name of the conversation
   * @param {Message} target
   * @param {"edit" | "delete" | "react"} kind
   * @param {string} body
   * @param {number} [delay] in milliseconds, in which it can be cancelled
   * @returns {Promise<string>} the Id of the change
   */
  async change(to, target, kind, body, delay = 0) {
    const id = newId();
    const now = Date.now();
    const own = target.outgoing;
    const name = { edit: "Edits", delete: "Deletes", react: "Reacts-to" }[kind];
    const value = kind === "edit" || (kind === "delete" && own) ? target.id : `${target.sender} ${target.id}`;
    const place = Math.max(target.place === WAITING ? 0 : target.place, ...Object.values(target.reactions).map((each) => each.place), target.editPlace);
    const next = changed(target, { kind, by: this.account.name, body, place, time: now });
    const item = { id, to, uid: "", headers: { [name]: value, Time: new Date(now).toISOString() }, body, notBefore: delay ? now + delay : 0, before: target };
    await this.queue(item, next);
    return id;
  }

  /**
   * Send a change that the page does not show, such as a pin.
   * @param {string} to
   * @param {Record<string, string>} headers
   */
  async queueRaw(to, headers) {
    const id = newId();
    await this.store.write(async (work) => {
      work.table("outbox").add({ id, to, uid: "", headers, body: "", notBefore: 0, file: null, fileName: "", before: null });
    });
    void this.call("pump").catch(() => undefined);
  }

  /**
   * Put something into the outbox, and show it.
   * @param {Partial<OutboxItem>} given
   * @param {Message} message
   */
  async queue(given, message) {
    const item = { uid: "", notBefore: 0, file: null, fileName: "", before: null, ...given };
    await this.store.write(async (work) => {
      work.table("outbox").add(item);
      // A message that is shown from the server's history is not stored: what is stored of a conversation has no gap.
      if (item.uid || (await work.message(message.conversation, message.uid))) work.putMessage(message);
      // In one step with the message: otherwise a text could be sent and stay in the box, to be sent twice.
      if (item.uid && !item.file) await work.removeDraft(message.conversation, message.text);
      if (given.headers?.Edits) work.table("drafts").delete(`edit ${message.conversation}`);
    });
    this.tell({ kind: "put", messages: [message], conversations: [] });
    void this.call("open", given.to).catch(() => undefined);
    void this.call("pump").catch(() => undefined);
  }

  /**
   * Send a message again that was not delivered, in a new message.
   * @param {Message} message
   * @param {string} to
   */
  async sendAgain(message, to) {
    const { file, text, replyTo } = message;
    const again = file?.blob ? new File([file.blob], file.name) : null;
    await this.send({ to, text, replyTo, file: again, voice: file?.voice });
    await this.store.write(async (work) => work.removeMessage(message.conversation, message.uid));
    this.tell({ kind: "removed", conversation: message.conversation, uids: [message.uid] });
  }

  /** Close the account in this tab. */
  close() {
    this.closed = true;
    this.session?.stop();
    this.give();
    this.channel.close();
    for (const call of this.calls.values()) clearTimeout(call.timer);
    this.store.close();
  }
}

/**
 * Open the account that is signed in; null if there is none.
 * @param {string} url
 * @param {(event: Event) => void} onEvent
 * @returns {Promise<Profile | null>}
 */
export async function openProfile(url, onEvent) {
  const account = await (await Accounts.open()).current();
  return account && new Profile(account, await Store.open(account), url, onEvent);
}

function withResolver() {
  /** @type {(value: unknown) => void} */
  let resolve = () => {};
  const promise = new Promise((each) => {
    resolve = each;
  });
  return { promise, resolve };
}
