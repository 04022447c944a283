/** Voice notes: recording and playing them. Loaded when the first of them is recorded or shown. */
import { html, useEffect, useMemo, useRef, useState } from "../../vendor/preact.js";
import { lengthText, voiceOf } from "../model/voice.js";
import { KeptRecording, LONGEST, NoMicrophone, Recording } from "../net/recording.js";
import { t } from "../texts/index.js";
import { choose } from "./choices.js";
import { Icon } from "./icons.js";

/** @typedef {import("./controller.js").Controller} Controller */

const SPEEDS = [1, 1.5, 2];
const SHOWN = 40;

/**
 * Start to record a voice note for a conversation.
 * @param {Controller} app
 * @param {import("../model/types.js").Conversation} conversation
 */
export async function record(app, conversation) {
  if (app.recording || !app.profile) return;
  const { account } = app.profile;
  try {
    const recording = await Recording.start(account, conversation.name, app.info.file_bytes || Infinity, () => {
      if (recording.full) app.say(t("voice.limit", { most: lengthText(LONGEST) }));
      app.draw();
    }, (error) => app.complain(error));
    if (app.recording || !app.profile) return void recording.drop(); // asked twice, or signed out meanwhile
    choose(`recording.${account.name}`, "yes");
    app.recording = recording;
    app.draw();
  } catch (error) {
    if (!(error instanceof NoMicrophone)) return app.complain(error);
    app.say(t(error.key, { reason: error.message }), null, 12_000);
  }
}

/**
 * Offer a recording that was not sent before the page was closed or crashed.
 * @param {Controller} app
 */
export async function restore(app) {
  const account = app.profile?.account;
  const found = account && (await KeptRecording.find(account));
  if (account && !found) choose(`recording.${account.name}`, "");
  if (!found) return;
  if (app.recording || app.profile?.account !== account) return found.leave();
  app.recording = found;
  app.say(t("voice.kept", { name: found.to }), null, 20_000);
  app.draw();
}

/**
 * Ask whether a recording may be discarded.
 * @param {Controller} app
 */
function discard(app) {
  if (!confirm(t("voice.discardSure"))) return;
  app.recording?.drop().catch((error) => app.complain(error));
  app.recording = null;
  app.draw();
}

/**
 * The recording, in the place of the box.
 * @param {{app: Controller, recording: Recording | KeptRecording, replyTo: [string, string] | null, sent: () => void}} given
 */
export function Recorder({ app, recording, replyTo, sent }) {
  const [levels, setLevels] = useState(/** @type {number[]} */ ([]));
  const [sending, setSending] = useState(false);
  const first = useRef(/** @type {HTMLButtonElement | null} */ (null));
  const { file } = recording;
  useEffect(() => first.current?.focus(), [Boolean(file)]);
  useEffect(() => {
    if (file) return;
    const timer = setInterval(() => setLevels((before) => [...before.slice(1 - SHOWN), recording.level]), 100);
    return () => clearInterval(timer);
  }, [Boolean(file)]);
  const url = useMemo(() => (file ? URL.createObjectURL(file) : ""), [file]);
  useEffect(() => () => URL.revokeObjectURL(url), [url]);
  const send = async () => {
    setSending(true);
    try {
      await recording.stop();
      await app.sendVoice(recording, replyTo);
      app.recording = null;
      sent();
      await recording.drop();
    } catch (error) {
      setSending(false);
      app.complain(error);
    }
    app.draw();
  };
  return html`<div class="compose-line recorder" role="group" aria-label=${t("voice.note")}>
    <button class="icon-button" aria-label=${t("voice.discard")} title=${t("voice.discard")} onClick=${() => discard(app)}><${Icon} name="close" /></button>
    ${file ? html`<${Player} url=${url} load=${async () => url} file=${{ name: file.name, voice: recording.header }} />`
      : html`<span class="recording" role="timer" aria-label=${t("voice.recording")}>${lengthText(recording.seconds)}</span>
        <${Wave} levels=${[...Array(SHOWN - levels.length).fill(0), ...levels]} done=${1} />
        <button class="icon-button" ref=${first} aria-label=${t("voice.stop")} title=${t("voice.stop")} onClick=${() => recording.stop()}><${Icon} name="stop" /></button>`}
    <button class="send" ref=${file ? first : null} aria-label=${t("voice.send")} title=${t("voice.send")} disabled=${sending} onClick=${send}><${Icon} name="send" /></button>
  </div>`;
}

/** @param {{levels: number[], done: number}} given */
function Wave({ levels, done }) {
  const all = levels.length > 1 ? levels : Array(SHOWN).fill(0);
  return html`<svg class="wave" viewBox=${`0 0 ${all.length * 4} 32`} preserveAspectRatio="none" aria-hidden="true">${all.map((each, at) => {
    const height = 3 + each * 27;
    return html`<rect key=${at} class=${at < done * all.length ? "done" : ""} x=${at * 4 + 0.5} y=${16 - height / 2} width="2.6" height=${height} rx="1.3" />`;
  })}</svg>`;
}

/**
 * @param {import("../model/types.js").FileRecord} file
 */
export const isVoice = (file) => voiceOf(file) !== null;

/** @type {HTMLAudioElement | null} what is played: one at a time */
let playing = null;

/**
 * A voice note. Its sound is loaded when it is played first.
 * @param {{url: string, load: () => Promise<string>, file: {name: string, voice?: string}}} given
 */
export function Player({ url, load, file }) {
  const known = voiceOf(/** @type {any} */ (file));
  const sound = useRef(/** @type {HTMLAudioElement | null} */ (null));
  const [at, setAt] = useState(0);
  const [length, setLength] = useState(known?.seconds ?? 0);
  const [runs, setRuns] = useState(false);
  const [speed, setSpeed] = useState(0);
  const [problem, setProblem] = useState("");
  useEffect(() => () => {
    sound.current?.pause();
    sound.current = null;
  }, []);
  const audio = async () => {
    const found = url || (await load());
    if (!found) return null;
    if (sound.current) return sound.current;
    const made = sound.current = new Audio(found);
    made.ontimeupdate = () => setAt(made.currentTime);
    made.onplay = () => setRuns(true);
    made.onpause = () => setRuns(false);
    made.onended = () => setAt(0);
    made.ondurationchange = () => Number.isFinite(made.duration) && setLength(made.duration);
    made.onerror = () => setProblem(t("voice.cannotPlay"));
    return made;
  };
  const toggle = async () => {
    const made = await audio();
    if (!made) return;
    if (!made.paused) return made.pause();
    if (playing !== made) playing?.pause();
    playing = made;
    made.playbackRate = SPEEDS[speed];
    await made.play().catch((error) => error.name === "AbortError" || setProblem(t("voice.cannotPlay")));
  };
  const seek = async (/** @type {any} */ event) => {
    const to = Number(event.target.value);
    setAt(to);
    const made = await audio();
    if (made) made.currentTime = to;
  };
  const faster = () => {
    const next = (speed + 1) % SPEEDS.length;
    setSpeed(next);
    if (sound.current) sound.current.playbackRate = SPEEDS[next];
  };
  const end = Math.max(length, at, 0.1);
  return html`<div class="voice" role="group" aria-label=${t("voice.note")}>
    <button class="icon-button play" aria-label=${t(runs ? "voice.pause" : "voice.play")} onClick=${toggle}><${Icon} name=${runs ? "pause" : "play"} /></button>
    <span class="seek"><${Wave} levels=${known?.levels ?? []} done=${at / end} />
      <input type="range" min="0" max=${end} step="0.1" value=${at} aria-label=${t("voice.position")} aria-valuetext=${`${lengthText(at)} / ${lengthText(length)}`} onInput=${seek} /></span>
    <span class="voice-time">${lengthText(at || !length ? at : length)}</span>
    <button class="speed" aria-label=${t("voice.speed", { speed: SPEEDS[speed] })} onClick=${faster}>${SPEEDS[speed]}×</button>
    ${problem && html`<p class="why" role="alert">${problem}</p>`}
  </div>`;
}
