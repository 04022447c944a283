/** What an error means and what to do, in the user's language. Loaded with the first error. */
import { reasonText } from "../model/messages.js";
import { t } from "../texts/index.js";

/** What the server says in a word (docs/protocol.md, rule 9.12). */
const KINDS = {
  name: "error.name", member: "error.guestName", "in-use": "error.guestName", guests: "error.guests", login: "error.login",
  encryption: "error.encryption", "sign-up": "signin.closed", taken: "error.taken", invitation: "error.invitation",
  password: "error.password", device: "error.device",
};

/** What the numbers of errors say that need no more words. */
const NUMBERS = { 106: "error.large", 107: "error.stopping", 108: "link.replaced" };

/**
 * Return what an error means and what to do. Words of the server that are in English are a detail of it.
 * @param {unknown} error
 * @param {"" | "in" | "up" | "guest" | "session"} [how] what the user was doing: signing in or up, entering as a guest, or
 *   connecting again
 */
export function errorText(error, how = "") {
  const { code, kind = "", name, message, retryAfter } = /** @type {any} */ (error ?? {});
  const reason = String(message ?? error);
  const of = (/** @type {string} */ key) => t(/** @type {any} */ (key));
  if (name === "QuotaExceededError" || (name === "StorageError" && reason.includes("QuotaExceededError"))) return of("error.full");
  if (name === "StorageError") return t("error.write", { reason });
  if (code === 0) return of(how ? "error.away" : "error.offline");
  if (how === "session" && code === 104 && ["login", ""].includes(kind)) return of("error.loggedOut");
  if (Object.hasOwn(KINDS, kind)) return of(KINDS[/** @type {keyof typeof KINDS} */ (kind)]);
  if (code === 100) return of(how === "up" ? "error.taken" : "error.guestName");
  if (code === 104 && how === "in") return of("error.login");
  if (code === 105) return t("error.many", { seconds: retryAfter || 1 });
  if (Object.hasOwn(NUMBERS, code)) return of(NUMBERS[/** @type {keyof typeof NUMBERS} */ (code)]);
  return t("error.other", { reason: reasonText(reason, t) });
}
