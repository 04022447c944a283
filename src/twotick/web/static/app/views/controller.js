/**
 * What the views can do: it joins the profile, the state of the tab, and the address bar.
 *
 * @typedef {import("../model/types.js").Account} Account
 * @typedef {import("../model/types.js").Conversation} Conversation
 * @typedef {import("../model/types.js").Event} Event
 * @typedef {import("../model/types.js").Message} Message
 * @typedef {import("../model/state.js").Action} Action
 * @typedef {import("../model/state.js").AppState} AppState
 */
import { isMuted, isRoomKey, keyOf, listed, newConversation } from "../model/conversations.js";
import { senderText, uidOf } from "../model/messages.js";
import { reduce, START } from "../model/state.js";
import { emptyWindow, withNewer, withOlder } from "../model/window.js";
import { Profile } from "../net/profile.js";
import { isIdent, isName, isRoom, newId } from "../protocol/words.js";
import { Accounts, Store } from "../store/database.js";
import { plural, t, withTexts } from "../texts/index.js";
import { chosen } from "./choices.js";

const PAGE = 60;
const TYPING_EVERY = 3_000;
const AWAY_AFTER = 300_000;
const NOTICE = 5_000;
const UNDO = 10_000;

/** Without a connection before it was loaded for the first time, there are no notifications, and no messages either. */
const notifications = () => import("../net/notifications.js").catch(() => null);
const pushes = () => import("./push.js");

/** The address of the server's WebSocket. */
export const socketUrl = () => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/connect`;

/** Controls one tab. */
export class Controller {
  /** @param {import("./controller.js").ServerInfo} info */
  constructor(info) {
    this.info = info;
    /** @type {AppState} */
    this.state = START;
    /** @type {Profile | null} */
    this.profile = null;
    this.signedOut = "";
    /** @type {() => void} */
    this.render = () => {};
    this.drawing = false;
    /** @type {Set<string>} the conversations of which more messages are being loaded */
    this.loading = new Set();
    this.typed = 0;
    this.typingTimer = 0;
    this.awayTimer = 0;
    this.opening = 0;
    /** @type {Promise<void>} what is being written to the store */
    this.sending = Promise.resolve();
    /** Whether the server knows where to push notifications, since the page was opened. */
    this.pushStated = false;
    /** Whether a newer version of the page is ready. */
    this.update = false;
    /** @type {Map<string, Promise<string>>} addresses of loaded files */
    this.files = new Map();
    /** The message at the top of what the user looks at; empty if that is the newest. */
    this.looking = "";
    /** @type {any} the open dialog */
    this.dialog = null;
    /** @type {(mode: import("./talk.js").Mode) => void} begins a reply or an edit in the conversation that is open */
    this.compose = () => {};
    /** @type {{key: string, target: import("./jump.js").Target} | null} the message to show when its conversation is open */
    this.goal = null;
    /** @type {import("../net/recording.js").Recording | import("../net/recording.js").KeptRecording | null} */
    this.recording = null;
    addEventListener("hashchange", () => this.route());
    document.addEventListener("visibilitychange", () => this.onActive());
    addEventListener("focus", () => this.onActive());
    addEventListener("keydown", (event) => this.onKey(event));
    // A file that misses its place must not replace the page.
    for (const each of /** @type {("dragover" | "drop")[]} */ (["dragover", "drop"]))
      addEventListener(each, (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault());
    for (const each of ["pointerdown", "keydown"]) addEventListener(each, () => this.onActive(), { passive: true });
  }

  /**
   * Handle a key that counts anywhere, as in the terminal app.
   * @param {KeyboardEvent} event
   */
  onKey(event) {
    // A dialog that the user has closed is still known for a moment, until the browser tells of it.
    if (!this.profile || (this.dialog && document.querySelector("dialog[open]"))) return;
    const { key, altKey } = event;
    const command = event.ctrlKey || event.metaKey;
    /** @type {(() => void) | null} */
    const act =
      command && key === "k" ? () => this.openDialog({ name: "newConversation" })
      : (altKey || command) && key === "ArrowDown" ? () => this.step(1)
      : (altKey || command) && key === "ArrowUp" ? () => this.step(-1)
      : key === "F3" || (altKey && key === "a") ? () => this.nextUnread()
      : key === "F1" || (key === "?" && !isTyped(event.target)) ? () => this.openDialog({ name: "keys" })
      : key === "F2" && this.isMember && this.current && this.current.key !== "all" ? () => this.openDialog({ name: "details", conversation: this.current })
      : key === "F6" && this.isMember ? () => this.openDialog({ name: "rooms" })
      : key === "F7" && this.isMember ? () => this.openDialog({ name: "newRoom" })
      : null;
    if (!act) return;
    event.preventDefault();
    act();
  }

  /**
   * Go to a conversation above or below in the list.
   * @param {number} by
   */
  step(by) {
    const all = listed(Object.values(this.state.conversations), this.state.window.key);
    const at = all.findIndex((each) => each.key === this.state.window.key);
    const next = all[at < 0 ? 0 : at + by];
    if (next) this.open(next.name);
  }

  /** Go to the next unread conversation. Mentions come first. */
  nextUnread() {
    const all = listed(Object.values(this.state.conversations), "").filter((each) => each.unread && each.key !== this.state.window.key);
    const next = all.find((each) => each.mentions) ?? all.find((each) => !isMuted(each, Date.now()));
    if (next) this.open(next.name);
  }

  /** @param {Action | Event} action */
  dispatch(action) {
    this.state = reduce(this.state, /** @type {Action} */ (action));
    this.draw();
  }

  /** Draw the page again, once for many changes. */
  draw() {
    if (this.drawing) return;
    this.drawing = true;
    const now = () => {
      if (!this.drawing) return;
      this.drawing = false;
      this.render();
    };
    requestAnimationFrame(now);
    setTimeout(now, 100); // a tab in the background has no frames
  }

  // The account

  /** @param {Account} account */
  async enter(account) {
    const store = await Store.open(account);
    this.profile = new Profile(account, store, socketUrl(), (event) => this.onEvent(event));
    this.signedOut = "";
    const [conversations, drafts] = await Promise.all([store.conversations(), store.drafts()]);
    this.dispatch({ kind: "started", conversations, drafts });
    this.route();
    if (chosen(`recording.${account.name}`)) void withTexts(import("./voice.js")).then((each) => each.restore(this)).catch((error) => this.complain(error));
    await this.profile.ready;
    void this.refresh();
    this.onActive();
  }

  /** Take over what the session knows that is not in the store. */
  async refresh() {
    const known = await this.profile?.call("snapshot").catch(() => null);
    if (!known) return;
    this.dispatch({ kind: "link", link: known.link });
    void this.explainLink();
    this.dispatch({ kind: "presence", presence: known.presence });
    this.dispatch({ kind: "profiles", profiles: known.profiles });
  }

  /** @param {Event} event */
  onEvent(event) {
    if (event.kind === "signed-out") return void this.leave(event.problem);
    if (event.kind === "notice") return this.complain(event.problem);
    this.dispatch(event.kind === "put" ? { ...event, looking: this.looking } : event);
    if (event.kind === "link" && event.link.state === "online" && this.profile?.session && !this.pushStated) this.restatePush();
    if (event.kind === "link") void this.explainLink();
    if (event.kind === "news") this.onNews(event.message);
    if (event.kind === "typing" && event.until) setTimeout(() => this.dispatch({ kind: "tick" }), event.until - Date.now() + 50);
    if (event.kind === "put") this.titled();
  }

  /** Say why the server refuses the connection, if it does. */
  async explainLink() {
    const { link } = this.state;
    if (!link.problem) return;
    const reason = await this.explain(link.problem, "session");
    if (this.state.link === link) this.dispatch({ kind: "link", link: { ...link, reason } });
  }

  /**
   * Leave the account: the user has signed out, or the server refuses the device.
   * @param {import("../model/types.js").Problem | null} problem null if the user has signed out
   */
  async leave(problem) {
    const profile = this.profile;
    if (!profile) return;
    this.profile = null;
    profile.close();
    const reason = problem && (await this.explain(problem, "session"));
    this.forgetNews("");
    if (chosen("push")) pushes().then((found) => found.leavePush()).catch(console.warn);
    if ("clearAppBadge" in navigator) void navigator.clearAppBadge().catch(() => undefined);
    await (await Accounts.open()).forget();
    if (!reason || profile.account.guest) await Store.remove(profile.account);
    this.state = START;
    this.dialog = null;
    this.recording?.leave();
    this.recording = null;
    this.signedOut = reason ?? "";
    this.files.clear();
    history.replaceState(null, "", location.pathname);
    document.title = "Twotick";
    this.draw();
  }

  get me() {
    return this.profile?.account.name ?? "";
  }

  get isMember() {
    return this.profile?.account.guest === false;
  }

  // Conversations

  /** Show the conversation that the address bar names. */
  route() {
    if (!this.profile) return;
    const [name, sender, id] = addressed();
    if (isName(sender) && isIdent(id)) this.goal = { key: keyOf(name), target: { uid: uidOf(sender, id), sender, id } };
    if (isName(name) || isRoom(name)) void this.show(name);
    else this.dispatch({ kind: "opened", window: emptyWindow(""), readBefore: 0 });
  }

  /**
   * Go to a conversation.
   * @param {string} name
   */
  open(name) {
    const known = this.state.conversations[keyOf(name)];
    if (!known || known.closed) void this.profile?.call("open", name).catch((error) => this.complain(error));
    this.dialog = null;
    const hash = `#/${encodeURIComponent(known?.name ?? name)}`;
    if (location.hash === hash) this.route();
    else location.hash = hash;
  }

  /**
   * Go back to the list of conversations, from this one.
   * @param {string} key
   */
  back(key) {
    if (key === this.state.window.key) location.hash = "#/";
  }

  /** @returns {Conversation | null} the conversation that is open */
  get current() {
    const key = this.state.window.key;
    if (!key) return null;
    return this.state.conversations[key] ?? newConversation(addressed()[0]);
  }

  /**
   * Go to a message.
   * @param {string} name the name of its conversation
   * @param {import("./jump.js").Target} target
   */
  jump(name, target) {
    const key = keyOf(name);
    this.dialog = null;
    this.goal = { key, target };
    if (key === this.state.window.key) void this.show(name);
    else this.open(name);
  }

  /** @param {string} name */
  async show(name) {
    const key = keyOf(name);
    const goal = this.goal?.key === key ? this.goal : null;
    this.goal = null;
    const profile = this.profile;
    if (!profile) return;
    const turn = ++this.opening;
    if (key === this.state.window.key && !goal) return;
    if (goal && (await this.reach(name, goal.target))) return;
    if (turn !== this.opening || key === this.state.window.key) return;
    const conversation = this.state.conversations[key];
    const messages = await profile.store.older(key, null, PAGE);
    if (turn !== this.opening) return;
    const window = { key, messages, atOldest: messages.length < PAGE && (conversation?.complete ?? false), atNewest: true };
    this.dispatch({ kind: "opened", window, readBefore: conversation?.read ?? 0 });
    if (messages.length < PAGE && !window.atOldest && this.isMember) await this.loadOlder();
  }

  /**
   * Show a message among those around it.
   * @param {string} name
   * @param {import("./jump.js").Target} target
   * @returns {Promise<boolean>} whether it is shown, or another conversation is
   */
  async reach(name, target) {
    try {
      return await (await import("./jump.js")).reach(this, name, target);
    } catch (error) {
      this.complain(error);
      return false;
    }
  }

  /**
   * Return whether the same part of a conversation is shown still, or again.
   * @param {import("../model/window.js").Window} window what was shown
   * @param {0 | -1} end whether its first (0) or its last message (-1) matters
   */
  shows(window, end) {
    const now = this.state.window;
    const edge = window.messages.at(end);
    return now.key === window.key && now.apart === window.apart && (!edge || now.messages.at(end)?.uid === edge.uid);
  }

  /** Show older messages: stored ones, or those that the server has. */
  async loadOlder() {
    const { window } = this.state;
    const profile = this.profile;
    if (this.loading.has(window.key) || window.atOldest || !profile || !window.key) return;
    this.loading.add(window.key);
    try {
      if (window.apart) {
        const { messages, end } = await (await import("./jump.js")).older(this, window.messages[0]);
        if (this.shows(window, 0)) this.dispatch({ kind: "window", window: withOlder(this.state.window, messages, end) });
        return;
      }
      let older = await profile.store.older(window.key, window.messages[0] ?? null, PAGE);
      if (older.length < PAGE / 2 && this.isMember && !this.state.conversations[window.key]?.complete) {
        await profile.call("history", window.key).catch((error) => this.quietly(error));
        older = await profile.store.older(window.key, window.messages[0] ?? null, PAGE);
      }
      const end = older.length === 0 && (this.state.conversations[window.key]?.complete ?? !this.isMember);
      if (this.shows(window, 0)) this.dispatch({ kind: "window", window: withOlder(this.state.window, older, end) });
    } catch (error) {
      this.quietly(error);
    } finally {
      this.loading.delete(window.key);
    }
  }

  /** Show newer messages, if the newest ones are not shown. */
  async loadNewer() {
    const { window } = this.state;
    const last = window.messages.at(-1);
    if (this.loading.has(window.key) || window.atNewest || !this.profile || !last) return;
    this.loading.add(window.key);
    try {
      const { messages, end } = window.apart ? await (await import("./jump.js")).newer(this, last)
        : await this.profile.store.newer(window.key, last, PAGE).then((found) => ({ messages: found, end: found.length < PAGE }));
      if (this.shows(window, -1)) this.dispatch({ kind: "window", window: withNewer(this.state.window, messages, end) });
    } catch (error) {
      this.quietly(error);
    } finally {
      this.loading.delete(window.key);
    }
  }

  /**
   * Show the newest messages of a conversation, if it is open.
   * @param {string} key
   */
  async toNewest(key) {
    const { window } = this.state;
    if (window.key !== key || window.atNewest || !this.profile) return;
    const messages = await this.profile.store.older(window.key, null, PAGE);
    if (this.state.window.key === window.key)
      this.dispatch({ kind: "window", window: { key: window.key, messages, atOldest: false, atNewest: true } });
  }

  /** Record that the user has seen the newest messages. */
  seen() {
    const conversation = this.current;
    const { window } = this.state;
    if (!conversation || !window.atNewest || !this.profile || document.visibilityState !== "visible" || !document.hasFocus()) return;
    const newest = window.messages.reduce((most, each) => Math.max(most, each.seq), 0);
    if (newest <= conversation.read && !conversation.unread) return;
    this.forgetNews(conversation.key);
    void this.profile.call("read", conversation.key, newest).catch(() => undefined);
  }

  /**
   * Ask the server for something.
   * @param {string} verb
   * @param {string[]} words
   * @param {Record<string, string | number>} [headers]
   * @param {string | null} [body]
   * @returns {Promise<{words: string[], headers: Record<string, string>, body: string, messages: Message[], first: number}>}
   */
  ask(verb, words, headers = {}, body = null) {
    if (!this.profile) return Promise.reject(new Error(t("error.offline")));
    return this.profile.call("request", verb, words, headers, body);
  }

  // Messages

  /**
   * Send a message to the conversation in which it was written: another one may be open by now.
   * @param {Conversation} conversation
   * @param {string} text
   * @param {{replyTo?: [string, string] | null, file?: File | null}} more
   */
  async send(conversation, text, more = {}) {
    if (!this.profile) return;
    this.mustFit(text);
    clearTimeout(this.typingTimer);
    if (!more.file) this.dispatch({ kind: "draft", key: conversation.key, text: "" });
    const { profile } = this;
    // One after the other, in the order in which they were written.
    const sent = this.sending.then(async () => {
      await this.toNewest(conversation.key);
      await profile.send({ to: conversation.name, text, ...more });
    });
    this.sending = sent.catch(() => undefined);
    await sent.catch((error) => {
      const { drafts } = this.state;
      if (!more.file && !drafts[conversation.key]) this.dispatch({ kind: "draft", key: conversation.key, text });
      throw error;
    });
  }

  /**
   * @param {Conversation} conversation
   * @param {Iterable<File>} files
   */
  async sendFiles(conversation, files) {
    for (const file of files) {
      if (this.info.file_bytes && file.size > this.info.file_bytes) {
        const { sizeText } = await withTexts(import("../model/names.js"));
        this.say(t("error.fileSize", { name: file.name, size: sizeText(file.size), most: sizeText(this.info.file_bytes) }));
      } else await this.send(conversation, "", { file }).catch((error) => this.complain(error));
    }
  }

  /**
   * Send a voice note to the conversation for which it was recorded.
   * @param {import("../net/recording.js").Recording | import("../net/recording.js").KeptRecording} recording
   * @param {[string, string] | null} replyTo
   */
  async sendVoice({ to, file, header }, replyTo) {
    if (!file || !this.profile) return;
    await this.toNewest(keyOf(to));
    await this.profile.send({ to, text: "", file, voice: header, replyTo });
  }

  /**
   * @param {Message} message
   * @param {string} emoji
   */
  async react(message, emoji) {
    const mine = Object.entries(message.reactions).find(([name]) => name.toLowerCase() === this.me.toLowerCase());
    const body = mine?.[1].body === emoji ? "" : emoji;
    await this.change(message, "react", body);
  }

  /**
   * @param {Message} message
   * @param {"delete" | "react"} kind
   * @param {string} body
   * @param {number} [delay]
   */
  async change(message, kind, body, delay = 0) {
    const conversation = this.state.conversations[message.conversation] ?? this.current;
    if (!conversation || !this.profile) return "";
    return this.profile.change(conversation.name, message, kind, body, delay).catch((error) => {
      this.complain(error);
      return "";
    });
  }

  /**
   * @param {string} text
   * @throws {Error} the server does not take so long a text
   */
  mustFit(text) {
    const most = this.info.max_body;
    if (most && text.length * 3 > most && new Blob([text]).size > most) throw Object.assign(new Error("too large"), { code: 106 });
  }

  /**
   * Edit a message.
   * @param {Message} message
   * @param {string} text
   * @throws {Error} the change cannot be stored
   */
  async edit(message, text) {
    this.mustFit(text);
    const conversation = this.state.conversations[message.conversation] ?? this.current;
    if (conversation) await this.profile?.change(conversation.name, message, "edit", text);
  }

  /**
   * Keep what is typed. What was sent before is stored first, so that at no moment neither is.
   * @param {string} key of the conversation, or of an edit in it
   * @param {string} text
   */
  keepDraft(key, text) {
    this.dispatch({ kind: "draft", key, text });
    void this.sending.then(() => this.profile?.store.saveDraft(key, text)).catch((error) => this.complain(error));
  }

  /**
   * Delete a message. For some seconds the user can undo that.
   * @param {Message} message
   */
  async delete(message) {
    const id = await this.change(message, "delete", "", UNDO);
    if (id) this.say(t("message.deletedNow"), () => void this.profile?.call("cancel", id), UNDO);
  }

  /** @param {Message} message */
  async cancel(message) {
    const done = await this.profile?.call("cancel", message.id).catch(() => false);
    if (!done) this.say(t("message.late"));
  }

  /** @param {Message} message */
  async again(message) {
    const conversation = this.state.conversations[message.conversation] ?? this.current;
    // What was sent on is not here: the user can send that on again.
    if (message.file && !message.file.blob) return void withTexts(Promise.resolve()).then(() => this.say(t("error.fileAgain")));
    if (conversation && this.profile) await this.profile.sendAgain(message, conversation.name).catch((error) => this.complain(error));
  }

  /**
   * Tell the other users that the user is typing, and keep what is typed.
   * @param {Conversation} conversation
   * @param {string} text
   */
  typing(conversation, text) {
    if (!this.profile) return;
    this.keepDraft(conversation.key, text);
    clearTimeout(this.typingTimer);
    if (!text || !this.isMember) return;
    const tell = () => {
      this.typed = Date.now();
      void this.profile?.call("typing", conversation.name).catch(() => undefined);
    };
    // The server takes it once in 2 s.
    this.typingTimer = setTimeout(tell, Math.max(0, this.typed + TYPING_EVERY - Date.now()));
  }

  /**
   * Return the address of a message's file, which is loaded first.
   * @param {Message} message
   * @returns {Promise<string>}
   */
  fileUrl(message) {
    const { file } = message;
    const profile = this.profile;
    if (!file?.key || !profile) return Promise.reject(new Error(t("error.offline")));
    let found = this.files.get(file.key);
    if (!found) {
      found = profile.call("download", file, message.uid).then((blob) => URL.createObjectURL(new Blob([blob], { type: harmlessType(file.name) })));
      found.catch(() => this.files.delete(file.key));
      this.files.set(file.key, found);
      if (this.files.size > 60) this.dropFile();
    }
    return found;
  }

  dropFile() {
    const [key, url] = [...this.files][0];
    this.files.delete(key);
    url.then((each) => URL.revokeObjectURL(each), () => undefined);
  }

  // What the user is told

  /**
   * Show a line of text for some seconds.
   * @param {string} text
   * @param {(() => void) | null} [undo]
   * @param {number} [duration] in milliseconds
   */
  say(text, undo = null, duration = NOTICE) {
    this.dispatch({ kind: "shown", text, undo });
    this.endNotice(duration);
  }

  /** @param {number} duration in milliseconds */
  endNotice(duration) {
    const id = this.state.notice?.id ?? 0;
    setTimeout(() => this.dispatch({ kind: "unshown", id }), duration);
  }

  /** @param {unknown} error */
  complain(error) {
    void this.explain(error).then((text) => this.say(text, null, 8_000));
  }

  /**
   * Return what an error means and what to do.
   * @param {unknown} error
   * @param {"" | "in" | "up" | "guest" | "session"} [how] what the user was doing
   */
  async explain(error, how = "") {
    try {
      return (await withTexts(import("./errors.js"))).errorText(error, how);
    } catch {
      const { code, message } = /** @type {any} */ (error); // the texts cannot be loaded, as without a connection
      return code === 0 ? t("error.away") : t("error.other", { reason: String(message ?? error) });
    }
  }

  /** @param {unknown} error */
  quietly(error) {
    if (/** @type {any} */ (error).code) this.complain(error);
  }

  /** @param {Message} message */
  onNews(message) {
    const sender = senderText(message, t);
    const open = message.conversation === this.state.window.key;
    if (open || !isRoomKey(message.conversation))
      this.dispatch({ kind: "said", text: t("talk.news", { name: sender, text: (message.text || message.file?.name || "").slice(0, 200) }) });
    const quiet = document.visibilityState === "visible" || !this.profile?.session;
    if (quiet || !("Notification" in window) || Notification.permission !== "granted") return;
    const text = (message.text || message.file?.name || "").slice(0, 200);
    const name = this.state.conversations[message.conversation]?.name ?? message.sender;
    void notifications().then((found) => found?.notify({ key: message.conversation, name, sender, text }, () => this.open(name)));
  }

  /** @param {string} key the conversation that is read; empty for all */
  forgetNews(key) {
    if ("Notification" in window && Notification.permission === "granted") void notifications().then((found) => found?.forget(key));
  }

  /** Tell the server again where to push notifications: it, or the browser, may have dropped that. */
  restatePush() {
    const how = chosen("push");
    this.pushStated = true;
    if (how) pushes().then((found) => found.setPush(this, how)).catch(console.warn);
  }

  titled() {
    const unread = Object.values(this.state.conversations).reduce((sum, each) => sum + (isMuted(each, Date.now()) ? 0 : each.unread), 0);
    document.title = unread ? `(${unread}) Twotick` : "Twotick";
    if ("setAppBadge" in navigator) void (unread ? navigator.setAppBadge(unread) : navigator.clearAppBadge()).catch(() => undefined);
  }

  onActive() {
    clearTimeout(this.awayTimer);
    this.awayTimer = setTimeout(() => this.profile?.call("activity", "away").catch(() => undefined), AWAY_AFTER);
    if (document.visibilityState !== "visible") return;
    this.seen();
    if (this.profile && document.hasFocus()) void this.profile.call("activity", "here").catch(() => undefined);
  }

  /** @param {any} dialog */
  openDialog(dialog) {
    this.dialog = dialog && { key: newId(), ...dialog };
    this.draw();
  }

  /** @param {Conversation} conversation */
  membersText(conversation) {
    return conversation.members ? plural("talk.members", conversation.members) : "";
  }
}

/**
 * Return whether what is typed is a text.
 * @param {EventTarget | null} target
 */
const isTyped = (target) => target instanceof Element && target.matches("input, textarea, select");

/** What the address bar names: a conversation, and perhaps the sender and the Id of a message in it. */
function addressed() {
  const [, name = "", sender = "", id = ""] = /^#\/([^/]+)(?:\/([^/]+)\/([^/]+))?$/.exec(location.hash) ?? [];
  try {
    return [decodeURIComponent(name), sender, id];
  } catch {
    return ["", "", ""]; // it is not an address of the page
  }
}

/**
 * What the server tells before the user signs in (rule 19.5).
 * @typedef {{version: string, sign_up: string, guests: boolean, max_body: number, file_bytes: number}} ServerInfo
 */

/** Types that a browser shows in an element of the page, and in which nothing runs. */
const TYPES = {
  png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", gif: "image/gif", webp: "image/webp", avif: "image/avif",
  mp3: "audio/mpeg", flac: "audio/flac", ogg: "audio/ogg", oga: "audio/ogg", opus: "audio/ogg", wav: "audio/wav", m4a: "audio/mp4",
  mp4: "video/mp4", webm: "video/webm", mov: "video/mp4",
};

/**
 * Return the type by which a file is shown: never one that the browser would run.
 * @param {string} name
 */
export function harmlessType(name) {
  const end = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
  return Object.hasOwn(TYPES, end) ? TYPES[/** @type {keyof typeof TYPES} */ (end)] : "application/octet-stream";
}


