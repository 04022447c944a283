/**
 * Completion of the names, rooms, emoji and commands that the user writes, with the keys of the terminal app: Up and Down
 * choose, Tab takes, Esc hides. Loaded when the box is shown for the first time.
 *
 * @typedef {import("./controller.js").Controller} Controller
 * @typedef {import("../model/types.js").Conversation} Conversation
 * @typedef {{shown: string, about: string, insert?: string, run?: () => void}} Completion
 */
import { html, useEffect, useLayoutEffect, useRef, useState } from "../../vendor/preact.js";
import { matching, MOST, wordBefore } from "../model/completion.js";
import { isMuted, isRoomKey } from "../model/conversations.js";
import { visible } from "../model/names.js";
import { isName, isRoom } from "../protocol/words.js";
import { t } from "../texts/index.js";

const MINUTE = 60_000;

/** The members of the room that was asked for last. */
let asked = { profile: /** @type {unknown} */ (null), key: "", at: 0, names: /** @type {string[]} */ ([]) };

/**
 * @param {Controller} app
 * @param {Conversation} room
 */
async function membersOf(app, room) {
  const { profile } = app;
  if (asked.profile === profile && asked.key === room.key && Date.now() - asked.at < MINUTE) return asked.names;
  const { body } = await app.ask("ROOM", [room.name], { Do: "members" });
  asked = { profile, key: room.key, at: Date.now(), names: JSON.parse(body).map((/** @type {any} */ each) => String(each.name)) };
  return asked.names;
}

/**
 * Return the people whom the user may mean: those who wrote last come first.
 * @param {Controller} app
 * @param {Conversation} conversation
 * @param {string[] | null} members those of a room; null if they are not known
 */
function people(app, conversation, members) {
  const inside = members && new Set(members.map((each) => each.toLowerCase()));
  const senders = app.state.window.messages.map((each) => each.sender).reverse();
  const known = Object.values(app.state.conversations).filter(({ key }) => !isRoomKey(key) && key !== "all").map(({ name }) => name);
  const all = isRoomKey(conversation.key) ? [...senders, ...(members ?? [])] : [conversation.name, ...senders, ...known];
  return all.filter((each) => each.toLowerCase() !== app.me.toLowerCase() && (!inside || inside.has(each.toLowerCase())));
}

/**
 * Return what the user can do without the mouse, by the words of the terminal app's commands.
 * @param {Controller} app
 * @param {Conversation} conversation
 * @param {HTMLElement} box
 * @returns {[string, string, (argument: string) => void, string?][]} word, meaning, act, and what may follow the word
 */
function commands(app, conversation, box) {
  const now = app.state.conversations[conversation.key] ?? conversation;
  const muted = isMuted(now, Date.now());
  const open = (/** @type {string} */ name, /** @type {object} */ more = {}) => () => app.openDialog({ name, ...more });
  const set = (/** @type {Record<string, string>} */ headers, then = () => {}) => () => void app.ask("CONVERSATION", [now.name], headers).then(then, (error) => app.complain(error));
  /** @type {[string, string, (argument: string) => void, string?][]} */
  const all = [
    ["to", t("side.new"), (name) => (isName(name) || isRoom(name) ? app.open(name) : open("newConversation")()), "bob"],
    ["unread", t("complete.unread"), () => app.nextUnread()],
    ["settings", t("settings.title"), open("settings")],
  ];
  if (app.isMember) all.push(["rooms", t("side.rooms"), open("rooms")], ["new", t("room.new"), open("newRoom")]);
  if (app.isMember && now.key !== "all")
    all.push(
      ["file", t("talk.attach"), () => /** @type {HTMLElement | null | undefined} */ (box.closest(".composer")?.querySelector("input[type=file]"))?.click()],
      ["details", t("talk.details"), open("details", { conversation: now })],
      ["pins", t("details.pins"), open("pins", { conversation: now })],
      ["mute", t(muted ? "details.unmute" : "details.mute"), (time) => {
        const [, count, unit] = /^(\d{1,4})([mhd])$/.exec(time) ?? [];
        const minutes = +count * ({ m: 1, h: 60, d: 1440 }[unit] ?? 0);
        if (minutes) set({ "Muted-until": new Date(Date.now() + minutes * MINUTE).toISOString() })();
        else if (time && time !== "off") app.say(t("complete.mute"));
        else set({ Muted: muted || time ? "no" : "yes" })();
      }, "2h"],
      ["top", t(now.pinned ? "details.unpin" : "details.pin"), set({ Pinned: now.pinned ? "no" : "yes" })],
      ["close", t("details.closeIt"), set({ Closed: "yes" }, () => app.back(now.key))],
    );
  return all.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** @param {string} text */
function isCommand(text) {
  const word = wordBefore(text);
  return word?.sign === "/" && word.typed !== "";
}

/**
 * @param {{app: Controller, conversation: Conversation, box: {current: HTMLTextAreaElement | null}, before: string, canCommand: boolean,
 *   moved: (caret: number) => void}} given `before` is the text up to the cursor
 */
export function Completions({ app, conversation, box, before, canCommand, moved }) {
  const [choice, setChoice] = useState({ before, index: 0, chosen: false });
  const [hidden, setHidden] = useState("");
  const [members, setMembers] = useState(/** @type {string[] | null} */ (null));
  const [emoji, setEmoji] = useState(/** @type {typeof import("./emoji.js") | null} */ (null));
  const sign = wordBefore(before)?.sign ?? "";
  const { index, chosen } = choice.before === before ? choice : { index: 0, chosen: false };

  /**
   * @param {string} text
   * @returns {Completion[]}
   */
  const find = (text) => {
    const word = wordBefore(text);
    const { typed = "", argument = "" } = word ?? {};
    const display = (/** @type {string} */ name) => app.state.profiles[name.toLowerCase()]?.display ?? "";
    switch (word?.sign) {
      case "@": return matching(typed, people(app, conversation, members), display).map((name) => ({ shown: `@${name}`, about: visible(display(name)), insert: `@${name} ` }));
      case "#": {
        const rooms = Object.values(app.state.conversations).filter((each) => isRoomKey(each.key) && !each.left);
        return matching(`#${typed}`, rooms.map((each) => each.name).sort()).map((name) => ({ shown: name, about: "", insert: `${name} ` }));
      }
      case ":": return (emoji?.named(typed) ?? []).slice(0, MOST).map((each) => ({ shown: each.sign, about: `:${each.name}:`, insert: each.sign }));
      case "/": return canCommand && box.current ? commands(app, conversation, box.current).filter(([name, , , follows]) => (argument ? follows && name === typed : name.startsWith(typed)))
        .map(([name, about, run, follows]) => ({ shown: `/${name}${follows ? ` [${follows}]` : ""}`, about, run: () => run(argument) })) : [];
      default: return [];
    }
  };
  const found = hidden === before ? [] : find(before);

  /** @param {Completion} each */
  const take = (each) => {
    const area = box.current;
    if (!area) return;
    const end = area.selectionEnd;
    const start = each.run ? 0 : wordBefore(area.value.slice(0, end))?.start ?? end;
    area.setRangeText(each.insert ?? "", start, each.run ? area.value.length : end, "end");
    area.dispatchEvent(new Event("input", { bubbles: true }));
    if (each.run) each.run();
  };
  /** @param {KeyboardEvent} event */
  const key = (event) => {
    const area = /** @type {HTMLTextAreaElement} */ (event.target);
    const now = area.value.slice(0, area.selectionEnd);
    const isDrawn = now === before; // else the next letter was typed before this list was drawn
    const list = isDrawn ? found : find(now);
    if (!list.length || event.isComposing || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) setChoice({ before: now, index: ((isDrawn ? index : 0) + by + list.length) % list.length, chosen: true });
    else if (event.key === "Tab" || (event.key === "Enter" && (isCommand(now) || (isDrawn && chosen)))) take(list[isDrawn ? index : 0]);
    else if (event.key === "Escape") setHidden(now);
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  const pressed = useRef(key);
  pressed.current = key;
  useLayoutEffect(() => {
    const area = box.current;
    if (!area) return;
    const press = (/** @type {KeyboardEvent} */ event) => pressed.current(event);
    const move = () => document.activeElement === area && moved(area.selectionEnd);
    const leave = () => moved(0);
    area.addEventListener("keydown", press, true); // before the box itself
    area.addEventListener("blur", leave);
    document.addEventListener("selectionchange", move);
    return () => {
      area.removeEventListener("keydown", press, true);
      area.removeEventListener("blur", leave);
      document.removeEventListener("selectionchange", move);
    };
  }, []);
  useEffect(() => {
    if (sign === "@" && isRoomKey(conversation.key) && !members) membersOf(app, conversation).then(setMembers, console.warn); // those who wrote are known
    if (sign === ":" && !emoji) import("./emoji.js").then((each) => setEmoji(() => each), console.warn);
  }, [sign]);
  useLayoutEffect(() => {
    const area = box.current;
    if (!area || !found.length) return;
    const state = { "aria-autocomplete": "list", "aria-controls": "completions", "aria-activedescendant": `completion-${index}` };
    for (const [name, value] of Object.entries(state)) area.setAttribute(name, value);
    document.getElementById(state["aria-activedescendant"])?.scrollIntoView({ block: "nearest" });
    return () => Object.keys(state).forEach((name) => area.removeAttribute(name));
  }, [index, found.length]);
  if (!found.length) return null;
  return html`<div class="menu completions" id="completions" role="listbox" aria-label=${t("complete.list")} onPointerDown=${(/** @type {Event} */ event) => event.preventDefault()}>
    ${found.map((each, at) => html`<button key=${each.shown} id=${`completion-${at}`} type="button" role="option" tabindex="-1" aria-selected=${at === index} onMouseDown=${(/** @type {Event} */ event) => event.preventDefault()} onClick=${() => take(each)}>
      <bdi>${each.shown}</bdi><small dir="auto">${each.about}</small></button>`)}
  </div>`;
}
