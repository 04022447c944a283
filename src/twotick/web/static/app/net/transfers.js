/**
 * Files in pieces, up and down (docs/protocol.md, section 16).
 *
 * @typedef {import("../model/types.js").FileRecord} FileRecord
 * @typedef {import("../model/types.js").OutboxItem} OutboxItem
 * @typedef {import("./session.js").Session} Session
 */
import { keyOf } from "../model/conversations.js";
import { number } from "../protocol/words.js";
import { Refused } from "./sign_in.js";

const PIECE = 65536;

/** The transfers of one session. */
export class Transfers {
  /** @param {Session} session */
  constructor(session) {
    this.session = session;
    /** @type {Set<string>} the messages whose files are on their way */
    this.running = new Set();
  }

  /**
   * Upload the file of a message that waits, from where the server has it. Afterwards the message is sent.
   * @param {OutboxItem} item
   */
  upload(item) {
    if (this.running.has(item.id)) return;
    this.running.add(item.id);
    this.uploadAll(item)
      .catch((error) => this.failed(item, error))
      .finally(() => {
        this.running.delete(item.id);
        this.session.pump();
      });
  }

  /** @param {OutboxItem} item */
  async uploadAll(item) {
    const { session } = this;
    const file = /** @type {Blob} */ (item.file);
    const hash = hexadecimal(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
    const announced = await session.request("FILE", [], { Id: `FILE-${item.id}`, Name: item.fileName, Size: file.size, Hash: hash });
    const key = announced.frame.words[0];
    const piece = number(announced.frame, "piece") || PIECE;
    let have = number(announced.frame, "have");
    while (have < file.size) {
      session.emit({ kind: "transfer", uid: item.uid, done: have, total: file.size });
      const body = new Uint8Array(await file.slice(have, have + piece).arrayBuffer());
      have = await this.put(key, have, body);
    }
    await session.store.write(async (work) => {
      const waiting = await work.waiting(item.id);
      if (!waiting) return;
      // The file stays until the message is accepted: if it is refused, the user can send it again.
      work.table("outbox").put({ ...waiting, headers: { ...waiting.headers, File: key } });
      const message = await work.message(keyOf(item.to), item.uid);
      if (message?.file) work.putMessage({ ...message, file: { ...message.file, key, hash } });
    });
    const message = await session.store.message(keyOf(item.to), item.uid);
    if (message) session.emit({ kind: "put", messages: [message], conversations: [] });
    session.emit({ kind: "transfer", uid: item.uid, done: 0, total: 0 });
  }

  /**
   * @param {string} key
   * @param {number} offset
   * @param {Uint8Array} body
   * @returns {Promise<number>} how much of the file the server has
   */
  async put(key, offset, body) {
    for (;;) {
      try {
        return number((await this.session.request("PIECE", [key], { Offset: offset }, body)).frame, "have");
      } catch (error) {
        if (!(error instanceof Refused) || error.code !== 105) throw error;
        await new Promise((resolve) => setTimeout(resolve, Math.max(1, error.retryAfter) * 1000));
      }
    }
  }

  /**
   * @param {string} key
   * @param {number} offset
   * @returns {Promise<Uint8Array<ArrayBuffer>>} the next piece of a file
   */
  async get(key, offset) {
    for (;;) {
      try {
        const { frame } = await this.session.request("PIECE", [key], { Offset: offset, Length: PIECE });
        if (!frame.body.length) throw new Refused(102, "reason.damaged");
        return /** @type {Uint8Array<ArrayBuffer>} */ (frame.body);
      } catch (error) {
        if (!(error instanceof Refused) || error.code !== 0) throw error;
        await this.session.connected();
      }
    }
  }

  /**
   * @param {OutboxItem} item
   * @param {unknown} error
   */
  async failed(item, error) {
    // Without a connection it goes on later.
    if (error instanceof Refused && error.code !== 102) return;
    this.session.emit({ kind: "transfer", uid: item.uid, done: 0, total: 0 });
    await this.session.onOutcome(item.id, "failed", error instanceof Error ? error.message : String(error));
  }

  /**
   * Download a file. Without a connection, it goes on with the next one.
   * @param {FileRecord} file
   * @param {string} uid the message that it belongs to
   * @returns {Promise<Blob>}
   */
  async download(file, uid) {
    /** @type {Uint8Array<ArrayBuffer>[]} */
    const parts = [];
    let have = 0;
    while (have < file.size) {
      this.session.emit({ kind: "transfer", uid, done: have, total: file.size });
      const body = await this.get(file.key, have).catch((error) => {
        this.session.emit({ kind: "transfer", uid, done: 0, total: 0 });
        throw error;
      });
      parts.push(body);
      have += body.length;
    }
    this.session.emit({ kind: "transfer", uid, done: 0, total: 0 });
    const blob = new Blob(parts);
    if (file.hash && crypto.subtle) {
      const hash = hexadecimal(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
      if (hash !== file.hash.toLowerCase()) throw new Refused(102, "reason.damaged");
    }
    return blob;
  }
}

/** @param {ArrayBuffer} bytes */
const hexadecimal = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
