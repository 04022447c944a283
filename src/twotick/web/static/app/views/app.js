/** The page: signing in, or the conversations. */
import { html, useEffect, useReducer, useState } from "../../vendor/preact.js";
import { t, withTexts } from "../texts/index.js";
import { Sidebar, source } from "./sidebar.js";
import { SignIn } from "./sign_in.js";
import { Talk } from "./talk.js";

/** @param {{app: import("./controller.js").Controller}} given */
export function App({ app }) {
  const [, draw] = useReducer((/** @type {number} */ n) => n + 1, 0);
  app.render = () => draw(undefined);
  source.app = app;
  if (!app.profile) return html`<${SignIn} app=${app} />`;
  const open = app.state.window.key !== "";
  return html`<main class=${`page ${open ? "talking" : "listing"}`}>
    <${Banner} app=${app} />
    <${Sidebar} app=${app} />
    <${Talk} app=${app} />
    ${app.dialog && html`<${LazyDialogs} app=${app} />`}
    <${Notice} app=${app} />
    <div class="hidden" aria-live="polite">${app.state.said}</div>
  </main>`;
}

/** @param {{app: import("./controller.js").Controller}} given */
function LazyDialogs({ app }) {
  const [Dialogs, setDialogs] = useState(/** @type {any} */ (null));
  useEffect(() => void withTexts(import("./dialogs.js")).then((found) => setDialogs(() => found.Dialogs), (error) => app.complain(error)), []);
  return Dialogs && html`<${Dialogs} app=${app} />`;
}

/** @param {{app: import("./controller.js").Controller}} given */
function Banner({ app }) {
  const { state, reason, problem } = app.state.link;
  const connect = () => void app.profile?.call("connect").catch(() => undefined);
  if (app.update) return html`<div class="banner" role="status">${t("update.text")} <button class="link" onClick=${() => navigator.serviceWorker.controller?.postMessage("renew")}>${t("update.now")}</button></div>`;
  if (state === "offline") return html`<div class="banner warn" role="status">${t("link.offline")} <button class="link" onClick=${connect}>${t("link.retry")}</button></div>`;
  if (state === "refused")
    return html`<div class="banner warn" role="status">${problem ? t("link.refused", { reason }) : t("link.replaced")} <button class="link" onClick=${() => location.reload()}>${t("link.here")}</button></div>`;
  return null;
}

/** @param {{app: import("./controller.js").Controller}} given */
function Notice({ app }) {
  const notice = app.state.notice;
  const undo = notice?.undo;
  return html`<div class=${`notice ${notice?.text ? "" : "empty"}`} role="status">${notice?.text && html`<span>${notice.text}</span>
    ${undo && html`<button class="link" onClick=${() => (app.dispatch({ kind: "unshown", id: notice.id }), undo())}>${t("message.undo")}</button>`}`}</div>`;
}
