/**
 * A voice note that is being recorded, or waits to be sent. Each second of it is kept in IndexedDB at once, so that it
 * outlives the page.
 *
 * @typedef {import("../model/types.js").Account} Account
 * @typedef {object} Part a second of a recording
 * @property {string} recording the Id of the recording
 * @property {number} number
 * @property {string} to the name of the conversation
 * @property {string} name the name of the file
 * @property {string} type of the file
 * @property {number} seconds how long the recording is up to here
 * @property {Blob} sound
 */
import { levelsOf, voiceHeader, voiceName } from "../model/voice.js";
import { newId } from "../protocol/words.js";
import { answer, databaseName, done, open } from "../store/database.js";

/** The longest recording, in seconds. */
export const LONGEST = 600;
const BITS = 32_000;
const SLICE = 1_000;
const SPARE = 64 << 10;

/** The formats that browsers record, the ends of their names, and the types of the files. */
const FORMATS = [
  ["audio/webm;codecs=opus", "webm", "audio/webm"],
  ["audio/ogg;codecs=opus", "ogg", "audio/ogg"],
  ["audio/mp4", "m4a", "audio/mp4"],
];

/** A problem with the microphone, by the key of its text. */
export class NoMicrophone extends Error {
  /**
   * @param {"voice.refused" | "voice.missing" | "voice.insecure" | "voice.old" | "voice.busy"} key
   * @param {string} reason
   */
  constructor(key, reason = "") {
    super(reason);
    this.key = key;
  }
}

/** Where the parts of one recording are kept. No other tab takes a recording that a tab has. */
class Keeper {
  /**
   * @param {Account} account
   * @param {string} id
   */
  constructor(account, id) {
    this.id = id;
    this.number = 0;
    this.database = opened(account);
    this.last = Promise.resolve();
    this.release = () => {};
  }

  /**
   * Take the recording for this tab.
   * @returns {Promise<boolean>} whether no other tab has it
   */
  take() {
    return new Promise((resolve) => {
      void navigator.locks.request(`recording ${this.id}`, { ifAvailable: true }, (lock) => {
        resolve(lock !== null);
        return lock && new Promise((release) => (this.release = () => release(null)));
      });
    });
  }

  /**
   * Keep a part, after those before.
   * @param {Omit<Part, "recording" | "number">} part
   */
  keep(part) {
    const number = this.number++;
    this.last = this.last.then(async () => {
      const work = (await this.database).transaction("parts", "readwrite");
      work.objectStore("parts").put({ ...part, recording: this.id, number });
      await done(work);
    });
    return this.last;
  }

  /** Forget the recording: it is sent, or discarded. */
  async forget() {
    await this.last.catch(() => undefined); // what could not be kept need not be forgotten
    const work = (await this.database).transaction("parts", "readwrite");
    work.objectStore("parts").delete(IDBKeyRange.bound([this.id], [this.id, []]));
    await done(work);
    this.leave();
  }

  /** Leave the recording to the next tab, or to the next start. */
  leave() {
    this.release();
    void this.database.then((each) => each.close());
  }
}

/** @param {Account} account */
const opened = (account) =>
  open(`${databaseName(account)}-recording`, (database) => database.createObjectStore("parts", { keyPath: ["recording", "number"] }));

/**
 * Return the header of a voice note, with its waveform.
 * @param {File} file
 * @param {number} seconds how long it is, if that is not in the file
 */
async function headerOf(file, seconds) {
  // A waveform is an adornment: without one the note is sent all the same.
  const sound = await new OfflineAudioContext(1, 1, 8000).decodeAudioData(await file.arrayBuffer()).catch(() => null);
  return voiceHeader(sound?.duration ?? seconds, sound ? levelsOf(sound.getChannelData(0)) : [0]);
}

/** A recording that the page had when it was closed, or when the browser crashed. */
export class KeptRecording {
  full = false;
  seconds = 0;
  level = 0;

  /**
   * @param {Keeper} keeper
   * @param {string} to the name of the conversation
   * @param {File} file
   * @param {string} header
   */
  constructor(keeper, to, file, header) {
    this.keeper = keeper;
    this.to = to;
    this.file = file;
    this.header = header;
  }

  /**
   * Return the first recording of an account that no tab has; null if there is none.
   * @param {Account} account
   */
  static async find(account) {
    const database = await opened(account);
    const parts = /** @type {Part[]} */ (await answer(database.transaction("parts").objectStore("parts").getAll()));
    database.close();
    for (const id of new Set(parts.map((each) => each.recording))) {
      const keeper = new Keeper(account, id);
      if (!(await keeper.take())) {
        keeper.leave();
        continue;
      }
      const mine = parts.filter((each) => each.recording === id);
      const { to, name, type } = mine[0];
      const file = new File(mine.map((each) => each.sound), name, { type });
      return new KeptRecording(keeper, to, file, await headerOf(file, mine[mine.length - 1].seconds));
    }
    return null;
  }

  async stop() {}

  /** Forget the recording. */
  drop() {
    return this.keeper.forget();
  }

  /** Leave the recording for later. */
  leave() {
    this.keeper.leave();
  }
}

/** One recording. */
export class Recording {
  /**
   * @param {Account} account
   * @param {string} to the name of the conversation
   * @param {MediaStream} stream
   * @param {string[]} format
   * @param {number} most the bytes of the largest file
   * @param {() => void} changed called when the recording has ended
   * @param {(error: unknown) => void} unkept called if a part cannot be kept
   */
  constructor(account, to, stream, [type, end, plain], most, changed, unkept) {
    this.keeper = new Keeper(account, newId());
    void this.keeper.take();
    this.to = to;
    this.stream = stream;
    this.plain = plain;
    this.changed = changed;
    this.name = voiceName(new Date(), end);
    this.started = performance.now();
    this.size = 0;
    this.header = "";
    /** Whether it has ended because of a limit. */
    this.full = false;
    /** @type {File | null} the file, when the recording has ended */
    this.file = null;
    /** @type {Blob[]} */
    this.parts = [];
    this.context = new AudioContext();
    this.meter = this.context.createAnalyser();
    this.meter.fftSize = 1024;
    this.context.createMediaStreamSource(stream).connect(this.meter);
    this.recorder = new MediaRecorder(stream, { mimeType: type, audioBitsPerSecond: BITS });
    this.ended = new Promise((resolve) => (this.recorder.onstop = () => resolve(this.end())));
    this.recorder.ondataavailable = ({ data }) => {
      this.parts.push(data);
      this.size += data.size;
      this.keeper.keep({ to, name: this.name, type: plain, seconds: this.seconds, sound: data }).catch((error) => {
        unkept(error);
        unkept = () => {}; // it is said once
      });
      if (this.seconds < LONGEST && this.size + SPARE < most) return;
      this.full = true;
      this.stop();
    };
    this.recorder.start(SLICE);
    addEventListener("beforeunload", ask);
  }

  /**
   * Start to record.
   * @param {Account} account
   * @param {string} to the name of the conversation
   * @param {number} most the bytes of the largest file
   * @param {() => void} changed called when the recording has ended
   * @param {(error: unknown) => void} unkept called if a part cannot be kept
   * @throws {NoMicrophone}
   */
  static async start(account, to, most, changed, unkept) {
    if (!isSecureContext) throw new NoMicrophone("voice.insecure");
    const format = "MediaRecorder" in window && FORMATS.find(([type]) => MediaRecorder.isTypeSupported(type));
    if (!format || !navigator.mediaDevices) throw new NoMicrophone("voice.old");
    try {
      return new Recording(account, to, await navigator.mediaDevices.getUserMedia({ audio: true }), format, most, changed, unkept);
    } catch (error) {
      const { name, message } = /** @type {Error} */ (error);
      if (name === "NotAllowedError" || name === "SecurityError") throw new NoMicrophone("voice.refused");
      if (name === "NotFoundError" || name === "OverconstrainedError") throw new NoMicrophone("voice.missing");
      throw new NoMicrophone("voice.busy", message);
    }
  }

  get seconds() {
    return (performance.now() - this.started) / 1000;
  }

  /** Return how loud it is now, from 0 to 1. */
  get level() {
    const samples = new Float32Array(this.meter.fftSize);
    this.meter.getFloatTimeDomainData(samples);
    return Math.min(1, Math.sqrt(samples.reduce((sum, each) => sum + each * each, 0) / samples.length) * 4);
  }

  /** End the recording, which then waits to be sent. */
  stop() {
    if (this.recorder.state !== "inactive") this.recorder.stop();
    return this.ended;
  }

  async end() {
    const seconds = this.seconds;
    for (const each of this.stream.getTracks()) each.stop();
    void this.context.close();
    const file = new File(this.parts, this.name, { type: this.plain });
    this.header = await headerOf(file, seconds);
    this.file = file;
    this.changed();
  }

  /** Forget the recording. */
  async drop() {
    removeEventListener("beforeunload", ask);
    await this.stop();
    await this.keeper.forget();
  }

  /** Leave the recording for later. */
  leave() {
    removeEventListener("beforeunload", ask);
    void this.stop().then(() => this.keeper.last).finally(() => this.keeper.leave());
  }
}

/** @param {BeforeUnloadEvent} event */
const ask = (event) => event.preventDefault();
