/** The list of conversations, and the search. */
import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { isMuted, isRoomKey, listed } from "../model/conversations.js";
import { senderText } from "../model/messages.js";
import { colourOf, initials, visible } from "../model/names.js";
import { shortText, t, withTexts } from "../texts/index.js";
import { Icon, Ticks } from "./icons.js";
import { useModule } from "./lazy.js";

/** @typedef {import("./controller.js").Controller} Controller */

/** @type {{app: Controller | null}} where avatars find pictures */
export const source = { app: null };

/**
 * Return the address of a user's picture; empty if there is none, or until it is loaded.
 * @param {string} name
 */
function usePicture(name) {
  const [shown, setShown] = useState({ hash: "", url: "" });
  const { profile = null, state } = source.app ?? {};
  const profiles = state?.profiles;
  const hash = profiles?.[name.toLowerCase()]?.picture ?? "";
  useEffect(() => {
    if (!hash || !profile) return;
    let here = true;
    const found = import("../net/pictures.js").then(({ pictureUrl }) => pictureUrl(profile, name, hash));
    // One that cannot be loaded is asked for again when profiles come again, as after each connection.
    found.then((url) => here && setShown({ hash, url }), () => undefined);
    return () => {
      here = false;
    };
  }, [hash, profiles]);
  return hash && shown.hash === hash ? shown.url : "";
}

/** @param {{name: string, presence?: string, guest?: boolean}} given a guest has no picture, also if a member of that name has one */
export function Avatar({ name, presence = "", guest = false }) {
  const url = usePicture(guest ? "" : name);
  return html`<span class=${`avatar colour-${colourOf(name)} ${isRoomKey(name) ? "room" : ""}`} aria-hidden="true">${url ? html`<img src=${url} alt="" />` : isRoomKey(name) ? "#" : initials(name)}${presence && presence !== "gone" && html`<i class=${`dot ${presence}`}></i>`}</span>`;
}

/** @param {{app: Controller}} given */
export function Sidebar({ app }) {
  const [query, setQuery] = useState("");
  const [asked, setAsked] = useState(/** @type {{text: string, only: string} | null} */ (null));
  const [only, setOnly] = useState(false);
  const [used, setUsed] = useState(false);
  const module = useModule(used && app.isMember, () => withTexts(import("./search.js")));
  const box = useRef(/** @type {HTMLInputElement | null} */ (null));
  const { state } = app;
  const wanted = query.trim().toLowerCase();
  const all = listed(Object.values(state.conversations), state.window.key);
  const shown = wanted ? all.filter((each) => each.key.includes(wanted) || (state.profiles[each.key]?.display ?? "").toLowerCase().includes(wanted)) : all;
  const ask = (here = only) => {
    if (wanted && app.isMember) setAsked({ text: query.trim(), only: here ? app.current?.name ?? "" : "" });
  };
  /** @param {string} text */
  const type = (text) => {
    setQuery(text);
    setAsked(null);
    setUsed(true);
  };
  const done = () => {
    type("");
    setUsed(false);
  };
  /** @param {FocusEvent} event */
  const left = (event) => {
    const inside = event.relatedTarget instanceof Node && /** @type {Node} */ (event.currentTarget).contains(event.relatedTarget);
    if (!inside && !query) setUsed(false);
  };

  return html`<div class="side">${!state.window.key && html`<h1 class="hidden">Twotick</h1>`}
    <div class="bar">
      <button class="me" onClick=${() => app.openDialog({ name: "settings" })}>
        <${Avatar} name=${app.me} /><span class="who"><bdi>${state.profiles[app.me.toLowerCase()]?.display || app.me}</bdi></span><span class="hidden">, ${t("settings.title")}</span></button>
      ${app.isMember && html`<button class="icon-button" aria-label=${t("side.rooms")} title=${t("side.rooms")} onClick=${() => app.openDialog({ name: "rooms" })}><${Icon} name="rooms" /></button>`}
      ${app.isMember && html`<button class="icon-button" aria-label=${t("room.new")} title=${t("room.new")} onClick=${() => app.openDialog({ name: "newRoom" })}><span class="plus-room" aria-hidden="true">#+</span></button>`}
      <button class="icon-button accent" aria-label=${t("side.new")} title=${t("side.new")} onClick=${() => app.openDialog({ name: "newConversation" })}><${Icon} name="plus" /></button>
    </div>
    <div class="search-area" onFocusOut=${left}>
      <form class="search" role="search" onSubmit=${(/** @type {Event} */ e) => (e.preventDefault(), ask())}>
        <${Icon} name="search" /><input type="text" id="search-box" ref=${box} aria-label=${t("side.search")} placeholder=${t("side.search")} value=${query} enterkeyhint="search"
          onInput=${(/** @type {any} */ e) => type(e.target.value)} onFocus=${() => setUsed(true)} onKeyDown=${(/** @type {KeyboardEvent} */ e) => e.key === "Escape" && done()} />
      </form>
      ${module && used && !asked && html`<${module.Filters} app=${app} query=${query} only=${only}
        setOnly=${setOnly} add=${(/** @type {string} */ text) => (type(text), box.current?.focus())} />`}
    </div>
    <nav aria-label=${t("side.conversations")}>
      ${shown.length === 0 && !asked && html`<p class="hint empty">${wanted ? t("side.noMatch") : t("side.empty")}</p>`}
      <ul>${shown.map((each) => html`<${Row} key=${each.key} app=${app} conversation=${each} />`)}</ul>
      ${wanted && app.isMember && html`<section class="found" aria-label=${t("side.messages")}>
        <h2>${t("side.messages")}</h2>
        ${asked && module ? html`<${module.Results} app=${app} asked=${asked} done=${done} />` : html`<p class="hint">${t("side.searchMessages")}</p>`}
      </section>`}
    </nav>
  </div>`;
}

/** @param {{app: Controller, conversation: import("../model/types.js").Conversation}} given */
function Row({ app, conversation }) {
  const { state } = app;
  const { key, name, last, unread, mentions } = conversation;
  const draft = key === state.window.key ? "" : state.drafts[key];
  const own = !last?.guest && last?.sender.toLowerCase() === app.me.toLowerCase();
  const muted = isMuted(conversation, Date.now());
  const text = draft ? t("side.draft", { text: draft.slice(0, 100) }) : last ? visible(last.text) : "";
  const preview = !draft && own && last?.text ? t("side.you", { text }) : isRoomKey(key) && last?.text && !own && !draft ? `${senderText(last, t)}: ${text}` : text;
  const display = state.profiles[key]?.display;
  const count = unread ? unreadText(unread) : "";
  return html`<li>
    <a class=${`row ${unread ? "unread" : ""} ${muted ? "muted" : ""}`} href=${`#/${encodeURIComponent(name)}`} aria-current=${key === state.window.key ? "page" : undefined}>
      <${Avatar} name=${name} presence=${state.presence[key]} />
      <span class="text">
        <span class="top"><span class="name"><bdi>${display ? visible(display) : name}</bdi>${display && html` <small>${name}</small>`}</span>
          ${conversation.pinned && html`<span class="mark" title=${t("side.pinned")}><${Icon} name="pin" /></span>`}
          ${muted && html`<span class="mark" title=${t("side.muted")}><${Icon} name="mute" /></span>`}
          ${last && html`<time>${shortText(last.time)}</time>`}</span>
        <span class="bottom">${own && last?.state && !draft && html`<${Ticks} state=${last.state} />`}
          <span class="preview" dir="auto">${preview.replace(/\s+/g, " ")}</span>
          ${unread > 0 && html`<span class=${`badge ${mentions ? "mention" : ""}`} aria-hidden="true">${mentions ? "@" : ""}${unread > 999 ? "999+" : unread}</span>`}
          ${unread > 0 && html`<span class="hidden">${count}${mentions ? `, ${t("side.mentioned")}` : ""}</span>`}</span>
      </span>
    </a></li>`;
}

/** @param {number} n */
const unreadText = (n) => t("side.unread", { n });


