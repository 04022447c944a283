/**
 * Notifications of messages that come while no tab is looked at: one for each conversation.
 *
 * The service worker shows them, because a browser on a phone lets nothing else do so, and opens the conversation. A page
 * without a worker shows them itself.
 */
import { plural } from "../texts/index.js";

/** @type {Promise<unknown>} */
let last = Promise.resolve();

/**
 * Show a notification in place of an older one of the same conversation.
 * @param {{key: string, name: string, sender: string, text: string}} news the conversation, and what came in it
 * @param {() => void} open opens the conversation
 */
export function notify(news, open) {
  last = last.then(() => show(news, open)).catch(console.warn);
}

/** @param {string} key the conversation whose notification is no longer needed; empty for all */
export function forget(key) {
  last = last.then(async () => {
    for (const each of await (await worker())?.getNotifications(key ? { tag: key } : {}) ?? []) each.close();
  }).catch(console.warn);
}

const worker = async () => navigator.serviceWorker?.getRegistration();

/**
 * @param {{key: string, name: string, sender: string, text: string}} news
 * @param {() => void} open
 */
async function show({ key, name, sender, text }, open) {
  const registration = await worker();
  const title = name === sender ? sender : `${sender} · ${name}`;
  const icon = "/icons/icon-192.png";
  if (!registration?.active) {
    const shown = new Notification(title, { body: text, tag: key, icon });
    shown.onclick = () => {
      focus();
      open();
      shown.close();
    };
    return;
  }
  const [before] = await registration.getNotifications({ tag: key });
  const count = (before?.data.count ?? 0) + 1;
  const body = count === 1 ? text : `${plural("talk.new", count)}\n${text}`;
  await registration.showNotification(title, /** @type {any} */ ({ body, tag: key, renotify: true, icon, data: { name, count } }));
}
