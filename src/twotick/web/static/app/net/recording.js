/**
 * A voice note that is being recorded, or waits to be sent. It is in memory only: the browser asks before a page with a
 * recording is closed.
 */
import { levelsOf, voiceHeader, voiceName } from "../model/voice.js";

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

/** One recording. */
export class Recording {
  /**
   * @param {string} to the name of the conversation
   * @param {MediaStream} stream
   * @param {string[]} format
   * @param {number} most the bytes of the largest file
   * @param {() => void} changed called when the recording has ended
   */
  constructor(to, stream, [type, end, plain], most, changed) {
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
      if (this.seconds < LONGEST && this.size + SPARE < most) return;
      this.full = true;
      this.stop();
    };
    this.recorder.start(SLICE);
    addEventListener("beforeunload", ask);
  }

  /**
   * Start to record.
   * @param {string} to the name of the conversation
   * @param {number} most the bytes of the largest file
   * @param {() => void} changed called when the recording has ended
   * @throws {NoMicrophone}
   */
  static async start(to, most, changed) {
    if (!isSecureContext) throw new NoMicrophone("voice.insecure");
    const format = "MediaRecorder" in window && FORMATS.find(([type]) => MediaRecorder.isTypeSupported(type));
    if (!format || !navigator.mediaDevices) throw new NoMicrophone("voice.old");
    try {
      return new Recording(to, await navigator.mediaDevices.getUserMedia({ audio: true }), format, most, changed);
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
    // A waveform is an adornment: without one the note is sent all the same.
    const sound = await new OfflineAudioContext(1, 1, 8000).decodeAudioData(await file.arrayBuffer()).catch(() => null);
    this.header = voiceHeader(sound?.duration ?? seconds, sound ? levelsOf(sound.getChannelData(0)) : [0]);
    this.file = file;
    this.changed();
  }

  /** Forget the recording. */
  drop() {
    removeEventListener("beforeunload", ask);
    void this.stop();
  }
}

/** @param {BeforeUnloadEvent} event */
const ask = (event) => event.preventDefault();
