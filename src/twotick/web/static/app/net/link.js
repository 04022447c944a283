/**
 * A connection to the server that carries frames over a WebSocket, and is opened again whenever it is lost.
 *
 * @typedef {import("../protocol/frames.js").Frame} Frame
 *
 * @typedef {object} LinkHandler
 * @property {() => void} opened
 * @property {(frames: Frame[]) => void} received
 * @property {(reason: string, retryAt: number) => void} lost
 */
import { Decoder, encodeFrame } from "../protocol/frames.js";

const PING_EVERY = 15_000;
const DEAD_AFTER = 60_000;
/** After this time the server has closed the connection (rule 9.10). A hidden tab may look at the time once a minute only. */
const CLOSED_AFTER = 120_000;
const WAKE_ANSWER = 2_000;
const TICK = 1_000;
const ASLEEP = 5_000;
const OPENING = 15_000;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;

/** A connection that is opened again whenever it is lost. */
export class Link {
  /**
   * @param {string} url
   * @param {LinkHandler} handler
   */
  constructor(url, handler) {
    this.url = url;
    this.handler = handler;
    /** @type {WebSocket | null} */
    this.socket = null;
    this.decoder = new Decoder();
    this.wait = FIRST_WAIT;
    this.retry = 0;
    this.deadline = 0;
    this.heard = 0;
    this.pinged = 0;
    this.pinging = false;
    this.closed = false;
    this.ticker = setInterval(() => this.tick(), TICK);
    this.ticked = Date.now();
    this.onWake = () => this.wake();
    addEventListener("online", this.onWake);
    addEventListener("offline", this.onWake);
    document.addEventListener("visibilitychange", this.onWake);
  }

  connect() {
    if (this.closed || this.socket) return;
    clearTimeout(this.retry);
    this.decoder = new Decoder();
    this.pinging = false;
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.heard = Date.now();
    this.deadline = setTimeout(() => this.lose(socket, "the server does not answer"), OPENING);
    socket.onopen = () => {
      clearTimeout(this.deadline);
      if (this.socket === socket) this.handler.opened();
    };
    socket.onmessage = (message) => {
      if (this.socket !== socket) return;
      this.heard = Date.now();
      clearTimeout(this.deadline);
      const data = message.data;
      const frames = typeof data === "string" ? [] : this.decoder.feed(new Uint8Array(data));
      if (frames.length) this.handler.received(frames);
      if (typeof data === "string" || this.decoder.broken) this.lose(socket, "the server wrote something that cannot be understood");
    };
    socket.onclose = () => this.lose(socket, "");
    socket.onerror = () => this.lose(socket, "");
  }

  /**
   * Say that the connection works, and whether to ping on it (rule 9.10).
   * @param {boolean} keepAlive
   */
  established(keepAlive) {
    this.wait = FIRST_WAIT;
    this.pinging = keepAlive;
  }

  get isOpen() {
    return this.socket !== null && this.socket.readyState === WebSocket.OPEN;
  }

  /** How many bytes wait to be sent. */
  get unsent() {
    return this.socket?.bufferedAmount ?? 0;
  }

  /** @param {Uint8Array} bytes */
  send(bytes) {
    if (this.isOpen) this.socket?.send(/** @type {Uint8Array<ArrayBuffer>} */ (bytes));
  }

  /** Find out at once whether the connection still works: the machine has slept, or the network has changed. */
  wake() {
    const socket = this.socket;
    if (!socket) {
      if (navigator.onLine) {
        this.wait = FIRST_WAIT;
        this.connect();
      }
      return;
    }
    if (!this.pinging || !this.isOpen) return;
    if (Date.now() - this.heard > CLOSED_AFTER) {
      this.lose(socket, "the connection was asleep", 0);
      return;
    }
    this.send(encodeFrame("PING", []));
    clearTimeout(this.deadline);
    this.deadline = setTimeout(() => this.lose(socket, "the server does not answer", 0), WAKE_ANSWER);
  }

  tick() {
    const now = Date.now();
    const slept = now - this.ticked > ASLEEP;
    this.ticked = now;
    if (slept) return this.wake(); // not every browser says that the machine was asleep
    const socket = this.socket;
    if (!socket || !this.pinging || !this.isOpen) return;
    const silent = now - this.heard;
    if (silent > DEAD_AFTER) this.lose(socket, "the server does not answer", 0);
    else if (now - this.pinged >= PING_EVERY) {
      this.pinged = now;
      this.send(encodeFrame("PING", []));
    }
  }

  /**
   * Give up the connection, and open another one after a while.
   * @param {WebSocket | null} socket
   * @param {string} reason
   * @param {number} [wait] in milliseconds
   */
  lose(socket, reason, wait) {
    if (!socket || this.socket !== socket) return;
    this.socket = null;
    clearTimeout(this.deadline);
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
    if (this.closed) return;
    const delay = wait ?? this.wait * (0.75 + Math.random() / 2);
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
    this.retry = setTimeout(() => this.connect(), delay);
    this.handler.lost(reason, Date.now() + delay);
  }

  close() {
    this.closed = true;
    clearTimeout(this.retry);
    clearTimeout(this.deadline);
    clearInterval(this.ticker);
    removeEventListener("online", this.onWake);
    removeEventListener("offline", this.onWake);
    document.removeEventListener("visibilitychange", this.onWake);
    this.socket?.close();
    this.socket = null;
  }
}
