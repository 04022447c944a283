/**
 * The session of one account: it keeps the connection, puts what comes into the store, sends what waits there, and
 * tells the tabs what has changed. One tab of a browser has it (net/profile.js).
 *
 * What the log brings is acknowledged when it is in the store, and what is sent is in the store before. So neither the
 * end of the tab nor that of the server loses a message or shows it twice.
 *
 * @typedef {import("../protocol/frames.js").Frame} Frame
 * @typedef {import("../model/types.js").Account} Account
 * @typedef {import("../model/types.js").Conversation} Conversation
 * @typedef {import("../model/types.js").Event} Event
 * @typedef {import("../model/types.js").Message} Message
 * @typedef {import("../model/types.js").OutboxItem} OutboxItem
 * @typedef {import("../store/database.js").Store} Store
 * @typedef {import("../store/database.js").Work} Work
 * @typedef {{frame: Frame, forwards: Frame[]}} Answer
 */
import { isNotified, isRoomKey, keyOf, newConversation } from "../model/conversations.js";
import { changeOf, conversationOf, isChange, messageOf, settingsOf, timeOf } from "../model/entries.js";
import { changed, guestTarget, restored, WAITING, withState } from "../model/messages.js";
import { table } from "../model/state.js";
import { encodeFrame } from "../protocol/frames.js";
import { isName, isRoom, jsonList, newId, number, time, toBytes, toText } from "../protocol/words.js";
import { Link } from "./link.js";
import { problemOf, Refused, refusal } from "./sign_in.js";

const WINDOW = 64;
const IN_FLIGHT = 128;
const PAGE = 50;
const PREFETCHED = 20;
const TYPING = 6_000;
const LAPSED = 14 * 24 * 3600_000;
const PATIENCE = 30_000;
const MOST_REQUESTS = 200;
const STEADY = 30_000;
const LONGEST_WAIT = 15 * 60_000;

/** The session of one account. */
export class Session {
  /**
   * @param {Account} account
   * @param {Store} store
   * @param {string} url of the WebSocket
   * @param {(event: Event) => void} emit
   */
  constructor(account, store, url, emit) {
    this.account = account;
    this.store = store;
    this.emit = emit;
    this.link = new Link(url, this);
    /** @type {Map<string, Conversation>} */
    this.conversations = new Map();
    /** @type {Map<string, {resolve: (answer: Answer) => void, reject: (error: Error) => void, forwards: Frame[], timer: number}>} */
    this.requests = new Map();
    /** @type {Set<string>} the Ids of the messages that were sent on this connection */
    this.inFlight = new Set();
    /** @type {Set<string>} the conversations in which a message has no place yet */
    this.unplaced = new Set();
    /** @type {Map<string, number>} up to which entry the server has counted what is unread */
    this.counted = new Map();
    /** @type {Record<string, string>} */
    this.presence = table();
    /** @type {Record<string, import("../model/types.js").Profile>} */
    this.profiles = table();
    /** The longest body that the server takes, in bytes. */
    this.maxBody = Infinity;
    /** @type {import("../model/types.js").Link} */
    this.state = { state: "connecting", reason: "", retryAt: 0 };
    this.registered = false;
    this.replacedAt = 0;
    this.lastSeq = 0;
    this.activity = "here";
    this.resumeAt = 0;
    this.guestTries = 0;
    this.pumping = false;
    this.pumpAgain = false;
    this.pumpTimer = 0;
    this.recountTimer = 0;
    this.stopped = false;
    this.work = Promise.resolve();
    /** @type {{resolve: () => void, reject: (error: Error) => void}[]} what goes on with the next connection */
    this.awaiting = [];
    /** @type {Frame[]} what has arrived and is not handled yet */
    this.arrived = [];
    /** @type {Promise<import("./transfers.js").Transfers> | null} */
    this.transfersLoaded = null;
  }

  async start() {
    for (const each of await this.store.conversations()) this.conversations.set(each.key, each);
    this.lastSeq = (await this.store.meta("seq")) ?? 0;
    const connected = (await this.store.meta("connected")) ?? Date.now();
    if (!this.account.guest && Date.now() - connected > LAPSED) await this.startAfresh();
    this.link.connect();
  }

  /** Forget the messages: the device may have lapsed (rule 10.9), so the log may have a gap. What waits stays. */
  async startAfresh() {
    await this.store.write(async (work) => {
      for (const each of this.conversations.values()) {
        each.complete = false;
        work.putConversation(each);
        await work.forget(each.key);
      }
    });
  }

  stop() {
    this.stopped = true;
    for (const each of this.awaiting.splice(0)) each.reject(new Error("the page was closed"));
    clearTimeout(this.pumpTimer);
    clearTimeout(this.recountTimer);
    this.link.close();
    this.fail("the page was closed");
  }

  // LinkHandler

  opened() {
    const { account } = this;
    this.link.send(
      encodeFrame("REGISTER", ["DUPLEX", account.name], {
        Authorization: account.guest ? null : `Bearer ${account.token}`,
        Device: account.guest ? null : account.device,
        Window: WINDOW,
        Seq: account.guest || !this.lastSeq ? null : this.lastSeq,
        "Keep-alive": "yes",
        Reasons: "yes",
        Times: "yes",
      }),
    );
  }

  /** @param {Frame[]} frames */
  received(frames) {
    this.arrived.push(...frames);
    // What arrives while the store is busy is handled together.
    if (this.arrived.length === frames.length) this.work = this.work.then(() => this.handleAll()).catch((error) => this.broken(error));
  }

  async handleAll() {
    const frames = this.arrived;
    this.arrived = [];
    await this.handle(frames);
  }

  /** @param {unknown} error */
  broken(error) {
    if (this.stopped) return;
    this.notice(error);
    this.link.lose(this.link.socket, String(error));
  }

  /** @param {unknown} error */
  notice(error) {
    this.emit({ kind: "notice", problem: problemOf(error) });
  }

  /**
   * @param {string} reason
   * @param {number} retryAt
   */
  lost(reason, retryAt) {
    this.registered = false;
    this.arrived = [];
    this.fail("the connection was lost");
    const sent = [...this.inFlight];
    this.inFlight.clear();
    this.presence = table();
    this.emit({ kind: "presence", presence: {} });
    this.setState({ state: "offline", reason, retryAt });
    if (this.account.guest && sent.length) this.work = this.work.then(() => this.guestLost(sent)).catch(() => undefined);
  }

  /** @param {import("../model/types.js").Link} state */
  setState(state) {
    this.state = state;
    this.emit({ kind: "link", link: state });
  }

  /** @param {string} reason */
  fail(reason) {
    const waiting = [...this.requests.values()];
    this.requests.clear();
    for (const each of waiting) {
      clearTimeout(each.timer);
      each.reject(new Refused(0, reason));
    }
  }

  // Registration

  /** @param {Frame} frame */
  async onRegistered(frame) {
    this.registered = true;
    this.guestTries = 0;
    this.maxBody = number(frame, "max-body") || Infinity;
    this.link.established(frame.headers.has("keep-alive"));
    this.setState({ state: "online", reason: "", retryAt: 0 });
    for (const each of this.awaiting.splice(0)) each.resolve();
    this.pump();
    if (this.account.guest) return;
    this.lastSeq = Math.max(this.lastSeq, number(frame, "seq"));
    void this.store.setMeta("connected", Date.now());
    for (const each of this.conversations.values()) if (each.read) this.tellRead(each);
    // The answers come later, and the log must go on until then.
    void this.catchUp().catch(() => undefined);
  }

  /** Ask for what is not in the log: the counts, rooms, who is there, and the newest messages on a new device. */
  async catchUp() {
    const listing = this.request("CONVERSATIONS", []);
    const rooms = this.request("ROOMS", []);
    const status = this.request("STATUS", [], { State: this.activity });
    const profiles = this.request("PROFILE", []);
    for (const each of [rooms, status, profiles]) each.catch(() => undefined); // if an earlier one fails, none waits for them
    const listed = jsonList((await listing).frame.body);
    await this.queue(() => this.updateConversations(listed));
    const known = jsonList((await rooms).frame.body);
    await this.queue(() => this.updateRooms(known));
    this.setStatuses(jsonList((await status).frame.body));
    const all = await profiles;
    this.setProfiles([{ name: this.account.name, ...saidIn(all.frame) }, ...jsonList(all.frame.body)]);
    const newest = [...this.conversations.values()].sort((a, b) => b.recency - a.recency).slice(0, PREFETCHED);
    for (const each of newest) {
      if (!each.last && !each.complete && each.key !== "all") await this.history(each.key).catch(() => undefined);
    }
    for (const key of await this.store.unplaced([...this.conversations.keys()])) await this.findPlaces(key);
  }

  /**
   * Do something in the order of what arrives.
   * @template T
   * @param {() => Promise<T>} step
   * @returns {Promise<T>}
   */
  queue(step) {
    const result = this.work.then(step);
    this.work = result.then(() => undefined, () => undefined);
    return result;
  }

  // What arrives

  /** @param {Frame[]} frames */
  async handle(frames) {
    /** @type {Frame[]} */
    let entries = [];
    for (const frame of frames) {
      if (this.isEntry(frame)) {
        entries.push(frame);
        continue;
      }
      if (entries.length) await this.takeEntries(entries);
      entries = [];
      await this.handleOther(frame);
    }
    if (entries.length) await this.takeEntries(entries);
  }

  /** @param {Frame} frame */
  isEntry({ verb, headers }) {
    if (!this.registered || headers.has("history")) return false;
    return headers.has("seq") ? ["FORWARD", "SEND", "READ", "ERROR"].includes(verb) : verb === "FORWARD";
  }

  /**
   * Put entries of the log into the store, and acknowledge them.
   * @param {Frame[]} frames
   */
  async takeEntries(frames) {
    /** @type {Set<string>} */
    const touched = new Set();
    /** @type {Message[]} */
    const news = [];
    const seq = Math.max(this.lastSeq, ...frames.map((each) => number(each, "seq")));
    const written = await this.store.write(async (work) => {
      for (const frame of frames) await this.takeEntry(work, frame, touched, news);
      for (const key of touched) work.putConversation(this.conversation(key));
      if (!this.account.guest) work.putMeta("seq", seq);
      return work.written;
    });
    this.lastSeq = seq;
    if (this.account.guest) for (const frame of frames) this.link.send(encodeFrame("RECEIVED", [frame.words[0]]));
    else this.link.send(encodeFrame("RECEIVED", [frames[frames.length - 1].words[0] ?? this.account.name], { Seq: seq }));
    this.emit({ kind: "put", messages: [...written.values()], conversations: [...touched].map((key) => this.conversation(key)) });
    for (const message of news) this.onNews(message);
  }

  /**
   * @param {Work} work
   * @param {Frame} frame
   * @param {Set<string>} touched
   * @param {Message[]} news
   */
  async takeEntry(work, frame, touched, news) {
    const id = frame.headers.get("id") ?? "";
    if (frame.verb === "FORWARD") await this.takeForward(work, frame, touched, news);
    else if (frame.verb === "READ" && frame.headers.has("up-to")) this.takeRead(frame, touched);
    else if (frame.verb === "READ") await this.settle(work, id, "read", "", touched);
    else if (frame.verb === "SEND") await this.settle(work, id, "delivered", "", touched);
    else await this.settle(work, id, "failed", refusal(frame).message, touched);
  }

  /**
   * @param {Work} work
   * @param {Frame} frame
   * @param {Set<string>} touched
   * @param {Message[]} news
   */
  async takeForward(work, frame, touched, news) {
    const now = Date.now();
    if (frame.headers.get("event") === "set") {
      const room = this.conversations.get(keyOf(frame.headers.get("of") ?? ""));
      if (room) {
        Object.assign(room, settingsOf(frame.headers));
        touched.add(room.key);
      }
      return;
    }
    if (isChange(frame)) {
      await this.takeChange(work, frame, touched);
      return;
    }
    const found = messageOf(frame, this.account.name, now);
    if (!found) return;
    const [name, message] = found;
    const conversation = this.conversation(name);
    if (message.event) this.takeEvent(conversation, message, work);
    const [stored, isNew] = await work.take(message);
    touched.add(conversation.key);
    if (stored.seq) conversation.newest = Math.max(conversation.newest, stored.seq);
    conversation.closed = conversation.closed && (stored.event !== null || !isNew);
    this.noteLast(conversation, stored);
    if (!isNew || stored.outgoing || stored.event || stored.deleted) return;
    if (stored.seq && (stored.seq <= conversation.read || stored.seq <= (this.counted.get(conversation.key) ?? 0))) return;
    conversation.unread++;
    if (stored.mention) conversation.mentions++;
    news.push(stored);
  }

  /**
   * @param {Work} work
   * @param {Frame} frame
   * @param {Set<string>} touched
   */
  async takeChange(work, frame, touched) {
    const found = changeOf(frame, this.account.name, Date.now());
    if (!found) return;
    const conversation = this.conversation(found.name);
    if (!(await work.change(conversation.key, found.uid, found.change)))
      this.emit({ kind: "changed", conversation: conversation.key, uid: found.uid, change: found.change });
    const { last } = conversation;
    if (last && [found.uid, guestTarget(found.uid, found.change)].includes(last.uid) && found.change.kind !== "react")
      conversation.last = { ...last, text: found.change.kind === "edit" ? found.change.body.slice(0, 200) : "" };
    touched.add(conversation.key);
    if (found.change.kind === "delete") this.recountSoon();
  }

  /**
   * @param {Conversation} room
   * @param {Message} message
   * @param {Work} work
   */
  takeEvent(room, message, work) {
    const event = message.event;
    if (!event || !isRoomKey(room.key)) return;
    const me = this.account.name.toLowerCase();
    const byMe = message.sender.toLowerCase() === me;
    const toMe = event.member.toLowerCase() === me;
    if ((event.kind === "created" || event.kind === "joined") && byMe) {
      room.left = false;
      room.role = event.kind === "created" ? "owner" : "member";
      room.complete = false;
      if (room.last) void work.forget(room.key); // there is a gap while the user was not in it
    } else if ((event.kind === "left" && byMe) || (event.kind === "removed" && toMe)) {
      room.left = true;
      room.role = "none";
    } else if (event.kind === "appointed" && toMe) room.role = event.role;
    else if (event.kind === "changed") {
      room.topic = event.topic ?? room.topic;
      room.access = event.access || room.access;
      room.guests = event.guests ? event.guests === "yes" : room.guests;
    }
    // Of the user's own joining, the server has told or will tell with how many others.
    if (event.kind === "joined" && !byMe && room.members) room.members++;
    if (event.kind === "left" || event.kind === "removed") room.members = Math.max(0, room.members - 1);
    if (byMe || event.kind === "appointed") this.recountSoon();
  }

  /**
   * Take over that the user has read messages on some device.
   * @param {Frame} frame
   * @param {Set<string>} touched
   */
  takeRead(frame, touched) {
    const conversation = this.conversations.get(keyOf(frame.words[0] ?? ""));
    const upTo = number(frame, "up-to");
    if (!conversation || upTo < conversation.read) return;
    conversation.read = upTo;
    touched.add(conversation.key);
    if (upTo >= conversation.newest) conversation.unread = conversation.mentions = 0;
    else this.recountSoon();
  }

  /**
   * Give a message that the user has sent its next state.
   * @param {Work} work
   * @param {string} id
   * @param {"accepted" | "delivered" | "read" | "failed"} state
   * @param {string} reason
   * @param {Set<string>} touched
   */
  async settle(work, id, state, reason, touched) {
    const item = await work.waiting(id);
    if (item) work.table("outbox").delete(item.number);
    this.inFlight.delete(id);
    const message = await work.sent(id);
    if (!message) {
      if (item && state === "failed") await this.takeBack(work, item, reason);
      return;
    }
    // Of a message whose place is not known, it is not known which messages are older.
    const older = state === "read" && message.place !== WAITING ? await work.unreadUpTo(message) : [];
    for (const each of older) work.putMessage(withState(each, "read"));
    let next = withState(work.written.get(`${message.conversation} ${message.uid}`) ?? message, state, reason);
    if (state === "failed" && item?.file && next.file) next = { ...next, file: { ...next.file, key: "", blob: item.file } };
    if (next.place === WAITING) {
      if (state === "failed") next = { ...next, place: await work.newestPlace(next.conversation), order: next.order };
      else this.unplaced.add(next.conversation);
    }
    work.putMessage(next);
    const conversation = this.conversation(next.conversation);
    if (conversation.last?.uid === next.uid) {
      conversation.last = { ...conversation.last, state: next.state };
      touched.add(conversation.key);
    }
  }

  /**
   * Undo what the page showed of a change that the server has refused.
   * @param {Work} work
   * @param {OutboxItem} item
   * @param {string} reason
   */
  async takeBack(work, item, reason) {
    await this.restore(work, item);
    this.notice(new Refused(102, reason));
  }

  /**
   * @param {Work} work
   * @param {OutboxItem} item
   */
  async restore(work, { before }) {
    const now = before && (await work.message(before.conversation, before.uid));
    if (before && now) work.putMessage(restored(now, before));
    else if (before) work.show(before);
  }

  /** @param {Frame} frame */
  async handleOther(frame) {
    const id = frame.headers.get("id") ?? "";
    const request = this.requests.get(frame.headers.get("history") ?? "");
    if (frame.verb === "FORWARD") {
      if (request && request.forwards.length < 1000) request.forwards.push(frame);
    } else if (frame.verb === "REGISTERED") await this.onRegistered(frame);
    else if (frame.verb === "ERROR") await this.handleError(frame, id);
    else if (frame.verb === "ACCEPTED") await this.onAccepted(frame, id);
    else if (frame.verb === "SEND" && frame.headers.has("have")) await this.onProgress(frame, id);
    else if (frame.verb === "SEND" || frame.verb === "READ") await this.onOutcome(id, frame.verb === "READ" ? "read" : "delivered", "");
    else if (frame.verb === "TYPING") this.onTyping(frame);
    else if (frame.verb === "STATUS" && frame.words.length) this.setStatuses([{ name: frame.words[0], state: frame.headers.get("state") }]);
    else if (frame.verb === "PROFILE" && frame.words.length && !id)
      this.setProfiles([{ name: frame.words[0], ...saidIn(frame) }]);
    else this.answered(id || this.oldest(frame.verb), frame);
  }

  /**
   * Return the request that an answer without an Id belongs to: answers come in the order of the requests.
   * @param {string} verb
   */
  oldest(verb) {
    return [...this.requests.keys()].find((key) => key.startsWith(`${verb}-`)) ?? "";
  }

  /**
   * @param {string} id
   * @param {Frame} frame
   */
  answered(id, frame) {
    const request = this.requests.get(id);
    if (!request) return;
    this.requests.delete(id);
    clearTimeout(request.timer);
    request.resolve({ frame, forwards: request.forwards });
  }

  /**
   * @param {Frame} frame
   * @param {string} id
   */
  async handleError(frame, id) {
    const error = refusal(frame);
    const request = this.requests.get(id);
    if (request) {
      this.requests.delete(id);
      clearTimeout(request.timer);
      request.reject(error);
    } else if (!this.registered) this.refused(error);
    else if (error.code === 105 && this.inFlight.has(id)) {
      this.inFlight.delete(id);
      this.resumeAt = Date.now() + Math.max(1, error.retryAfter) * 1000;
      this.pumpSoon(this.resumeAt);
    } else if (error.code === 102 && id) await this.onOutcome(id, "failed", error.message);
    else if (error.code === 108) this.replaced();
    else if (error.code >= 103) this.link.lose(this.link.socket, error.message, error.wait);
  }

  /** @param {Refused} error */
  refused(error) {
    const wrong = error.code === 104 && ["login", ""].includes(error.kind);
    const taken = error.code === 100 && (!this.account.guest || ++this.guestTries > 10 || error.kind === "guests");
    if (wrong || taken) {
      this.giveUp("refused");
      this.emit({ kind: "signed-out", problem: problemOf(error) });
    } else if (error.code === 104) this.giveUp("refused", error); // another connection may be accepted
    else this.link.lose(this.link.socket, error.message, error.wait);
  }

  /** Another connection has taken the place of this one (rule 10.7), or the device was logged out. */
  replaced() {
    // If the device was logged out, the next connection is refused.
    const again = Date.now() - this.replacedAt < STEADY;
    this.replacedAt = Date.now();
    if (again) this.giveUp("refused");
    else this.link.lose(this.link.socket, "");
  }

  /**
   * @param {"refused"} state
   * @param {Refused} [error] why; none if another connection has taken the place of this one
   */
  giveUp(state, error) {
    this.link.close();
    this.lost("", 0);
    this.setState({ state, reason: "", retryAt: 0, problem: error && problemOf(error) });
  }

  /**
   * @param {Frame} frame
   * @param {string} id
   */
  async onAccepted(frame, id) {
    /** @type {Set<string>} */
    const touched = new Set();
    const seq = number(frame, "seq");
    const written = await this.store.write(async (work) => {
      const item = await work.waiting(id);
      this.inFlight.delete(id);
      if (!item) return work.written;
      const conversation = this.conversation(item.to);
      const place = isRoomKey(conversation.key) ? number(frame, "place") : seq;
      // A guest's messages to a member wait for their delivery only while the connection lasts.
      work.table("outbox").delete(item.number);
      touched.add(conversation.key);
      if (item.uid) await this.accepted(work, item, conversation, { place, seq, of: number(frame, "members"), time: timeOf(frame.headers) });
      for (const key of touched) work.putConversation(this.conversation(key));
      return work.written;
    });
    this.emit({ kind: "put", messages: [...written.values()], conversations: [...touched].map((key) => this.conversation(key)) });
    for (const key of this.unplaced) void this.findPlaces(key).catch(() => undefined);
    this.pump();
  }

  /**
   * @param {Work} work
   * @param {OutboxItem} item
   * @param {Conversation} conversation
   * @param {{place: number, seq: number, of: number, time: number}} given
   */
  async accepted(work, item, conversation, { place, seq, of, time }) {
    const message = await work.message(conversation.key, item.uid);
    if (!message) return;
    let next = withState({ ...message, seq: seq || message.seq, of: of || message.of, time: time || message.time }, "accepted");
    if (place) next = { ...next, place, order: 0 };
    else if (this.account.guest) next = { ...next, place: (await work.newestPlace(conversation.key)) + 1 };
    else if (next.place === WAITING) this.unplaced.add(conversation.key);
    work.putMessage(next);
    conversation.newest = Math.max(conversation.newest, seq);
    this.noteLast(conversation, next);
  }

  /**
   * Ask for the places of messages that were accepted when the answer was lost.
   * @param {string} key
   */
  async findPlaces(key) {
    this.unplaced.delete(key);
    await this.history(key, true);
  }

  /**
   * @param {Frame} frame
   * @param {string} id
   */
  async onProgress(frame, id) {
    const written = await this.store.write(async (work) => {
      const message = await work.sent(id);
      if (message) work.putMessage({ ...message, have: number(frame, "have"), of: number(frame, "of") });
      return work.written;
    });
    this.emit({ kind: "put", messages: [...written.values()], conversations: [] });
  }

  /**
   * @param {string} id
   * @param {"delivered" | "read" | "failed"} state
   * @param {string} reason
   */
  async onOutcome(id, state, reason) {
    /** @type {Set<string>} */
    const touched = new Set();
    const written = await this.store.write(async (work) => {
      await this.settle(work, id, state, reason, touched);
      for (const message of work.written.values()) {
        // A guest's messages have no numbers: they stand where they were answered.
        if (this.account.guest && message.place === WAITING)
          work.putMessage({ ...message, place: (await work.newestPlace(message.conversation)) + 1, order: 0 });
      }
      if (this.account.guest) this.unplaced.clear();
      for (const key of touched) work.putConversation(this.conversation(key));
      return work.written;
    });
    this.emit({ kind: "put", messages: [...written.values()], conversations: [...touched].map((key) => this.conversation(key)) });
    this.pump();
  }

  /** @param {Frame} frame */
  onTyping(frame) {
    const name = frame.words[0] ?? "";
    const conversation = keyOf(frame.headers.get("to") ?? name);
    if (isName(name)) this.emit({ kind: "typing", conversation, name, until: Date.now() + TYPING });
  }

  /** @param {Message} message */
  onNews(message) {
    const conversation = this.conversation(message.conversation);
    if (!isRoomKey(conversation.key)) this.emit({ kind: "typing", conversation: conversation.key, name: message.sender, until: 0 });
    if (!this.account.guest && !message.guest && !(keyOf(message.sender) in this.profiles)) this.askProfile(message.sender);
    if (isNotified(conversation, message, Date.now())) this.emit({ kind: "news", message });
  }

  /** @param {string} name */
  askProfile(name) {
    const key = keyOf(name);
    this.profiles[key] = { display: "", status: "", picture: "" };
    this.request("PROFILE", [name]).then(
      ({ frame }) => this.setProfiles([{ name, ...saidIn(frame) }]),
      () => delete this.profiles[key],
    );
  }

  /** @param {any[]} listed */
  setStatuses(listed) {
    for (const { name, state } of listed) if (typeof name === "string" && isName(name)) this.presence[keyOf(name)] = String(state);
    this.emit({ kind: "presence", presence: this.presence });
  }

  /** @param {any[]} listed */
  setProfiles(listed) {
    for (const { name, display, status, picture } of listed) {
      if (typeof name !== "string" || !isName(name)) continue;
      this.profiles[name.toLowerCase()] = {
        display: String(display ?? ""), status: String(status ?? ""), picture: /^[0-9a-f]{64}$/.test(picture) ? picture : "",
      };
    }
    this.emit({ kind: "profiles", profiles: this.profiles });
  }

  // Conversations

  /**
   * Return the conversation with a name; a new one if there is none.
   * @param {string} name
   * @returns {Conversation}
   */
  conversation(name) {
    const key = keyOf(name);
    let found = this.conversations.get(key);
    if (!found) {
      found = newConversation(name);
      this.conversations.set(key, found);
    }
    return found;
  }

  /**
   * @param {Conversation} conversation
   * @param {Message} message
   */
  noteLast(conversation, message) {
    const recency = message.seq || conversation.newest || this.lastSeq;
    conversation.recency = Math.max(conversation.recency, this.account.guest ? Date.now() : recency);
    if (message.event && conversation.last) return;
    const last = conversation.last;
    if (last && last.time > message.time && last.uid !== message.uid) return;
    conversation.last = {
      sender: message.sender, guest: message.guest, text: (message.text || message.file?.name || "").slice(0, 200), time: message.time,
      state: message.state, uid: message.uid,
    };
  }

  /** @param {any[]} listed */
  async updateConversations(listed) {
    /** @type {Conversation[]} */
    const changed = [];
    for (const each of listed) {
      const name = String(each.name ?? "");
      if (!isName(name) && !isRoom(name)) continue;
      const conversation = this.conversation(name);
      conversation.name = name;
      conversation.muted = each.muted === true;
      conversation.blocked = each.blocked === true;
      conversation.pinned = each.pinned === true;
      conversation.closed = each.closed === true;
      conversation.mutedUntil = time(each.muted_until ?? "");
      conversation.notifyAll = each.notify === "all";
      if (isRoom(name)) {
        conversation.role = String(each.role ?? "");
        conversation.left = conversation.role === "none";
      }
      const read = Number(each.read) || 0;
      const newest = Number(each.newest) || 0;
      if (read < conversation.read) [conversation.unread, conversation.mentions] = await this.store.unread(conversation.key, conversation.read);
      else {
        conversation.read = read;
        this.counted.set(conversation.key, newest);
        const [later, laterMentions] = await this.store.unread(conversation.key, Math.max(read, newest));
        conversation.unread = (Number(each.unread) || 0) + later;
        conversation.mentions = (Number(each.mentions) || 0) + laterMentions;
      }
      conversation.newest = Math.max(conversation.newest, newest);
      conversation.recency = Math.max(conversation.recency, newest);
      changed.push(conversation);
    }
    const mine = new Set(changed.map((each) => each.key));
    if (listed.length < 1000)
      for (const room of this.conversations.values()) {
        if (!isRoomKey(room.key) || mine.has(room.key) || room.left) continue;
        room.left = true;
        room.role = "none";
        changed.push(room);
      }
    await this.saveConversations(changed);
  }

  /** @param {any[]} rooms */
  async updateRooms(rooms) {
    /** @type {Conversation[]} */
    const changed = [];
    for (const each of rooms) {
      const room = this.conversations.get(keyOf(String(each.name ?? "")));
      if (!room || each.role === "none") continue;
      room.topic = String(each.topic ?? "");
      room.access = String(each.access ?? "");
      room.guests = each.guests === true;
      room.members = Number(each.members) || 0;
      changed.push(room);
    }
    await this.saveConversations(changed);
  }

  /**
   * Take over what the server says of a room that the user is in (rule 12.2).
   * @param {Frame} frame
   */
  async takeRoom(frame) {
    const { words: [name = ""], headers } = frame;
    const role = headers.get("role") ?? "";
    if (!isRoom(name) || role === "none") return;
    const room = this.conversation(name);
    Object.assign(room, { role, left: false, topic: headers.get("topic") ?? "", access: headers.get("access") ?? "", guests: headers.get("guests") === "yes", members: number(frame, "members") });
    await this.saveConversations([room]);
  }

  /** @param {Conversation[]} changed */
  async saveConversations(changed) {
    if (!changed.length) return;
    await this.store.write(async (work) => changed.forEach((each) => work.putConversation(each)));
    this.emit({ kind: "put", messages: [], conversations: changed.map((each) => ({ ...each })) });
  }

  /** Ask the server for the counts, once for many changes. */
  recountSoon() {
    clearTimeout(this.recountTimer);
    this.recountTimer = setTimeout(() => {
      if (!this.registered) return;
      this.request("CONVERSATIONS", [])
        .then(({ frame }) => this.queue(() => this.updateConversations(jsonList(frame.body))))
        .then(() => this.request("ROOMS", []))
        .then(({ frame }) => this.queue(() => this.updateRooms(jsonList(frame.body))))
        .catch(() => undefined);
    }, 300);
  }

  /** @param {Conversation} conversation */
  tellRead(conversation) {
    if (this.registered && !this.account.guest) this.link.send(encodeFrame("READ", [conversation.name], { Seq: conversation.read }));
  }

  // Requests

  /**
   * Send a request, and return its answer.
   * @param {string} verb
   * @param {string[]} words
   * @param {Record<string, string | number | null | undefined>} [headers]
   * @param {Uint8Array | null} [body]
   * @returns {Promise<Answer>}
   * @throws {Refused} the server refuses it, or there is no connection
   */
  request(verb, words, headers = {}, body = null) {
    return new Promise((resolve, reject) => {
      if (!this.registered) return reject(new Refused(0, "offline"));
      if (this.requests.size >= MOST_REQUESTS) return reject(new Refused(105, "too many requests wait"));
      const id = String(headers.Id ?? `${verb}-${newId().slice(0, 12)}`);
      const timer = setTimeout(() => {
        this.requests.delete(id);
        reject(new Refused(0, "the server does not answer"));
      }, PATIENCE);
      this.requests.set(id, { resolve, reject, forwards: [], timer });
      try {
        this.link.send(encodeFrame(verb, words, { ...headers, Id: id }, body));
      } catch (error) {
        this.requests.delete(id);
        clearTimeout(timer);
        reject(error);
      }
    });
  }

  /** Wait until there is a connection. */
  connected() {
    if (this.registered) return Promise.resolve();
    return /** @type {Promise<void>} */ (new Promise((resolve, reject) => this.awaiting.push({ resolve, reject })));
  }

  /**
   * Fetch the messages before the oldest one that is stored, or the newest ones.
   * @param {string} key
   * @param {boolean} [newest]
   * @returns {Promise<number>} how many came
   */
  async history(key, newest = false) {
    const conversation = this.conversation(key);
    if (this.account.guest || (conversation.complete && !newest)) return 0;
    const [oldest] = newest ? [] : await this.store.newer(key, /** @type {any} */ ({ place: -Infinity, order: -Infinity }), 1);
    const before = oldest && oldest.place !== WAITING ? oldest.place : null;
    const { frame, forwards } = await this.request("HISTORY", [conversation.name], { Before: before, Limit: PAGE });
    await this.queue(async () => {
      const written = await this.store.write(async (work) => {
        for (const each of forwards) await this.takeHistory(work, each);
        const short = number(frame, "count") < PAGE && forwards.reduce((sum, each) => sum + each.body.length, 0) < 3 << 20;
        if (!newest && (short || !forwards.length)) conversation.complete = true;
        work.putConversation(conversation);
        return work.written;
      });
      this.emit({ kind: "put", messages: [...written.values()], conversations: [conversation] });
    });
    return forwards.length;
  }

  /**
   * @param {Work} work
   * @param {Frame} frame
   */
  async takeHistory(work, frame) {
    if (isChange(frame)) {
      const found = changeOf(frame, this.account.name, Date.now());
      // Edits and deletions are in the messages already.
      if (found?.change.kind === "react") await work.change(keyOf(found.name), found.uid, found.change);
      return;
    }
    const found = messageOf(frame, this.account.name, Date.now());
    if (!found) return;
    const [stored] = await work.take(found[1]);
    this.noteLast(this.conversation(found[0]), stored);
  }

  // The outbox

  /** Send what waits, in order. */
  pump() {
    if (this.pumping) {
      this.pumpAgain = true;
      return;
    }
    this.pumping = true;
    this.pumpAgain = false;
    this.pumpOnce()
      .catch((error) => this.notice(error))
      .finally(() => {
        this.pumping = false;
        if (this.pumpAgain && !this.stopped) this.pump();
      });
  }

  /** @param {number} at in milliseconds since 1970 */
  pumpSoon(at) {
    clearTimeout(this.pumpTimer);
    this.pumpTimer = setTimeout(() => this.pump(), Math.max(0, at - Date.now()) + 20);
  }

  async pumpOnce() {
    const items = await this.store.outbox();
    const now = Date.now();
    /** @type {Set<string>} the conversations in which a file must be sent first */
    const held = new Set();
    for (const item of items) {
      if (!this.registered || this.stopped) return;
      const key = keyOf(item.to);
      if (this.inFlight.has(item.id)) continue;
      if (isSoon(this.resumeAt, now)) return this.pumpSoon(this.resumeAt);
      if (isSoon(item.notBefore, now)) {
        this.pumpSoon(item.notBefore);
        continue;
      }
      if (held.has(key)) continue;
      if (item.file && !item.headers.File) {
        held.add(key);
        void this.transfers().then((each) => each.upload(item), (error) => this.notice(error));
        continue;
      }
      if (this.inFlight.size >= IN_FLIGHT) return;
      const body = toBytes(item.body);
      if (body.length > this.maxBody) {
        await this.onOutcome(item.id, "failed", "reason.large"); // the server would close the connection, again and again
        continue;
      }
      this.inFlight.add(item.id);
      this.link.send(encodeFrame("SEND", [item.to], { ...item.headers, Id: item.id }, body));
    }
  }

  /** Return what transfers files. It is loaded when the first file is. */
  transfers() {
    this.transfersLoaded ??= import("./transfers.js").then(({ Transfers }) => new Transfers(this));
    this.transfersLoaded.catch(() => {
      this.transfersLoaded = null;
    });
    return this.transfersLoaded;
  }

  /**
   * Say of a guest's messages that it is not known whether they arrived: a guest's messages are not repeated.
   * @param {string[]} ids
   */
  async guestLost(ids) {
    for (const id of ids) await this.onOutcome(id, "failed", "reason.lost");
  }

  // What the tabs ask for

  /**
   * @param {string} method
   * @param {any[]} given
   * @returns {Promise<any>}
   */
  async call(method, given) {
    const methods = /** @type {Record<string, (...given: any[]) => any>} */ (/** @type {unknown} */ (this.methods));
    if (!Object.hasOwn(methods, method)) throw new Error(`there is no ${method}`);
    return methods[method](...given);
  }

  methods = {
    /** Everything that a new tab needs and that is not in the store. */
    snapshot: () => ({ link: this.state, presence: this.presence, profiles: this.profiles }),
    pump: () => this.pump(),
    connect: () => this.link.wake(),
    history: (/** @type {string} */ key) => this.history(key),
    read: (/** @type {string} */ key, /** @type {number} */ seq) => this.queue(() => this.markRead(key, seq)),
    activity: (/** @type {string} */ state) => this.setActivity(state),
    typing: (/** @type {string} */ name) => {
      if (this.registered && !this.account.guest) this.link.send(encodeFrame("TYPING", [name]));
    },
    open: (/** @type {string} */ name) => this.queue(() => this.open(name)),
    request: async (/** @type {string} */ verb, /** @type {string[]} */ words, /** @type {any} */ headers, /** @type {string | null} */ body) => {
      const { frame, forwards } = await this.request(verb, words, headers, body === null ? null : toBytes(body));
      if (verb === "ROOM" && ["create", "join", "leave"].includes(headers?.Do)) this.recountSoon();
      if (verb === "ROOM" && frame.headers.has("members")) await this.queue(() => this.takeRoom(frame));
      return { words: frame.words, headers: Object.fromEntries(frame.headers), body: toText(frame.body), messages: this.shownMessages(forwards), first: placeIn(forwards[0]) };
    },
    download: (/** @type {import("../model/types.js").FileRecord} */ file, /** @type {string} */ uid) =>
      this.transfers().then((each) => each.download(file, uid)),
    /** The picture of a member (rule 18.5); empty if the member has another one now. */
    picture: async (/** @type {string} */ name, /** @type {string} */ hash) => (await this.request("PROFILE", [name], { Picture: hash })).frame.body,
    /** Give the user a picture (rule 18.4), or none. */
    setPicture: async (/** @type {Uint8Array | null} */ body, /** @type {string} */ hash) => {
      const { frame } = await this.request("PROFILE", [], { Picture: hash }, body);
      this.setProfiles([{ name: this.account.name, ...saidIn(frame) }]);
      if ((frame.headers.get("picture") ?? "") !== hash) throw new Refused(102, "the server is too old for pictures");
    },
    cancel: (/** @type {string} */ id) => this.queue(() => this.cancel(id)),
    signOut: () => this.signOut(),
  };

  /** @param {Frame[]} forwards */
  shownMessages(forwards) {
    /** @type {Map<string, Message>} */
    const shown = new Map();
    for (const each of forwards) {
      if (isChange(each)) {
        // Edits and deletions are in the messages already.
        const found = changeOf(each, this.account.name, Date.now());
        const target = found?.change.kind === "react" && (shown.get(found.uid) ?? shown.get(guestTarget(found.uid, found.change)));
        if (found && target) shown.set(target.uid, changed(target, found.change));
        continue;
      }
      const found = messageOf(each, this.account.name, Date.now());
      if (found && conversationOf(each, this.account.name)) shown.set(`${found[1].uid}`, found[1]);
    }
    return [...shown.values()];
  }

  /**
   * Create a conversation in the list, or show a closed one again.
   * @param {string} name
   */
  async open(name) {
    const conversation = this.conversation(name);
    conversation.recency = conversation.recency || (this.account.guest ? Date.now() : this.lastSeq);
    if (conversation.closed && this.registered) void this.request("CONVERSATION", [conversation.name], { Closed: "no" }).catch(() => undefined);
    conversation.closed = false;
    await this.saveConversations([conversation]);
  }

  /**
   * Record that the user has read messages, and tell the server now or later.
   * @param {string} key
   * @param {number} seq
   */
  async markRead(key, seq) {
    const conversation = this.conversations.get(key);
    if (!conversation || (seq <= conversation.read && !conversation.unread)) return;
    conversation.read = Math.max(seq, conversation.read);
    if (seq >= conversation.newest) conversation.unread = conversation.mentions = 0;
    else [conversation.unread, conversation.mentions] = await this.store.unread(key, seq);
    this.tellRead(conversation);
    await this.saveConversations([conversation]);
  }

  /** @param {string} state */
  setActivity(state) {
    if (state === this.activity) return;
    this.activity = state;
    if (this.registered && !this.account.guest)
      this.request("STATUS", [], { State: state }).then(({ frame }) => this.setStatuses(jsonList(frame.body)), () => undefined);
  }

  /**
   * Do not send something that waits.
   * @param {string} id
   * @returns {Promise<boolean>} whether it was still waiting
   */
  async cancel(id) {
    if (this.inFlight.has(id)) return false;
    let found = false;
    let uid = "";
    let key = "";
    const written = await this.store.write(async (work) => {
      const item = await work.waiting(id);
      if (!item) return work.written;
      found = true;
      key = keyOf(item.to);
      uid = item.uid;
      work.table("outbox").delete(item.number);
      if (item.uid) work.removeMessage(key, item.uid);
      else await this.restore(work, item);
      return work.written;
    });
    if (uid) this.emit({ kind: "removed", conversation: key, uids: [uid] });
    this.emit({ kind: "put", messages: [...written.values()], conversations: [] });
    this.pump();
    return found;
  }

  async signOut() {
    if (!this.account.guest && this.registered) await this.request("REVOKE", [this.account.device]).catch(() => undefined);
    this.emit({ kind: "signed-out", problem: null });
  }
}

/**
 * Return whether a time is still to come. One that is far away was set by a clock that has been put back since.
 * @param {number} time in milliseconds since 1970
 * @param {number} now
 */
const isSoon = (time, now) => time > now && time - now <= LONGEST_WAIT;

/**
 * Return what a PROFILE says of a member.
 * @param {Frame} frame
 */
const saidIn = ({ headers }) => ({ display: headers.get("display"), status: headers.get("status"), picture: headers.get("picture") });

/**
 * Return the number of an entry in its conversation: its place in the room, or its number in the log; 0 if there is none.
 * @param {Frame | undefined} frame
 */
const placeIn = (frame) => frame ? number(frame, "place") || number(frame, "seq") : 0;
