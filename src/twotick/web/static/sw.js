/**
 * Keeps the page for when there is no connection, and for quick starts.
 *
 * It keeps whole versions of the page. `/page.json` names the version that the server has, and its files. A new version
 * is loaded into a cache of its own and checked against `/page.json` once more, so that no version is a mix of two. It
 * replaces the old one only when no tab uses that, or when the user asks for it: then all tabs load it.
 */
"use strict";

const PREFIX = "page-";
const STATE = "state";
const LIST = "/page.json";

/** @returns {Promise<{version: string, files: string[]}>} */
const listed = async () => (await fetch(LIST, { cache: "no-store" })).json();

/** Return the version that is used; empty if there is none. */
const current = async () => (await (await caches.open(STATE)).match("/current"))?.text() ?? "";

/** @param {string} version */
const use = async (version) => (await caches.open(STATE)).put("/current", new Response(version));

/** Return the version that waits to be used; empty if there is none. */
const waiting = async () => (await (await caches.open(STATE)).match("/waiting"))?.text() ?? "";

/** @param {string} version */
const wait = async (version) => (await caches.open(STATE)).put("/waiting", new Response(version));

/** Load the server's version if it is new. Return whether there is a new one. */
async function load() {
  const { version, files } = await listed();
  const known = [await current(), await waiting()];
  if (known.includes(version)) return version !== known[0];
  const cache = await caches.open(PREFIX + version);
  const answers = await Promise.all(files.map((file) => fetch(file, { cache: "no-cache" })));
  if (answers.some((answer) => !answer.ok)) throw new Error("a file of the page is missing");
  await Promise.all(files.map((file, at) => cache.put(file, answers[at])));
  if ((await listed()).version !== version) {
    await caches.delete(PREFIX + version); // the server was renewed meanwhile
    return false;
  }
  await wait(version);
  return true;
}

/** @type {Promise<boolean> | null} */
let loading = null;

/** As `load`, but once at a time. */
const loadOnce = () => loading ??= load().finally(() => loading = null);

/** Use the version that waits, and forget all others. */
async function renew() {
  const version = await waiting();
  if (!version || version === (await current())) return;
  await use(version);
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== PREFIX + version) await caches.delete(name);
  }
}

/** @param {any} event */
async function navigate(event) {
  const tabs = await self.clients.matchAll({ type: "window" });
  if (!tabs.some((each) => each.id !== event.resultingClientId && each.id !== event.clientId)) await renew();
  event.waitUntil(loadOnce().catch(() => false)); // also if the old version cannot start
  return find("/", event.request);
}

/**
 * @param {string} path
 * @param {Request} request
 */
async function find(path, request) {
  const version = await current();
  const kept = version && (await (await caches.open(PREFIX + version)).match(path));
  return kept || fetch(request);
}

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(load());
});

self.addEventListener("activate", (event) => event.waitUntil(current().then((version) => version || renew())));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin || url.pathname.startsWith("/admin")) return;
  if (request.mode === "navigate") event.respondWith(navigate(event));
  else if (url.pathname !== LIST && url.pathname !== "/info.json") event.respondWith(find(url.pathname, request));
});

self.addEventListener("push", (event) => event.waitUntil(pushed(event.data)));

/**
 * Show that messages have come (rule 20.2). A page in front of the user shows them itself, once it is connected.
 * @param {PushMessageData | null} data
 */
async function pushed(data) {
  const tabs = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const visible = tabs.filter((each) => each.visibilityState === "visible");
  for (const each of visible) each.postMessage("connect");
  if (visible.length) return;
  const news = read(data);
  const tag = news.name.toLowerCase();
  const [before] = await self.registration.getNotifications({ tag });
  const count = (before?.data.count ?? 0) + news.count;
  const many = await newMessages(count);
  const title = news.name[0] === "#" ? `${news.sender} · ${news.name}` : news.sender;
  const body = !news.text ? many : count === 1 ? news.text : `${many}\n${news.text}`;
  const icon = "/icons/icon-192.png";
  await self.registration.showNotification(title, { body, tag, renotify: true, icon, data: { name: news.name, count } });
  const shown = await self.registration.getNotifications();
  await self.navigator.setAppBadge?.(shown.reduce((sum, each) => sum + (each.data?.count ?? 1), 0));
}

/**
 * Return what the server says; a notification must be shown in any case.
 * @param {PushMessageData | null} data
 */
function read(data) {
  try {
    const { name, sender, count, text } = data.json();
    return { name: String(name), sender: String(sender), count: Number(count) || 1, text: String(text ?? "") };
  } catch {
    return { name: "Twotick", sender: "Twotick", count: 1, text: "" };
  }
}

/** @param {number} count */
async function newMessages(count) {
  const texts = await (await (await caches.open(STATE)).match("/push-texts"))?.json();
  const { one, other } = texts ?? { one: "1 new message", other: "{n} new messages" };
  return count === 1 ? one : other.replace("{n}", count);
}

// The subscription is another one now. Only a page can tell the server, when it is opened the next time at the latest.
self.addEventListener("pushsubscriptionchange", (event) => {
  event.waitUntil(
    self.clients.matchAll({ type: "window", includeUncontrolled: true }).then((tabs) => {
      for (const each of tabs) each.postMessage("subscribe");
    }),
  );
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(show(`/#/${encodeURIComponent(event.notification.data.name)}`));
});

/**
 * Show a conversation in a tab that is open, else in a new one.
 * @param {string} path
 */
async function show(path) {
  const [tab] = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  if (!tab) return self.clients.openWindow(path);
  tab.postMessage({ show: path });
  await tab.focus();
}

self.addEventListener("message", (event) => {
  if (event.data === "look") {
    event.waitUntil(loadOnce().then((isNew) => isNew && event.source?.postMessage("update"), () => undefined));
  }
  if (event.data !== "renew") return;
  event.waitUntil(
    renew().then(async () => {
      for (const each of await self.clients.matchAll({ type: "window" })) each.postMessage("reload");
    }),
  );
});
