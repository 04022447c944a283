/** The box in which the user writes messages. */
import { html, useEffect, useLayoutEffect, useRef, useState } from "../../vendor/preact.js";
import { senderText } from "../model/messages.js";
import { visible } from "../model/names.js";
import { t, withTexts } from "../texts/index.js";
import { Icon } from "./icons.js";
import { useModule } from "./lazy.js";

/**
 * @typedef {import("./controller.js").Controller} Controller
 * @typedef {import("./talk.js").Mode} Mode
 */

/**
 * @param {{app: Controller, conversation: import("../model/types.js").Conversation, mode: Mode, setMode: (mode: Mode) => void}} given
 */
export function Composer({ app, conversation, mode, setMode }) {
  const box = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const picker = useRef(/** @type {HTMLInputElement | null} */ (null));
  const [text, setText] = useState(app.state.drafts[conversation.key] ?? "");
  const [caret, setCaret] = useState(0);
  const [emoji, setEmoji] = useState(false);
  const pick = useModule(emoji, () => withTexts(import("./emoji.js")));
  const before = text.slice(0, caret);
  // Loaded before it is needed: a command that is written at once must not be sent as a text.
  const complete = useModule(true, () => withTexts(import("./complete.js")));
  const recording = app.recording?.to.toLowerCase() === conversation.key ? app.recording : null;
  const voice = useModule(recording !== null, loadVoice);
  const touch = matchMedia("(pointer: coarse)").matches;
  useEffect(() => {
    if (!touch && !app.state.window.mark) box.current?.focus();
  }, []);
  // Before the next key, which would otherwise be lost.
  useLayoutEffect(() => {
    if (mode?.kind === "edit") setText(mode.text ?? mode.message.text);
    if (mode) box.current?.focus();
  }, [mode]);
  const editKey = `edit ${conversation.key}`;
  useEffect(() => {
    // An edit that was not finished goes on.
    const [, uid, kept] = /^(.+)\n([^]*)$/.exec(app.state.drafts[editKey] ?? "") ?? [];
    if (uid) void app.profile?.store.message(conversation.key, uid).then((message) => message && !message.deleted && setMode({ kind: "edit", message, text: kept }), (error) => app.complain(error));
  }, []);
  useEffect(() => fit(box.current), [text]);

  /** @param {string} next */
  const change = (next) => {
    setText(next);
    if (mode?.kind === "edit") app.keepDraft(editKey, `${mode.message.uid}\n${next}`);
    else app.typing(conversation, next);
  };
  const leave = () => {
    if (mode?.kind === "edit") {
      setText(app.state.drafts[conversation.key] ?? "");
      app.keepDraft(editKey, "");
    }
    setMode(null);
  };
  const send = async () => {
    const body = text.replace(/\s+$/, "");
    if (!body) return;
    try {
      if (mode?.kind === "edit") {
        if (body !== mode.message.text) await app.edit(mode.message, body);
        leave();
        return;
      }
    } catch (error) {
      app.complain(error);
      return;
    }
    // The box is empty at once, so that what is typed next is not taken for this message. The draft is kept until the
    // message is stored.
    setText("");
    setMode(null);
    try {
      await app.send(conversation, body, { replyTo: mode ? [mode.message.sender, mode.message.id] : null });
    } catch (error) {
      setMode(mode);
      setText((later) => {
        const both = later ? `${body}\n${later}` : body;
        app.typing(conversation, both);
        return both;
      });
      app.complain(error);
    }
  };
  /** @param {KeyboardEvent} event */
  const key = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.altKey && !event.isComposing && (!touch || event.ctrlKey)) {
      event.preventDefault();
      void send();
    } else if (event.key === "Escape" && (mode || emoji)) {
      event.preventDefault();
      if (emoji) setEmoji(false);
      else leave();
    } else if (event.key === "Escape") lastRow()?.focus();
    else if (event.key === "ArrowUp" && !text) {
      const mine = app.state.window.messages.findLast((each) => each.outgoing && !each.deleted && !each.file && !each.forwardedFrom && each.state !== "failed");
      if (mine && app.isMember) {
        event.preventDefault();
        setMode({ kind: "edit", message: mine });
      }
    }
  };
  /** @param {ClipboardEvent} event */
  const paste = (event) => {
    if (!event.clipboardData?.files.length || !app.isMember) return;
    event.preventDefault();
    void app.sendFiles(conversation, event.clipboardData.files);
  };
  return html`<div class="composer">
    ${mode && html`<div class="mode"><${Icon} name=${mode.kind === "edit" ? "edit" : "reply"} />
      <span class="mode-text"><b>${mode.kind === "edit" ? t("talk.editing") : t("talk.replyTo", { name: senderText(mode.message, t) })}</b>
        <span dir="auto">${visible(mode.message.text.slice(0, 120) || mode.message.file?.name || "")}</span></span>
      <button class="icon-button" aria-label=${t("talk.cancel")} onClick=${leave}><${Icon} name="close" /></button></div>`}
    ${emoji && pick && html`<${pick.Picker} close=${() => (setEmoji(false), box.current?.focus())} choose=${(/** @type {string} */ each) => {
      const at = box.current?.selectionEnd ?? text.length;
      change(text.slice(0, at) + each + text.slice(at));
    }} />`}
    ${recording && voice ? html`<${voice.Recorder} app=${app} recording=${recording} replyTo=${mode?.kind === "reply" ? [mode.message.sender, mode.message.id] : null} sent=${() => setMode(null)} />` : html`<div class="compose-line">
      ${app.isMember && html`<button class="icon-button" aria-label=${t("talk.attach")} title=${t("talk.attach")} onClick=${() => picker.current?.click()}><${Icon} name="attach" /></button>
        <input type="file" multiple hidden ref=${picker} onChange=${(/** @type {any} */ e) => {
          void app.sendFiles(conversation, [...e.target.files]);
          e.target.value = "";
        }} />
        ${conversation.key !== "all" && html`<button class="icon-button" aria-label=${t("voice.record")} title=${t("voice.record")} disabled=${app.recording !== null} onClick=${() => loadVoice().then((each) => each.record(app, conversation)).catch((error) => app.complain(error))}><${Icon} name="microphone" /></button>`}`}
      ${before && complete && html`<${complete.Completions} key=${conversation.key} app=${app} conversation=${conversation} box=${box} before=${before} canCommand=${!mode} moved=${setCaret} />`}
      <textarea id="message-box" ref=${box} rows="1" dir="auto" aria-label=${t("talk.message")} placeholder=${t("talk.to", { name: conversation.name })}
        enterkeyhint=${touch ? "enter" : "send"} value=${text} onInput=${(/** @type {any} */ e) => (change(e.target.value), setCaret(e.target.selectionEnd))} onKeyDown=${key} onPaste=${paste}></textarea>
      <button class="icon-button emoji-button" aria-label=${t("talk.emoji")} aria-expanded=${emoji} onClick=${() => setEmoji(!emoji)}><${Icon} name="smile" /></button>
      <button class="send" aria-label=${mode?.kind === "edit" ? t("talk.save") : t("talk.send")} disabled=${!text.trim()} onClick=${send}><${Icon} name="send" /></button>
    </div>`}
  </div>`;
}

const lastRow = () => /** @type {HTMLElement | undefined} */ ([...document.querySelectorAll("[role=log] article")].pop());

const loadVoice = () => withTexts(import("./voice.js"));

/**
 * Make the box as high as its text, up to a limit.
 * @param {HTMLTextAreaElement | null} box
 */
function fit(box) {
  if (!box) return;
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight, 200)}px`;
}
