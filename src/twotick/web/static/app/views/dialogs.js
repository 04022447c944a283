/** The dialogs. They are loaded when the first of them is opened. */
import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { isMuted, isRoomKey, listed, moderates } from "../model/conversations.js";
import { senderText } from "../model/messages.js";
import { visible } from "../model/names.js";
import { base64, isName, isRoom, jsonList, toBytes } from "../protocol/words.js";
import { clockText, fullText, LANGUAGES, t, useLanguage, whenText } from "../texts/index.js";
import { Icon } from "./icons.js";
import { Formatted, guestTag, joinRoom } from "./message.js";
import { chosen, choose } from "./choices.js";
import { Avatar } from "./sidebar.js";

/** @typedef {import("./controller.js").Controller} Controller */

/** @param {{app: Controller}} given */
export function Dialogs({ app }) {
  const dialog = app.dialog;
  const Shown = dialog && /** @type {Record<string, any>} */ (DIALOGS)[dialog.name];
  return Shown ? html`<${Shown} key=${dialog.key} app=${app} ...${dialog} />` : null;
}

/**
 * Return what closes the dialog that is open now. When it is called, another one may be open.
 * @param {Controller} app
 */
function closing(app) {
  const { dialog } = app;
  return () => void (app.dialog === dialog && app.openDialog(null));
}

/** @param {{app: Controller, title: string, children?: any, wide?: boolean}} given */
function Box({ app, title, children, wide = false }) {
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const close = useRef(closing(app)).current;
  useEffect(() => {
    box.current?.showModal();
    return () => box.current?.close();
  }, []);
  return html`<dialog ref=${box} class=${wide ? "wide" : ""} aria-label=${title} onClose=${close}
      onClick=${(/** @type {MouseEvent} */ e) => e.target === box.current && close()}>
    <div class="dialog-inside"><header><h2>${title}</h2><button class="icon-button" aria-label=${t("dialog.close")} onClick=${close}><${Icon} name="close" /></button></header>${children}</div>
  </dialog>`;
}

/**
 * Return what a request answers when the dialog opens, and a function that asks again.
 * @template T
 * @param {Controller} app
 * @param {() => Promise<T>} ask
 * @returns {[T | null, () => void]}
 */
function useAnswer(app, ask) {
  const [answer, setAnswer] = useState(/** @type {T | null} */ (null));
  const load = () => void ask().then((found) => setAnswer(/** @type {any} */ (found)), (error) => app.complain(error));
  useEffect(load, []);
  return [answer, load];
}

/** @param {{body: string}} answer */
const listIn = ({ body }) => jsonList(toBytes(body));

/** @param {{app: Controller}} given */
function NewConversation({ app }) {
  const [name, setName] = useState("");
  const [problem, setProblem] = useState("");
  /** @param {Event} event */
  const go = (event) => {
    event.preventDefault();
    const wanted = name.trim().replace(/^@/, "");
    if (isName(wanted) || isRoom(wanted)) app.open(wanted);
    else setProblem(t("error.name"));
  };
  const people = Object.keys(app.state.presence).filter((each) => !name || each.includes(name.toLowerCase())).slice(0, 30);
  return html`<${Box} app=${app} title=${t("new.title")}>
    <form onSubmit=${go}><label>${t("new.name")}<input autofocus autocapitalize="none" spellcheck=${false} value=${name} onInput=${(/** @type {any} */ e) => setName(e.target.value)} /></label>
      <p class="problem" role="alert">${problem}</p>
      ${people.length > 0 && html`<ul class="plain-list">${people.map((each) => html`<li key=${each}><button type="button" class="row" onClick=${() => app.open(each)}><${Avatar} name=${each} presence=${app.state.presence[each]} /><span>${app.state.conversations[each]?.name ?? each}</span></button></li>`)}</ul>`}
      <div class="buttons"><button class="primary">${t("new.start")}</button></div></form>
  <//>`;
}

/** @param {{app: Controller}} given */
function NewRoom({ app }) {
  const [name, setName] = useState("");
  const [topic, setTopic] = useState("");
  const [open, setOpen] = useState(false);
  const [guests, setGuests] = useState(false);
  const [problem, setProblem] = useState("");
  /** @param {Event} event */
  const go = async (event) => {
    event.preventDefault();
    const room = `#${name.trim().replace(/^#/, "")}`;
    if (!isRoom(room)) return setProblem(t("room.badName"));
    /** @type {Record<string, string>} */
    const headers = { Do: "create", Access: open ? "public" : "private" };
    if (topic.trim()) headers.Topic = topic.trim();
    if (open && guests) headers.Guests = "yes";
    try {
      await app.ask("ROOM", [room], headers);
      app.open(room);
    } catch (error) {
      setProblem(await app.explain(error));
    }
  };
  return html`<${Box} app=${app} title=${t("room.title")}>
    <form onSubmit=${go}><label>${t("room.name")}<input autofocus autocapitalize="none" spellcheck=${false} maxlength="33" value=${name} onInput=${(/** @type {any} */ e) => setName(e.target.value)} /></label>
      <label>${t("room.topic")}<input maxlength="120" value=${topic} onInput=${(/** @type {any} */ e) => setTopic(e.target.value)} /></label>
      <label class="check"><input type="checkbox" checked=${open} onChange=${() => setOpen(!open)} />${t("room.public")}</label>
      ${open && html`<label class="check"><input type="checkbox" checked=${guests} onChange=${() => setGuests(!guests)} />${t("room.guests")}</label>`}
      <p class="problem" role="alert">${problem}</p>
      <div class="buttons"><button class="primary">${t("room.create")}</button></div></form>
  <//>`;
}

/** @param {{app: Controller}} given */
function Rooms({ app }) {
  const [rooms] = useAnswer(app, async () => listIn(await app.ask("ROOMS", [])));
  return html`<${Box} app=${app} title=${t("room.browse")}>
    ${rooms?.length === 0 && html`<p class="hint">${t("room.none")}</p>`}
    <ul class="plain-list">${(rooms ?? []).map((each) => html`<li key=${each.name + each.access} class="item"><${Avatar} name=${each.name} />
      <span class="text"><b>${each.name}</b><small>${app.membersText({ members: each.members, .../** @type {any} */ ({}) })}${each.topic ? ` · ${visible(each.topic)}` : ""}${each.guests ? ` · ${t("room.guests")}` : ""}${each.invited ? ` · ${t("room.invited")}` : ""}</small></span>
      ${each.role === "none" ? html`<button class="quiet" onClick=${() => joinRoom(app, each.name)}>${t("room.join")}</button>` : html`<button class="quiet" onClick=${() => app.open(each.name)}>${t("room.open")}</button>`}</li>`)}</ul>
    <div class="buttons"><button class="primary" onClick=${() => app.openDialog({ name: "newRoom" })}>${t("room.new")}</button></div>
  <//>`;
}

/** @param {{app: Controller, conversation: import("../model/types.js").Conversation}} given */
function Details({ app, conversation }) {
  const now = app.state.conversations[conversation.key] ?? conversation;
  const room = isRoomKey(now.key);
  const muted = isMuted(now, Date.now());
  const profile = app.state.profiles[now.key];
  const set = (/** @type {Record<string, string>} */ headers) => app.ask("CONVERSATION", [now.name], headers).catch((error) => app.complain(error));
  const block = () => {
    if (now.blocked || confirm(t("details.blockSure", { name: now.name }))) void set({ Blocked: now.blocked ? "no" : "yes" });
  };
  return html`<${Box} app=${app} title=${now.name}>
    ${!room && html`<p class="portrait"><${Avatar} name=${now.name} /><b><bdi>${visible(profile?.display || now.name)}</bdi></b></p>`}
    ${profile?.status && html`<p class="hint" dir="auto">${visible(profile.status)}</p>`}
    ${room && !now.left && html`<${RoomDetails} app=${app} room=${now} />`}
    <div class="stack">
      <${Mute} conversation=${now} set=${set} />
      ${room && !now.left && html`<label class="check"><input type="checkbox" checked=${now.notifyAll} disabled=${muted} onChange=${() => set({ Notify: now.notifyAll ? "mentions" : "all" })} />${t("details.notifyAll")}</label>`}
      <button class="quiet" onClick=${() => set({ Pinned: now.pinned ? "no" : "yes" })}>${t(now.pinned ? "details.unpin" : "details.pin")}</button>
      <button class="quiet" onClick=${() => app.openDialog({ name: "pins", conversation: now })}>${t("details.pins")}</button>
      <button class="quiet" onClick=${() => app.ask("CONVERSATION", [now.name], { Closed: "yes" }).then(closing(app)).then(() => app.back(now.key), (error) => app.complain(error))}>${t("details.closeIt")}</button>
      ${!room && now.key !== app.me.toLowerCase() && html`<button class="quiet" onClick=${block}>${t(now.blocked ? "details.unblock" : "details.block", { name: now.name })}</button>
        <button class="quiet" onClick=${() => app.openDialog({ name: "report", user: now.name, about: "" })}>${t("details.report", { name: now.name })}</button>`}
      ${room && !now.left && html`<button class="quiet danger" onClick=${() => confirm(t("room.leaveSure", { name: now.name })) && app.ask("ROOM", [now.name], { Do: "leave" }).then(closing(app), (error) => app.complain(error))}>${t("room.leave")}</button>`}
    </div>
  <//>`;
}

/**
 * Notifications of a conversation: off for a time, or on again.
 * @param {{conversation: import("../model/types.js").Conversation, set: (headers: Record<string, string>) => void}} given
 */
function Mute({ conversation: { mutedUntil, ...conversation }, set }) {
  const morning = new Date();
  morning.setDate(morning.getDate() + 1);
  morning.setHours(8, 0, 0, 0);
  const until = (/** @type {number} */ when) => () => set({ "Muted-until": new Date(when).toISOString() });
  if (isMuted({ mutedUntil, ...conversation }, Date.now())) return html`
    <button class="quiet" onClick=${() => set({ Muted: "no" })}>${t("details.unmute")}${mutedUntil > 0 && html`<small>${t("details.mutedUntil", { when: whenText(mutedUntil) })}</small>`}</button>`;
  return html`<div class="mute" role="group" aria-label=${t("details.mute")}><span>${t("details.mute")}</span>
    <button class="quiet" onClick=${until(Date.now() + 3600_000)}>${t("details.mute.hour")}</button>
    <button class="quiet" onClick=${until(morning.getTime())}>${t("details.mute.tomorrow", { time: clockText(morning.getTime()) })}</button>
    <button class="quiet" onClick=${() => set({ Muted: "yes" })}>${t("details.mute.always")}</button></div>`;
}

/** @param {{app: Controller, room: import("../model/types.js").Conversation}} given */
function RoomDetails({ app, room }) {
  const [topic, setTopic] = useState(room.topic);
  const [guest, setGuest] = useState("");
  const [members, again] = useAnswer(app, async () => listIn(await app.ask("ROOM", [room.name], { Do: "members" })));
  const moderator = moderates(room);
  const owner = room.role === "owner";
  const displayOf = (/** @type {{name: string, role: string}} */ { name, role }) => role !== "guest" && app.state.profiles[name.toLowerCase()]?.display;
  const act = (/** @type {Record<string, string>} */ headers, /** @type {string} */ said = "") =>
    app.ask("ROOM", [room.name], headers).then(() => (again(), said && app.say(said)), (error) => app.complain(error));
  return html`
    ${moderator ? html`<form class="inline" onSubmit=${(/** @type {Event} */ e) => (e.preventDefault(), act({ Do: "change", Topic: topic.trim() }, t("settings.saved")))}>
      <label>${t("room.topic")}<input value=${topic} maxlength="120" onInput=${(/** @type {any} */ e) => setTopic(e.target.value)} /></label><button class="quiet">${t("room.save")}</button></form>`
      : room.topic && html`<p dir="auto">${visible(room.topic)}</p>`}
    ${owner && html`<label class="check"><input type="checkbox" checked=${room.access === "public"} onChange=${() => act({ Do: "change", Access: room.access === "public" ? "private" : "public" })} />${t("room.public")}</label>`}
    ${owner && room.access === "public" ? html`<label class="check"><input type="checkbox" checked=${room.guests} onChange=${() => act({ Do: "change", Guests: room.guests ? "no" : "yes" })} />${t("room.guests")}</label>`
      : room.guests && html`<p>${t("room.guests")}</p>`}
    ${(moderator || room.access === "public") && html`<form class="inline" onSubmit=${(/** @type {Event} */ e) => (e.preventDefault(), act({ Do: "invite", Member: guest.trim() }, t("room.invitedNow", { name: guest.trim() })), setGuest(""))}>
      <label>${t("room.inviteName")}<input autocapitalize="none" value=${guest} onInput=${(/** @type {any} */ e) => setGuest(e.target.value)} /></label><button class="quiet">${t("room.invite")}</button></form>`}
    <h3>${t("room.members")}</h3>
    <ul class="plain-list members">${(members ?? []).map((each) => html`<li key=${`${each.role === "guest"} ${each.name}`} class="item"><${Avatar} name=${each.name} guest=${each.role === "guest"} presence=${each.role === "guest" ? "" : app.state.presence[each.name.toLowerCase()]} />
      <span class="text"><b><bdi>${visible(displayOf(each) || each.name)}</bdi></b>${displayOf(each) && html`<small>${each.name}</small>`}</span>
      ${owner && each.role !== "guest" && each.name.toLowerCase() !== app.me.toLowerCase() ? html`<select aria-label=${t("room.appoint", { name: each.name })} value=${each.role} onChange=${(/** @type {any} */ e) => act({ Do: "appoint", Member: each.name, Role: e.target.value })}>
        ${["member", "moderator", "owner"].map((role) => html`<option value=${role} selected=${role === each.role}>${t(/** @type {any} */ (`role.${role}`))}</option>`)}</select>`
        : html`<small>${["owner", "moderator", "member", "guest"].includes(each.role) ? t(/** @type {any} */ (`role.${each.role}`)) : each.role}</small>`}
      ${((moderator && ["member", "guest"].includes(each.role)) || owner) && each.name.toLowerCase() !== app.me.toLowerCase() && html`<button class="icon-button" aria-label=${`${t("room.remove")} ${each.name}`} title=${t("room.remove")} onClick=${() => act({ Do: "remove", Member: each.name })}><${Icon} name="close" /></button>`}</li>`)}</ul>`;
}

/** @param {{app: Controller, conversation: import("../model/types.js").Conversation, messages: import("../model/types.js").Message[] | null, none: string, unpin?: (message: import("../model/types.js").Message) => void}} given */
const MessageItems = ({ app, conversation, messages, none, unpin }) => html`
  ${messages?.length === 0 && html`<p class="hint">${none}</p>`}
  <ul class="plain-list">${(messages ?? []).map((each) => html`<li key=${each.uid} class="found-message"><p class="top"><b><bdi>${each.sender}</bdi>${guestTag(each)}</b> <time>${whenText(each.time)}</time>
      <button class="icon-button" aria-label=${`${t("message.goTo")}: ${senderText(each, t)}, ${clockText(each.time)}`} title=${t("message.goTo")} onClick=${() => app.jump(conversation.name, each)}><${Icon} name="goTo" /></button>
      ${unpin && html`<button class="icon-button" aria-label=${`${t("message.unpin")}: ${senderText(each, t)}, ${clockText(each.time)}`} title=${t("message.unpin")} onClick=${() => unpin(each)}><${Icon} name="close" /></button>`}</p>
    ${each.text ? html`<${Formatted} text=${each.text} me=${app.me} />` : html`<p>${each.file ? visible(each.file.name) : t("message.deleted")}</p>`}</li>`)}</ul>`;

/** @param {{app: Controller, conversation: import("../model/types.js").Conversation}} given */
function Pins({ app, conversation }) {
  const [found] = useAnswer(app, () => app.ask("PINS", [conversation.name]));
  const [gone, setGone] = useState(/** @type {string[]} */ ([]));
  const unpin = (/** @type {import("../model/types.js").Message} */ message) => import("./pins.js")
    .then((each) => each.setPinned(app, conversation, message, false))
    .then(() => setGone((before) => [...before, message.uid]), (error) => app.complain(error));
  const shown = found && found.messages.filter((each) => !gone.includes(each.uid));
  return html`<${Box} app=${app} title=${t("details.pins")}><${MessageItems} app=${app} conversation=${conversation} messages=${shown} none=${t("details.noPins")} unpin=${unpin} /><//>`;
}

/** @param {{app: Controller, conversation: import("../model/types.js").Conversation, message: import("../model/types.js").Message}} given */
function Thread({ app, conversation, message }) {
  const [found] = useAnswer(app, () => app.ask("HISTORY", [conversation.name], { Thread: `${message.sender} ${message.id}`, Limit: 200 }));
  const reply = () => {
    document.querySelector("dialog")?.close(); // at once: the box gets the focus next
    app.compose({ kind: "reply", message });
  };
  return html`<${Box} app=${app} title=${t("thread.title")} wide><${MessageItems} app=${app} conversation=${conversation} messages=${found && found.messages} none="" />
    ${!conversation.left && html`<div class="buttons"><button class="primary" onClick=${reply}>${t("message.reply")}</button></div>`}<//>`;
}

/** @param {{app: Controller, conversation: import("../model/types.js").Conversation, message: import("../model/types.js").Message}} given */
function Receipts({ app, conversation, message }) {
  const [found] = useAnswer(app, async () => listIn(await app.ask("RECEIPTS", [conversation.name], { Id: message.id })));
  const words = { accepted: "state.stored", delivered: "state.delivered", read: "state.read" };
  return html`<${Box} app=${app} title=${t("receipts.title")}>
    <ul class="plain-list">${(found ?? []).map((each) => html`<li key=${each.name} class="item"><${Avatar} name=${each.name} /><span class="text"><b>${each.name}</b></span><small>${each.state in words ? t(/** @type {any} */ (words[/** @type {keyof typeof words} */ (each.state)])) : each.state}</small></li>`)}</ul>
  <//>`;
}

/** @param {{app: Controller, message: import("../model/types.js").Message}} given */
function Forward({ app, message }) {
  const go = (/** @type {string} */ name) => app.profile?.send({ to: name, text: "", forwards: message }).then(() => app.open(name), (error) => app.complain(error));
  const all = listed(Object.values(app.state.conversations), "").filter((each) => !each.left && each.key !== "all");
  return html`<${Box} app=${app} title=${t("forward.title")}><ul class="plain-list">${all.map((each) => html`<li key=${each.key}><button class="row" onClick=${() => go(each.name)}><${Avatar} name=${each.name} /><span>${each.name}</span></button></li>`)}</ul><//>`;
}

/** @param {{app: Controller, user: string, about: string}} given */
function Report({ app, user, about }) {
  const [why, setWhy] = useState("");
  const go = (/** @type {Event} */ event) => {
    event.preventDefault();
    app.ask("REPORT", [user], about ? { About: about } : {}, why.slice(0, 1000)).then(closing(app)).then(() => app.say(t("report.done")), (error) => app.complain(error));
  };
  return html`<${Box} app=${app} title=${t("details.report", { name: user })}><form onSubmit=${go}>
    <label>${t("report.why")}<textarea rows="4" value=${why} onInput=${(/** @type {any} */ e) => setWhy(e.target.value)}></textarea></label><div class="buttons"><button class="primary">${t("report.send")}</button></div></form><//>`;
}

/** Return the text that says why the browser has no notifications for this page; empty if it has. */
function noNotifications() {
  if (!isSecureContext) return "settings.notifications.https";
  if ("Notification" in window) return "";
  const apple = /iPhone|iPad/.test(navigator.userAgent) || (navigator.userAgent.includes("Macintosh") && navigator.maxTouchPoints > 1);
  return apple ? "settings.notifications.install" : "settings.notifications.none";
}

/** @param {{app: Controller}} given */
function Settings({ app }) {
  const mine = app.state.profiles[app.me.toLowerCase()];
  const [display, setDisplay] = useState(mine?.display ?? "");
  const [status, setStatus] = useState(mine?.status ?? "");
  const [, again] = useState(0);
  const save = (/** @type {Event} */ event) => {
    event.preventDefault();
    app.ask("PROFILE", [], { Display: display.trim(), Status: status.trim() }).then(() => app.say(t("settings.saved")), (error) => app.complain(error));
  };
  const set = (/** @type {string} */ name, /** @type {string} */ value) => {
    choose(name, value);
    if (name === "language") void useLanguage(value).then(() => (app.draw(), app.restatePush()));
    again((n) => n + 1);
    app.draw();
  };
  const missing = noNotifications();
  const notify = async () => {
    if ((await Notification.requestPermission()) === "denied") app.say(t("settings.notifications.denied"));
    again((n) => n + 1);
  };
  const push = async (/** @type {string} */ how) => {
    try {
      const { setPush } = await import("./push.js");
      await setPush(app, how);
    } catch (error) {
      const service = /** @type {any} */ (error).name === "NoPushService";
      if (service) app.say(t("settings.push.none", { reason: /** @type {any} */ (error).message }), null, 8_000);
      else app.complain(error);
    }
    again((n) => n + 1);
  };
  const out = async () => {
    if (app.recording && !confirm(t("voice.discardSure"))) return;
    const waiting = (await app.profile?.store.outbox())?.length ?? 0;
    if (confirm(waiting ? t("settings.outSure", { n: waiting }) : t("settings.outSure.none"))) await app.profile?.call("signOut").catch((error) => app.complain(error));
  };
  return html`<${Box} app=${app} title=${t("settings.title")}>
    <p class="item"><${Avatar} name=${app.me} /><b>${app.me}</b>${!app.isMember && html`<small>${t("settings.guest")}</small>`}</p>
    ${app.isMember && html`<${Picture} app=${app} has=${Boolean(mine?.picture)} />`}
    ${app.isMember && html`<form onSubmit=${save}><label>${t("settings.display")}<input maxlength="60" value=${display} onInput=${(/** @type {any} */ e) => setDisplay(e.target.value)} /></label>
      <label>${t("settings.status")}<input maxlength="120" value=${status} onInput=${(/** @type {any} */ e) => setStatus(e.target.value)} /></label><div class="buttons"><button class="quiet">${t("settings.save")}</button></div></form><${Shown} app=${app} />`}
    <h3>${t("settings.look")}</h3>
    <label>${t("settings.theme")}<select value=${chosen("theme")} onChange=${(/** @type {any} */ e) => set("theme", e.target.value)}>${["", "light", "dark"].map((each) => html`<option value=${each} selected=${chosen("theme") === each}>${t(/** @type {any} */ (`settings.theme.${each || "system"}`))}</option>`)}</select></label>
    ${LANGUAGES.length > 1 && html`<label>${t("settings.language")}<select value=${chosen("language")} onChange=${(/** @type {any} */ e) => set("language", e.target.value)}>${["", ...LANGUAGES].map((each) => html`<option value=${each} selected=${chosen("language") === each}>${each ? new Intl.DisplayNames([each], { type: "language" }).of(each) : t("settings.language.system")}</option>`)}</select></label>`}
    ${missing ? html`<p class="hint">${t(missing)}</p>` : html`<label class="check"><input type="checkbox" checked=${Notification.permission === "granted"} disabled=${Notification.permission === "granted"} onChange=${notify} />${t("settings.notifications")}</label>`}
    ${!missing && app.isMember && Notification.permission === "granted" && "PushManager" in window && html`<label>${t("settings.push")}<select value=${chosen("push")} onChange=${(/** @type {any} */ e) => push(e.target.value)}>
      ${["", "who", "text"].map((each) => html`<option value=${each} selected=${chosen("push") === each}>${t(/** @type {any} */ (`settings.push.${each || "off"}`))}</option>`)}</select></label>`}
    ${app.isMember && html`<${Devices} app=${app} /><${Password} app=${app} />`}
    <div class="stack"><button class="quiet" onClick=${() => app.openDialog({ name: "keys" })}>${t("keys.title")}</button>
      <button class="quiet danger" onClick=${out}>${t("settings.out")}</button></div>
  <//>`;
}

/**
 * Whether others see that the user is here (docs/protocol.md, rule 15.1).
 * @param {{app: Controller}} given
 */
function Shown({ app }) {
  const [status, again] = useAnswer(app, () => app.ask("STATUS", []));
  if (!status) return null;
  const shown = status.headers.shown !== "no";
  const set = () => app.ask("STATUS", [], { Shown: shown ? "no" : "yes" }).then(again, (error) => app.complain(error));
  return html`<label class="check"><input type="checkbox" checked=${shown} onChange=${set} />${t("settings.shown")}</label>
    ${!shown && html`<p class="hint">${t("settings.hidden")}</p>`}`;
}

/** @param {{app: Controller, has: boolean}} given */
function Picture({ app, has }) {
  const picker = useRef(/** @type {HTMLInputElement | null} */ (null));
  const set = async (/** @type {File | null} */ file) => {
    if (!app.profile) return;
    try {
      const { setPicture } = await import("../net/pictures.js");
      await setPicture(app.profile, file);
      app.say(t("settings.saved"));
    } catch (error) {
      if (/** @type {any} */ (error).name === "InvalidStateError") app.say(t("error.picture"), null, 8_000);
      else app.complain(error);
    }
  };
  return html`<div class="buttons"><input type="file" accept="image/png,image/jpeg,image/webp,image/gif,image/avif" hidden ref=${picker} onChange=${(/** @type {any} */ e) => {
    if (e.target.files[0]) void set(e.target.files[0]);
    e.target.value = "";
  }} />
    <button class="quiet" onClick=${() => picker.current?.click()}>${t("settings.picture")}</button>
    ${has && html`<button class="quiet" onClick=${() => set(null)}>${t("settings.noPicture")}</button>`}</div>`;
}

/** @param {{app: Controller}} given */
function Devices({ app }) {
  const [devices, again] = useAnswer(app, async () => listIn(await app.ask("DEVICES", [])));
  const mine = app.profile?.account.device;
  return html`<h3>${t("settings.devices")}</h3><ul class="plain-list">${(devices ?? []).map((each) => html`<li key=${each.device} class="item"><span class="text"><b>${each.device}</b>
    <small>${each.device === mine ? t("settings.device.this") : each.connected ? t("settings.device.connected") : each.seen ? t("settings.device.seen", { when: fullText(Date.parse(each.seen)) }) : ""}</small></span>
    ${each.device !== mine && html`<button class="icon-button" aria-label=${t("settings.device.out", { device: each.device })} title=${t("settings.device.out", { device: each.device })} onClick=${() => app.ask("REVOKE", [each.device]).then(again, (error) => app.complain(error))}><${Icon} name="close" /></button>`}</li>`)}</ul>`;
}

/** @param {{app: Controller}} given */
function Password({ app }) {
  const [old, setOld] = useState("");
  const [fresh, setFresh] = useState("");
  const [others, setOthers] = useState(false);
  const [problem, setProblem] = useState("");
  const go = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (new TextEncoder().encode(fresh).length < 8) return setProblem(t("error.password"));
    /** @type {Record<string, string>} */
    const headers = { Old: base64(old), New: base64(fresh) };
    if (others) headers["Revoke-others"] = "yes";
    app.ask("PASSWORD", [], headers).then(
      () => (setOld(""), setFresh(""), setProblem(""), app.say(t("settings.password.done"))),
      async (error) => setProblem(error.code === 104 ? t("settings.password.wrong") : await app.explain(error)),
    );
  };
  return html`<details><summary>${t("settings.password")}</summary><form onSubmit=${go}>
    <label>${t("settings.password.old")}<input type="password" autocomplete="current-password" value=${old} onInput=${(/** @type {any} */ e) => setOld(e.target.value)} /></label>
    <label>${t("settings.password.new")}<input type="password" autocomplete="new-password" value=${fresh} onInput=${(/** @type {any} */ e) => setFresh(e.target.value)} /></label>
    <label class="check"><input type="checkbox" checked=${others} onChange=${() => setOthers(!others)} />${t("settings.password.others")}</label>
    <p class="problem" role="alert">${problem}</p><div class="buttons"><button class="quiet">${t("settings.password.change")}</button></div></form></details>`;
}

/**
 * The keys: those that the terminal app has as well, and two of the box.
 * @param {{app: Controller}} given
 */
function Keys({ app }) {
  const [found] = useAnswer(app, async () => (await import(`../texts/keys/${document.documentElement.lang}.js`)).default);
  const [title, groups] = /** @type {[string, [string, [string, string, string, boolean][]][]]} */ (found ?? [t("keys.title"), []]);
  const own = [["↑", t("keys.edit"), "", false], ["Esc", t("keys.escape"), "", false]];
  return html`<${Box} app=${app} title=${title}>${groups.map(([name, keys], at) => html`<table class="keys"><caption>${name}</caption><tbody>
    ${[...keys, ...(at === 0 ? own : [])].filter(([, , , member]) => app.isMember || !member).map(([key, what, more]) => html`<tr>
      <th scope="row">${String(key).split(" ").map((each) => html`<kbd>${each}</kbd> `)}</th><td>${what}${more && html`<small>${more}</small>`}</td></tr>`)}</tbody></table>`)}<//>`;
}

const DIALOGS = {
  newConversation: NewConversation, newRoom: NewRoom, rooms: Rooms, details: Details, pins: Pins, thread: Thread,
  receipts: Receipts, forward: Forward, report: Report, settings: Settings, keys: Keys,
};
