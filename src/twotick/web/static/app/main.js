/** Starts the page. */
import { html, render } from "../vendor/preact.js";
import { Accounts, StorageError } from "./store/database.js";
import { t, useLanguage } from "./texts/index.js";
import { App } from "./views/app.js";
import { apply, chosen } from "./views/choices.js";
import { Controller } from "./views/controller.js";

/** What the server tells, or what the page knows of it without a connection. */
async function serverInfo() {
  try {
    return await (await fetch("/info.json")).json();
  } catch {
    return { version: "", sign_up: "closed", guests: false, max_body: 0, file_bytes: 0 };
  }
}

async function start() {
  apply();
  await useLanguage(chosen("language"));
  try {
    const known = Accounts.open().then((accounts) => accounts.current());
    const [account, info] = await Promise.all([known, known.then((found) => found ? null : serverInfo())]);
    const app = /** @type {any} */ (window).app = new Controller(info ?? { version: "", sign_up: "closed", guests: false, max_body: 0, file_bytes: 0 });
    if (account) {
      void serverInfo().then((found) => {
        app.info = found;
        app.draw();
      });
      await app.enter(account);
    }
    root().textContent = "";
    render(html`<${App} app=${app} />`, root());
    root().dataset.ready = "yes";
    void offline(app);
  } catch (error) {
    root().textContent = error instanceof StorageError ? t("error.storage") : String(error);
  }
}

/**
 * Let the service worker keep the page for when there is no connection.
 * @param {Controller} app
 */
async function offline(app) {
  if (!("serviceWorker" in navigator)) return;
  navigator.serviceWorker.addEventListener("message", ({ data }) => {
    if (data === "reload") location.reload();
    if (data === "connect") void app.profile?.call("connect").catch(() => undefined);
    if (data === "subscribe") app.restatePush();
    if (data.show) location.href = data.show; // only what follows the # changes
    if (data !== "update") return;
    app.update = true;
    app.draw();
  });
  try {
    await navigator.serviceWorker.register(workerUrl());
    root().dataset.offline = (await navigator.serviceWorker.ready).active ? "yes" : "";
    // The worker does not tell by itself: what it says before this page listens would be lost.
    navigator.serviceWorker.controller?.postMessage("look");
  } catch (error) {
    console.warn(`There is no offline use: ${error}`); // for example with a certificate that the browser does not trust
  }
}

/** The address of the service worker: the only script that the page may name in a text. */
function workerUrl() {
  const types = /** @type {any} */ (window).trustedTypes;
  return types ? types.createPolicy("worker", { createScriptURL: () => "/sw.js" }).createScriptURL("") : "/sw.js";
}

const root = () => /** @type {HTMLElement} */ (document.getElementById("app"));

void start();
