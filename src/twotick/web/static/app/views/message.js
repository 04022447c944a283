/** One message of a conversation. */
import { html, useEffect, useState } from "../../vendor/preact.js";
import { moderates } from "../model/conversations.js";
import { formatText } from "../model/formatting.js";
import { reactionsOf, senderText, stateText, uidOf, WAITING } from "../model/messages.js";
import { colourOf, visible } from "../model/names.js";
import { clockText, fullText, t, withTexts } from "../texts/index.js";
import { Icon, Ticks } from "./icons.js";
import { useModule } from "./lazy.js";
import { Menu } from "./menu.js";
import { Avatar } from "./sidebar.js";

/**
 * @typedef {import("./controller.js").Controller} Controller
 * @typedef {import("../model/types.js").Message} Message
 */

const LONGEST = 4000;

/** @param {{text: string, me: string}} given */
export function Formatted({ text, me }) {
  const [whole, setWhole] = useState(false);
  const long = text.length > LONGEST && !whole;
  const lines = formatText(visible(long ? text.slice(0, LONGEST) : text));
  /** @type {any[]} */
  const blocks = [];
  for (let at = 0; at < lines.length; ) {
    const kind = lines[at].kind;
    const start = at;
    while (at < lines.length && lines[at].kind === kind && (kind !== "fence" || at === start)) at++;
    const part = lines.slice(start, at);
    if (kind === "fence") continue;
    if (kind === "code") blocks.push(html`<pre tabindex="0"><code>${part.map((line) => line.pieces[0].text).join("\n")}</code></pre>`);
    else if (kind === "quote") blocks.push(html`<blockquote dir="auto">${part.map((line, n) => html`${n > 0 && "\n"}${pieces(line.pieces, me)}`)}</blockquote>`);
    else blocks.push(html`<p dir="auto">${part.map((line, n) => html`${n > 0 && "\n"}${pieces(line.pieces, me)}`)}</p>`);
  }
  return html`<div class="body">${blocks}${long && html`<button class="link" onClick=${() => setWhole(true)}>${t("message.more")} …</button>`}</div>`;
}

/**
 * @param {import("../model/formatting.js").Piece[]} found
 * @param {string} me
 */
function pieces(found, me) {
  return found.map(({ text, style, within }) => {
    const inner =
      style === "link" ? html`<a href=${text} target="_blank" rel="noopener noreferrer nofollow">${text}</a>`
      : style === "mention" ? html`<span class=${`mention ${text.slice(1).toLowerCase() === me.toLowerCase() ? "of-me" : ""}`}>${text}</span>`
      : text;
    const outer = within || style;
    if (style === "mark") return null;
    if (outer === "strong") return html`<strong>${inner}</strong>`;
    if (outer === "emphasis") return html`<em>${inner}</em>`;
    if (outer === "code") return html`<code>${inner}</code>`;
    return inner;
  });
}

/**
 * What says, behind the name, that a guest has sent a message.
 * @param {Message | null} message
 */
export const guestTag = (message) => message?.guest && html` <small class="tag">${t("role.guest")}</small>`;

/** @param {{app: Controller, message: Message}} given */
export function EventLine({ app, message }) {
  return html`<p class="event"><span>${eventText(message)}</span>${message.event?.kind === "invited" && html` <button class="link" onClick=${() => joinRoom(app, message.event?.room ?? "")}>${t("talk.join")}</button>`}</p>`;
}

/**
 * @param {Controller} app
 * @param {string} room
 */
export const joinRoom = (app, room) => app.ask("ROOM", [room], { Do: "join" }).then(() => app.open(room), (error) => app.complain(error));

/** @param {Message} message */
export function eventText(message) {
  const event = message.event;
  if (!event) return "";
  const name = message.sender;
  const member = visible(event.member);
  const word = (/** @type {string} */ kind, /** @type {string} */ value) => {
    const found = t(/** @type {any} */ (`${kind}.${value}`));
    return found;
  };
  switch (event.kind) {
    case "created": case "joined": case "left": return t(`event.${event.kind}`, { name });
    case "removed": return t("event.removed", { name, member });
    case "appointed": return t("event.appointed", { name, member, role: ["owner", "moderator", "member"].includes(event.role) ? word("role", event.role) : visible(event.role) });
    case "changed":
      if (event.access) return t("event.access", { name, access: ["public", "private"].includes(event.access) ? word("access", event.access) : visible(event.access) });
      if (event.guests) return t(event.guests === "yes" ? "event.guests" : "event.noGuests", { name });
      return event.topic === null ? t("event.changed", { name }) : event.topic ? t("event.topic", { name, topic: visible(event.topic) }) : t("event.noTopic", { name });
    case "invited": return t("event.invited", { name, room: visible(event.room) });
    case "absent": return t("event.absent", { member, until: visible(event.topic ?? "") });
    default: return t("event.other", { name, kind: visible(event.kind) });
  }
}

/**
 * @param {{app: Controller, message: Message, conversation: import("../model/types.js").Conversation, first: boolean,
 *   replied: Message | null, marked: boolean, compose: (mode: {kind: "reply" | "edit", message: Message}) => void}} given
 */
export function MessageRow({ app, message, conversation, first, replied, marked, compose }) {
  const [menu, setMenu] = useState(false);
  const own = message.outgoing;
  const room = conversation.key.startsWith("#");
  const id = `m-${message.uid.replace(/[^A-Za-z0-9]/g, "-")}`;
  const state = stateText(message, t);
  const display = message.guest ? "" : app.state.profiles[message.sender.toLowerCase()]?.display;
  const transfer = app.state.transfers[message.uid];
  const [pinned, setPinned] = useState(/** @type {boolean | null} */ (null));
  useEffect(() => {
    if (menu && app.isMember && message.id) loadPins().then((each) => each.isPinned(app, conversation, message)).then(setPinned, () => undefined);
    else setPinned(null);
  }, [menu]);
  const actions = actionsFor(app, message, conversation, compose, pinned);
  /** @param {KeyboardEvent} event */
  const key = (event) => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const found = actions.find((each) => each.keys.includes(event.key));
    if (found) {
      event.preventDefault();
      found.run();
    } else if (event.key === "+") {
      event.preventDefault();
      setMenu(true);
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      event.preventDefault();
      neighbour(/** @type {HTMLElement} */ (event.currentTarget), event.key === "ArrowUp")?.focus();
    } else if (event.key === "Escape") focusBox();
  };
  const reactions = reactionsOf(message);
  return html`<article id=${id} data-uid=${message.uid} class=${`message ${own ? "own" : ""} ${first ? "first" : ""} ${message.state === "failed" ? "failed" : ""} ${menu ? "with-menu" : ""} ${marked ? "marked" : ""}`}
      tabindex="-1" aria-label=${senderText(message, t)} aria-describedby=${`${id}-about`} onKeyDown=${key}>
    ${room && !own && (first ? html`<${Avatar} name=${message.sender} guest=${message.guest} />` : html`<span class="avatar-gap"></span>`)}
    <div class="bubble-line">
      <div class="bubble">
        ${first && (room || message.guest) && !own && html`<div class=${`sender ink-${colourOf(message.sender)}`}><bdi>${display ? visible(display) : message.sender}</bdi>${display && html` <small>${message.sender}</small>`}${guestTag(message)}</div>`}
        ${message.forwardedFrom && html`<div class="forwarded">${t("message.forwarded", { name: visible(message.forwardedFrom) })}</div>`}
        ${message.replyTo && !message.deleted && html`<button class="quoted" onClick=${() => goTo(app, conversation, message.replyTo)}>
          <b><bdi>${message.replyTo[0]}</bdi>${guestTag(replied)}</b><span dir="auto">${replied ? visible(replied.text.slice(0, 140) || replied.file?.name || t("message.deleted")) : t("message.unknownReply")}</span></button>`}
        ${message.deleted ? html`<p class="deleted">${t("message.deleted")}</p>` : html`
          ${message.file && html`<${File} app=${app} message=${message} transfer=${transfer} />`}
          ${message.text && html`<${Formatted} text=${message.text} me=${app.me} />`}`}
        <footer><span class="when" title=${fullText(message.time)}>${message.edited && !message.deleted ? `${t("message.edited")} · ` : ""}${clockText(message.time)}</span>
          ${own && message.state === "accepted" && message.of > 1 && message.have > 0 && html`<span class="progress">${message.have}/${message.of}</span>`}
          ${own && html`<${Ticks} state=${message.state} />`}</footer>
        <span class="hidden" id=${`${id}-about`}>${fullText(message.time)}${state ? `, ${state}` : ""}</span>
      </div>
      ${message.state === "failed" && html`<p class="why">${state} <button class="link" onClick=${() => app.again(message)}>${t("message.again")}</button></p>`}
      ${reactions.length > 0 && html`<div class="reactions">${reactions.map(([emoji, names]) => html`<button key=${emoji} title=${names.join(", ")}
        class=${names.some((each) => each.toLowerCase() === app.me.toLowerCase()) ? "mine" : ""} aria-label=${t("message.reacted", { emoji: visible(emoji), names: names.join(", ") })}
        onClick=${() => app.react(message, emoji)}><span>${visible(emoji)}</span> ${names.length}</button>`)}</div>`}
    </div>
    ${!message.deleted && html`<${Actions} actions=${actions} open=${menu} setOpen=${setMenu} react=${canChange(app, message, conversation) && ((/** @type {string} */ emoji) => app.react(message, emoji))} />`}
  </article>`;
}

/** Go to the box at once, so that nothing is lost that is typed next. */
const focusBox = () => document.getElementById("message-box")?.focus();

/**
 * @param {HTMLElement} from
 * @param {boolean} up
 */
function neighbour(from, up) {
  const all = /** @type {HTMLElement[]} */ ([...(from.closest("[role=log]")?.querySelectorAll("article") ?? [])]);
  return all[all.indexOf(from) + (up ? -1 : 1)];
}

/**
 * @param {Controller} app
 * @param {import("../model/types.js").Conversation} conversation
 * @param {[string, string] | null} target
 */
function goTo(app, conversation, target) {
  if (target) app.jump(conversation.name, { uid: uidOf(...target), sender: target[0], id: target[1] });
}

/**
 * @param {Controller} app
 * @param {Message} message
 * @param {import("../model/types.js").Conversation} conversation
 */
const canChange = (app, message, conversation) =>
  app.isMember && Boolean(message.id) && !(message.guest && message.sender.toLowerCase() === app.me.toLowerCase()) && !message.deleted && message.state !== "failed" && conversation.key !== "all" && !conversation.left;

/**
 * @typedef {{name: string, keys: string[], run: () => void}} MessageAction
 * @param {Controller} app
 * @param {Message} message
 * @param {import("../model/types.js").Conversation} conversation
 * @param {(mode: {kind: "reply" | "edit", message: Message}) => void} compose
 * @param {boolean | null} pinned whether the message is pinned; null if that is not known
 * @returns {MessageAction[]}
 */
function actionsFor(app, message, conversation, compose, pinned) {
  if (message.deleted) return [];
  const able = canChange(app, message, conversation);
  const placed = able && message.place !== WAITING;
  /** @type {(MessageAction | false)[]} */
  const all = [
    message.state === "failed" && { name: t("message.again"), keys: ["a"], run: () => void app.again(message) },
    message.state === "waiting" && { name: t("message.cancel"), keys: ["x"], run: () => void app.cancel(message) },
    able && { name: t("message.reply"), keys: ["r"], run: () => (focusBox(), compose({ kind: "reply", message })) },
    able && message.outgoing && !message.forwardedFrom && !message.file && { name: t("message.edit"), keys: ["e"], run: () => (focusBox(), compose({ kind: "edit", message })) },
    { name: t("message.copy"), keys: ["c", "y"], run: () => void navigator.clipboard?.writeText(message.text).then(() => app.say(t("message.copied")), (error) => app.complain(error)) },
    placed && !message.guest && { name: t("message.forward"), keys: ["f"], run: () => app.openDialog({ name: "forward", message }) },
    placed && !message.guest && { name: t("message.thread"), keys: ["t"], run: () => app.openDialog({ name: "thread", message, conversation }) },
    placed && { name: t(pinned ? "message.unpin" : "message.pin"), keys: ["p"], run: () => void loadPins().then((each) => each.setPinned(app, conversation, message, pinned === null ? null : !pinned)) },
    placed && message.outgoing && { name: t("message.receipts"), keys: ["i"], run: () => app.openDialog({ name: "receipts", message, conversation }) },
    placed && !message.outgoing && { name: t("message.report"), keys: [], run: () => app.openDialog({ name: "report", user: message.sender, about: message.id }) },
    placed && (message.outgoing || (conversation.key.startsWith("#") && moderates(conversation))) && { name: t("message.delete"), keys: ["d", "Delete"], run: () => void app.delete(message) },
  ];
  return all.filter((each) => each !== false);
}

const loadPins = () => withTexts(import("./pins.js"));

/**
 * @param {{actions: MessageAction[], open: boolean, setOpen: (open: boolean) => void, react: false | ((emoji: string) => void)}} given
 */
function Actions({ actions, open, setOpen, react }) {
  return html`<div class="actions">
    <button class="icon-button" aria-label=${t("message.actions")} aria-expanded=${open} onClick=${() => setOpen(!open)}><${Icon} name="more" /></button>
    ${open && html`<${Menu} actions=${actions} react=${react} close=${() => setOpen(false)} />`}
  </div>`;
}

/**
 * The file of a message: its name until the part of the page is loaded that shows it.
 * @param {{app: Controller, message: Message, transfer?: {done: number, total: number}}} given
 */
function File(given) {
  const module = useModule(true, () => withTexts(import("./attachment.js")));
  return module ? html`<${module.Attachment} ...${given} />` : html`<div class="file">${visible(given.message.file?.name ?? "")}</div>`;
}
