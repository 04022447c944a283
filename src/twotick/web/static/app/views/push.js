/**
 * Notifications while no page is open: the server sends them through the push service of the browser (section 20 of the
 * protocol), and the service worker shows them.
 *
 * @typedef {import("./controller.js").Controller} Controller
 * @typedef {import("../net/profile.js").Profile} Profile
 */
import { t } from "../texts/index.js";
import { choose } from "./choices.js";

/** Where the service worker finds what it shows: it has no texts of its own. */
const STATE = "state";
const TEXTS = "/push-texts";

/** The browser has no push service, or does not let the page use it. */
export class NoPushService extends Error {
  name = "NoPushService";
}

/**
 * Get notifications also while no page is open, or not.
 * @param {Controller} app
 * @param {string} how "who" for who has written, "text" for the texts too; empty for none
 * @throws {NoPushService}
 */
export async function setPush(app, how) {
  const { profile } = app;
  if (!profile) return;
  if (how) await start(profile, how === "text");
  else await end(profile);
  if (app.profile === profile) choose("push", how); // the user may have left meanwhile
}

/** End notifications of an account that this browser leaves. The server knows that, or has no such device any more. */
export async function leavePush() {
  choose("push", "");
  await end(null);
}

/**
 * Subscribe this browser, or state again that it is subscribed.
 * @param {Profile} profile
 * @param {boolean} withText whether notifications have the text of messages
 * @throws {NoPushService}
 */
async function start(profile, withText) {
  const { pushManager } = await navigator.serviceWorker.ready;
  const { headers } = await profile.call("request", "PUSH", [], {}, null);
  const subscription = await subscribed(pushManager, headers.key);
  const { endpoint, keys } = subscription.toJSON();
  await (await caches.open(STATE)).put(TEXTS, Response.json({ one: t("talk.new.one"), other: t("talk.new.other") }));
  const given = { Endpoint: endpoint, P256dh: keys?.p256dh, Auth: keys?.auth, Text: withText ? "yes" : "no" };
  await profile.call("request", "PUSH", [], given, null);
}

/**
 * @param {PushManager} manager
 * @param {string} key the public key of the server
 */
async function subscribed(manager, key) {
  try {
    const known = await manager.getSubscription();
    if (known && keyOf(known) === key) return known;
    await known?.unsubscribe(); // another server was here, or this one has lost its data
    return await manager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  } catch (error) {
    throw new NoPushService(String(error instanceof Error ? error.message : error));
  }
}

/** @param {PushSubscription} subscription */
function keyOf({ options }) {
  const bytes = new Uint8Array(options.applicationServerKey ?? new ArrayBuffer(0));
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/**
 * End the subscription of this browser.
 * @param {Profile | null} profile tells the server; null if that knows it
 */
async function end(profile) {
  await profile?.call("request", "PUSH", [], { Do: "remove" }, null);
  const registration = await navigator.serviceWorker.getRegistration();
  await (await registration?.pushManager.getSubscription())?.unsubscribe();
}
