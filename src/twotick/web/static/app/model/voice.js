/**
 * Voice notes: files with sound, and a header with the length and the waveform (docs/protocol.md, rule 16.7). Pure.
 *
 * @typedef {object} Voice
 * @property {number} seconds the length
 * @property {number[]} levels of the waveform, each from 0 to 1; empty if the sender gave none
 */

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const NAME = /^voice-\d{4}-\d\d-\d\d[\w-]*\.(webm|ogg|m4a)$/;
const HEADER = /^(\d{1,8}) ([A-Za-z0-9+/]{1,64})$/;

/** How many levels a waveform has. */
export const LEVELS = 48;

/**
 * Return what is known of a voice note; null if a file is something else.
 * @param {import("./types.js").FileRecord} file
 * @returns {Voice | null}
 */
export function voiceOf({ name, voice }) {
  if (!NAME.test(name)) return null;
  const [, length, letters] = HEADER.exec(voice ?? "") ?? ["", "0", ""];
  return { seconds: Number(length) / 1000, levels: [...letters].map((each) => LETTERS.indexOf(each) / 63) };
}

/**
 * Return the header of a voice note.
 * @param {number} seconds
 * @param {number[]} levels from 0 to 1
 */
export const voiceHeader = (seconds, levels) =>
  `${Math.round(seconds * 1000)} ${levels.map((each) => LETTERS[Math.round(Math.max(0, Math.min(1, each)) * 63)]).join("")}`;

/**
 * Return the waveform of a sound: the loudest of each part, where the loudest of all is 1.
 * @param {Float32Array} samples
 */
export function levelsOf(samples) {
  const peaks = Array.from({ length: LEVELS }, (_, at) => {
    let peak = 0;
    const end = Math.floor(((at + 1) * samples.length) / LEVELS);
    for (let n = Math.floor((at * samples.length) / LEVELS); n < end; n++) peak = Math.max(peak, Math.abs(samples[n]));
    return peak;
  });
  const most = Math.max(...peaks, 0.01);
  return peaks.map((each) => each / most);
}

/**
 * Return the name of a voice note, after the time at which it was recorded.
 * @param {Date} when
 * @param {string} end the end of the name
 */
export function voiceName(when, end) {
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const day = `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
  return `voice-${day}-${two(when.getHours())}${two(when.getMinutes())}${two(when.getSeconds())}.${end}`;
}

/**
 * Return a length as players show it.
 * @param {number} seconds
 */
export function lengthText(seconds) {
  const whole = Math.max(0, Math.round(Number.isFinite(seconds) ? seconds : 0));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
