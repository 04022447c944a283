/** A conversation: its head, its messages and the composer. */
import { Component, html, useLayoutEffect, useRef, useState } from "../../vendor/preact.js";
import { isRoomKey } from "../model/conversations.js";
import { guestUid, uidOf } from "../model/messages.js";
import { visible } from "../model/names.js";
import { typingIn } from "../model/state.js";
import { dayText, t } from "../texts/index.js";
import { Composer } from "./composer.js";
import { Icon } from "./icons.js";
import { EventLine, joinRoom, MessageRow } from "./message.js";
import { Avatar } from "./sidebar.js";

/**
 * @typedef {import("./controller.js").Controller} Controller
 * @typedef {import("../model/types.js").Message} Message
 * @typedef {{kind: "reply" | "edit", message: Message, text?: string} | null} Mode `text` is what an edit has so far
 */

const TOGETHER = 5 * 60_000;
const NEAR = 500;

/** @param {{app: Controller}} given */
export function Talk({ app }) {
  const conversation = app.current;
  return conversation ? html`<${Conversation} key=${conversation.key} app=${app} conversation=${conversation} />`
    : html`<section class="talk none"><p>${t("talk.none")}</p></section>`;
}

/** @param {{app: Controller, conversation: import("../model/types.js").Conversation}} given */
function Conversation({ app, conversation }) {
  const [mode, setMode] = useState(/** @type {Mode} */ (null));
  const [dropping, setDropping] = useState(false);
  const { key } = conversation;
  app.compose = setMode;
  const { state } = app;
  const room = isRoomKey(key);
  const profile = state.profiles[key];
  const typing = typingIn(state, key, Date.now());
  const presence = state.presence[key];
  const about = typing.length ? typingText(typing)
    : room ? [app.membersText(conversation), visible(conversation.topic)].filter(Boolean).join(" · ")
    : [presence && ["here", "away"].includes(presence) ? t(/** @type {any} */ (`presence.${presence}`)) : "", visible(profile?.status ?? "")].filter(Boolean).join(" · ");
  /** @param {DragEvent} event */
  const drop = (event) => {
    setDropping(false);
    if (event.dataTransfer?.files.length && app.isMember && !conversation.left) void app.sendFiles(conversation, event.dataTransfer.files);
  };
  return html`<section class="talk" aria-label=${conversation.name} onDrop=${drop} onDragOver=${(/** @type {DragEvent} */ e) => setDropping(app.isMember && !conversation.left && Boolean(e.dataTransfer?.types.includes("Files")))}
      onDragLeave=${(/** @type {DragEvent} */ e) => e.relatedTarget || setDropping(false)}>
    <div class="bar">
      <button class="icon-button back" aria-label=${t("talk.back")} onClick=${() => app.back(key)}><${Icon} name="back" /></button>
      <${Avatar} name=${conversation.name} presence=${presence} />
      <div class="who"><h1><bdi>${profile?.display ? visible(profile.display) : conversation.name}</bdi>${profile?.display && html` <small>${conversation.name}</small>`}</h1>
        <p class=${typing.length ? "typing" : ""} dir="auto">${about || "\u00a0"}</p></div>
      ${app.isMember && key !== "all" && html`<button class="icon-button" aria-label=${t("talk.details")} title=${t("talk.details")} onClick=${() => app.openDialog({ name: "details", conversation })}><${Icon} name="info" /></button>`}
    </div>
    <${Messages} app=${app} conversation=${conversation} compose=${setMode} />
    ${conversation.left ? html`<div class="left"><p>${t("talk.left")} <button class="link" onClick=${() => joinRoom(app, conversation.name)}>${t("talk.join")}</button></p></div>`
      : html`<${Composer} app=${app} conversation=${conversation} mode=${mode} setMode=${setMode} />`}
    ${dropping && html`<div class="drop-here">${t("talk.drop")}</div>`}
  </section>`;
}

/** @param {string[]} names */
function typingText(names) {
  if (names.length === 1) return t("talk.typing.one", { name: names[0] });
  if (names.length === 2) return t("talk.typing.two", { name: names[0], other: names[1] });
  return t("talk.typing.many");
}

/**
 * The row of a message, which is made again only if what it shows has changed. What was made must not be kept by the
 * list: it would refer to the list of that time, and that to the one before, so no message would ever leave the memory.
 */
class Row extends Component {
  /** @param {{inputs: any[]}} next */
  shouldComponentUpdate({ inputs }) {
    return inputs.some((each, at) => each !== this.props.inputs[at]);
  }

  render() {
    return this.props.made();
  }
}

/** @param {{app: Controller, conversation: import("../model/types.js").Conversation, compose: (mode: Mode) => void}} given */
function Messages({ app, conversation, compose }) {
  const log = useRef(/** @type {HTMLElement | null} */ (null));
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  const atEnd = useRef(true);
  const anchor = useRef(/** @type {{uid: string, top: number} | null} */ (null));
  const { window: shown, readBefore } = app.state;
  const { messages } = shown;

  /** Put what the user looks at where it was: the end, or the message at the top. */
  const settle = () => {
    const box = log.current;
    if (!box) return;
    if (atEnd.current && app.state.window.atNewest) box.scrollTop = box.scrollHeight;
    else if (anchor.current) {
      const row = find(box, anchor.current.uid);
      if (row) box.scrollTop += row.getBoundingClientRect().top - box.getBoundingClientRect().top - anchor.current.top;
    }
  };
  /** Note what the user looks at. */
  const note = () => {
    const box = log.current;
    if (!box) return;
    atEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    const top = box.getBoundingClientRect().top;
    const row = [...box.querySelectorAll("article")].find((each) => each.getBoundingClientRect().bottom > top);
    anchor.current = row ? { uid: row.getAttribute("data-uid") ?? "", top: row.getBoundingClientRect().top - top } : null;
    app.looking = atEnd.current ? "" : anchor.current?.uid ?? "";
  };
  const scrolled = () => {
    note();
    const box = log.current;
    if (!box) return;
    if (box.scrollTop < NEAR) void app.loadOlder();
    if (box.scrollHeight - box.scrollTop - box.clientHeight < NEAR) void app.loadNewer();
    if (atEnd.current) app.seen();
  };
  const last = messages.at(-1);
  const newest = useRef("");
  const marked = useRef(shown.mark && { uid: "" });
  /** @param {string} uid */
  const goToMark = (uid) => {
    const row = /** @type {HTMLElement | undefined} */ (log.current && find(log.current, uid));
    if (!row) return;
    row.scrollIntoView({ block: "center" });
    row.focus({ preventScroll: true });
    note();
  };
  useLayoutEffect(() => {
    // What the user has just written is shown.
    if (last?.state === "waiting" && newest.current !== last.uid) atEnd.current = true;
    newest.current = last?.uid ?? "";
    if (shown.mark && shown.mark !== marked.current) goToMark(shown.mark.uid);
    marked.current = shown.mark;
    settle();
    if (atEnd.current) app.seen();
    const box = log.current;
    if (box && box.scrollHeight <= box.clientHeight + NEAR && messages.length) void app.loadOlder();
  }, [messages, shown.key, shown.mark]);
  useLayoutEffect(() => {
    const watch = new ResizeObserver(settle);
    if (list.current) watch.observe(list.current);
    if (log.current) watch.observe(log.current);
    return () => watch.disconnect();
  }, []);

  const known = new Map(messages.map((each) => [each.uid, each]));
  const firstNew = readBefore ? messages.find((each) => !each.outgoing && !each.event && !each.deleted && each.seq > readBefore) : undefined;
  const room = isRoomKey(conversation.key);
  /** @type {any[]} */
  const rows = [];
  let before = /** @type {Message | null} */ (null);
  let day = "";
  for (const message of messages) {
    const today = new Date(message.time).toDateString();
    if (today !== day) rows.push(html`<div class="day" key=${`day ${today} ${message.uid}`}><span>${dayText(message.time)}</span></div>`);
    const divided = message === firstNew && !atNewestOwn(messages, firstNew);
    if (divided) rows.push(html`<div class="new" key="new"><span>${t("talk.new")}</span></div>`);
    if (message.event) rows.push(html`<${EventLine} key=${message.uid} app=${app} message=${message} />`);
    else if (room && !message.outgoing && app.state.conversations[message.sender.toLowerCase()]?.blocked)
      rows.push(html`<p class="event" key=${message.uid}>${t("talk.blocked")}</p>`);
    else {
      const first = !before || before.event !== null || before.sender !== message.sender || before.guest !== message.guest || message.time - before.time > TOGETHER || today !== day || divided;
      const target = message.replyTo ? uidOf(...message.replyTo) : "";
      // What a member has sent later under the same name and Id was not answered.
      const replied = [target, guestUid(target)].map((uid) => known.get(uid)).find((each) => each && each.place <= message.place) ?? null;
      const isMark = shown.mark?.uid === message.uid;
      const inputs = [message, first, replied, isMark, conversation.role, conversation.left, app.state.transfers[message.uid], app.state.profiles];
      const made = () => html`<${MessageRow} app=${app} message=${message} conversation=${conversation} first=${first} replied=${replied} marked=${isMark} compose=${compose} />`;
      rows.push(html`<${Row} key=${message.uid} inputs=${inputs} made=${made} />`);
    }
    day = today;
    before = message;
  }
  const beginning = shown.atOldest && (room ? t("talk.firstRoom", { name: conversation.name }) : t("talk.first", { name: conversation.name }));
  return html`<div class="log-frame">
    <div class="log" role="log" aria-label=${t("talk.messages")} aria-live="off" tabindex="0" ref=${log} onScroll=${scrolled}>
      <div class="rows" ref=${list}>
        <p class="beginning">${shown.atOldest ? beginning : app.isMember ? t("talk.loading") : ""}</p>
        ${rows}
      </div>
    </div>
    ${(!shown.atNewest || (!atEnd.current && messages.length > 30)) && html`<button class="to-newest icon-button" aria-label=${t("talk.newest")} onClick=${async () => {
      atEnd.current = true;
      await app.toNewest(conversation.key);
      settle();
    }}><${Icon} name="down" /></button>`}
  </div>`;
}

/**
 * @param {Message[]} messages
 * @param {Message} first
 */
const atNewestOwn = (messages, first) => messages.slice(messages.indexOf(first)).some((each) => each.outgoing);

/**
 * @param {HTMLElement} box
 * @param {string} uid
 */
const find = (box, uid) => [...box.querySelectorAll("article")].find((each) => each.getAttribute("data-uid") === uid);
