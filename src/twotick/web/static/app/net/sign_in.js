/**
 * Signing in: a short connection of its own that gets a token for this browser.
 *
 * @typedef {import("../model/types.js").Account} Account
 * @typedef {import("../protocol/frames.js").Frame} Frame
 */
import { Decoder, encodeFrame } from "../protocol/frames.js";
import { base64, newId } from "../protocol/words.js";

const PATIENCE = 45_000;
const MOST_RETRY_AFTER = 900;

/** The server refuses, or cannot be reached. `code` is the number of the error; 0 if there was no answer. */
export class Refused extends Error {
  /**
   * @param {number} code
   * @param {string} reason in the server's words
   * @param {number} retryAfter in seconds
   * @param {string} kind why, as a word (rule 9.12); empty if the server has not said
   */
  constructor(code, reason, retryAfter = 0, kind = "") {
    super(reason);
    this.code = code;
    this.retryAfter = retryAfter;
    this.kind = kind;
  }

  /** The milliseconds after which to connect again, with some chance in them; undefined if the server did not say. */
  get wait() {
    return this.retryAfter ? Math.min(this.retryAfter, MOST_RETRY_AFTER) * 1000 + Math.random() * 500 : undefined;
  }
}

/**
 * Return an error as tabs tell it each other.
 * @param {unknown} error
 * @returns {import("../model/types.js").Problem}
 */
export function problemOf(error) {
  if (error instanceof Refused) return { name: "Refused", message: error.message, code: error.code, kind: error.kind, retryAfter: error.retryAfter };
  const { name = "Error", message = String(error) } = error instanceof Error ? error : {};
  return { name, message, kind: "", retryAfter: 0 };
}

/**
 * Return an ERROR as an exception.
 * @param {Frame} frame
 */
export function refusal(frame) {
  const code = Number(frame.words[0]) || 0;
  const reason = frame.headers.get("reason") ?? frame.words.slice(1).join(" ");
  return new Refused(code, reason, Number(frame.headers.get("retry-after")) || 0, frame.headers.get("kind") ?? "");
}

/** One connection on which one frame is answered after the other. */
class Conversation {
  /** @param {string} url */
  constructor(url) {
    /** @type {Frame[]} */
    this.frames = [];
    /** @type {((frame: Frame | null) => void) | null} */
    this.waiting = null;
    this.over = false;
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    const decoder = new Decoder();
    this.socket.onmessage = ({ data }) => {
      this.frames.push(...decoder.feed(new Uint8Array(data)));
      if (decoder.broken) this.socket.close();
      this.give();
    };
    this.socket.onclose = () => {
      this.over = true;
      this.give();
    };
    this.timer = setTimeout(() => this.socket.close(), PATIENCE);
    this.opened = new Promise((resolve) => {
      this.socket.onopen = () => resolve(undefined);
      this.socket.addEventListener("close", () => resolve(undefined));
    });
  }

  give() {
    if (!this.waiting || (!this.frames.length && !this.over)) return;
    const waiting = this.waiting;
    this.waiting = null;
    waiting(this.frames.shift() ?? null);
  }

  /**
   * Write a frame, and return the frame with one of these verbs that answers it.
   * @param {string} verb
   * @param {string[]} words
   * @param {Record<string, string | number | null>} headers
   * @param {string} answer
   * @returns {Promise<Frame>}
   */
  async ask(verb, words, headers, answer) {
    await this.opened;
    if (this.socket.readyState === WebSocket.OPEN)
      this.socket.send(/** @type {Uint8Array<ArrayBuffer>} */ (encodeFrame(verb, words, headers)));
    for (;;) {
      const frame = await /** @type {Promise<Frame | null>} */ (
        new Promise((resolve) => {
          this.waiting = resolve;
          this.give();
        })
      );
      if (frame === null) throw new Refused(0, "");
      if (frame.verb === "ERROR") throw refusal(frame);
      if (frame.verb === answer) return frame;
    }
  }

  close() {
    clearTimeout(this.timer);
    this.socket.close();
  }
}

/**
 * Sign in or up, and return the account with a token for this browser. The password is not kept.
 * @param {string} url
 * @param {{name: string, password: string, signUp: string | null}} who `signUp` is an invitation, or "yes"
 * @returns {Promise<Account>}
 * @throws {Refused}
 */
export async function signIn(url, { name, password, signUp }) {
  const connection = new Conversation(url);
  const used = `login-${newId().slice(0, 6)}`;
  const device = `${browserName()}-${newId().slice(0, 6)}`;
  try {
    const authorization = `Basic ${base64(`${name}:${password}`)}`;
    await connection.ask("REGISTER", ["DUPLEX", name], { Authorization: authorization, Device: used, "Sign-up": signUp, Reasons: "yes" }, "REGISTERED");
    const token = (await connection.ask("TOKEN", [device], {}, "TOKEN")).headers.get("token") ?? "";
    await connection.ask("REVOKE", [used], {}, "REVOKED").catch(() => undefined); // it may be closed before the answer
    return { name, guest: false, token, device };
  } finally {
    connection.close();
  }
}

/**
 * Check that a guest can have a name.
 * @param {string} url
 * @param {string} name
 * @returns {Promise<Account>}
 * @throws {Refused}
 */
export async function enterAsGuest(url, name) {
  const connection = new Conversation(url);
  try {
    await connection.ask("REGISTER", ["DUPLEX", name], { Reasons: "yes" }, "REGISTERED");
    return { name, guest: true, token: "", device: "" };
  } finally {
    connection.close();
  }
}

/** Return a name for this browser by which its user tells devices apart. */
function browserName() {
  const agent = navigator.userAgent;
  const browser = /Firefox/.test(agent) ? "firefox" : /Edg\//.test(agent) ? "edge" : /Chrom/.test(agent) ? "chrome" : /Safari/.test(agent) ? "safari" : "browser";
  const system = /Android/.test(agent) ? "android" : /iPhone|iPad/.test(agent) ? "ios" : /Mac/.test(agent) ? "mac" : /Windows/.test(agent) ? "windows" : "linux";
  return `${browser}-${system}`;
}
