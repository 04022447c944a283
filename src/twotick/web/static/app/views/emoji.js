/** Choosing an emoji: those used last, and all others by name. Loaded when the user wants one for the first time. */
import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import list from "../data/emoji.js";
import { t } from "../texts/index.js";
import { chosen, choose as keep } from "./choices.js";

const USUAL = "👍 👎 😂 🎉 👀 ✅ 🙏 🔥 💯 😢 😲 🤔".split(" ");
const MOST_RECENT = 24;

/** @type {{sign: string, names: string[]}[]} */
const ALL = list.split("\n").map((line) => {
  const [sign, ...names] = line.split(" ");
  return { sign, names };
});
const NAMES = new Map(ALL.map(({ sign, names }) => [sign, names[0].replaceAll("_", " ")]));

/**
 * Return the emoji whose names contain a text; the best matches come first.
 * @param {string} part
 */
export function named(part) {
  const wanted = part.trim().toLowerCase().replaceAll(" ", "_");
  return ALL.flatMap(({ sign, names }) => {
    const name = names.filter((each) => each.includes(wanted)).sort((a, b) => a.indexOf(wanted) - b.indexOf(wanted) || a.length - b.length)[0];
    return name ? [{ sign, name }] : [];
  }).sort((a, b) => Number(a.name.indexOf(wanted) > 0) - Number(b.name.indexOf(wanted) > 0) || a.name.length - b.name.length);
}

const recent = () => [...new Set([...chosen("emoji").split(" ").filter((each) => NAMES.has(each)), ...USUAL])].slice(0, MOST_RECENT);

/** @param {{choose: (emoji: string) => void, close: () => void}} given */
export function Picker({ choose, close }) {
  const [query, setQuery] = useState("");
  const box = useRef(/** @type {HTMLInputElement | null} */ (null));
  const grid = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => box.current?.focus(), []);
  /** @param {string} sign */
  const take = (sign) => {
    keep("emoji", [sign, ...recent().filter((each) => each !== sign)].slice(0, MOST_RECENT).join(" "));
    choose(sign);
    close();
  };
  const shown = query.trim() ? named(query).map(({ sign }) => sign) : [...new Set([...recent(), ...NAMES.keys()])];
  /** @param {KeyboardEvent} event */
  const key = (event) => {
    const buttons = /** @type {HTMLElement[]} */ ([...(grid.current?.querySelectorAll("button") ?? [])]);
    const at = buttons.indexOf(/** @type {HTMLElement} */ (event.target));
    const columns = buttons.filter((each) => each.offsetTop === buttons[0].offsetTop).length;
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (event.key === "Escape") close();
    else if (event.key === "Enter" && at < 0 && buttons[0]) buttons[0].click();
    else if (by && at >= 0) (buttons[at + by] ?? (by < 0 ? box.current : null))?.focus();
    else if (event.key === "ArrowDown" && at < 0) buttons[0]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`<div class="emoji-picker" role="group" aria-label=${t("talk.emoji")} onKeyDown=${key}>
    <input ref=${box} type="text" aria-label=${t("emoji.search")} placeholder=${t("emoji.search")} autocapitalize="none" value=${query} onInput=${(/** @type {any} */ e) => setQuery(e.target.value)} />
    <div class="emoji-grid" ref=${grid}>${shown.map((sign, at) => html`<button key=${sign} type="button" tabindex=${at ? -1 : 0} aria-label=${NAMES.get(sign)} title=${NAMES.get(sign)} onClick=${() => take(sign)}>${sign}</button>`)}</div>
    ${shown.length === 0 && html`<p class="hint">${t("emoji.none")}</p>`}
  </div>`;
}
