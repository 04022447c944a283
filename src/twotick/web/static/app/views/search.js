/** Searching messages: the filters, and what was found. Loaded when the search is used for the first time. */
import { html, useEffect, useState } from "../../vendor/preact.js";
import { keyOf } from "../model/conversations.js";
import { visible } from "../model/names.js";
import { excerpt, FILTERS, parseSearch, SearchError } from "../model/search.js";
import { t, whenText } from "../texts/index.js";
import { guestTag } from "./message.js";

const LIMIT = 30;

/**
 * @typedef {import("./controller.js").Controller} Controller
 * @typedef {import("../model/types.js").Message} Message
 * @typedef {{text: string, only: string}} Asked what the user searches for, and in which conversation only; empty for all
 */

/**
 * The filters that can be added to what is typed.
 * @param {{app: Controller, query: string, add: (text: string) => void, only: boolean, setOnly: (only: boolean) => void}} given
 */
export function Filters({ app, query, add, only, setOnly }) {
  const current = app.current;
  const typed = /(?:^|\s)(from|in):@?(#?[\w-]*)$/i.exec(query);
  const names = typed ? fitting(app, typed[1].toLowerCase() === "in", typed[2]) : [];
  return html`<div class="filters">
    ${current && html`<label class="check"><input type="checkbox" checked=${only} onChange=${() => setOnly(!only)} /><span dir="auto">${t("search.only", { name: current.name })}</span></label>`}
    ${names.length > 0 ? html`<div class="chips" role="group" aria-label=${t("search.narrow")}>${names.map((name) => html`<button key=${name} type="button" onClick=${() => add(`${query.slice(0, query.length - (typed?.[2].length ?? 0))}${name} `)}>${name}</button>`)}</div>`
      : html`<dl aria-label=${t("search.narrow")}>${Object.entries(FILTERS).map(([name, example]) => html`<div key=${name}><dt><button type="button" class="link"
          onClick=${() => add(`${query.trimEnd()} ${name === "file" ? "has:file " : `${name}:`}`.trimStart())}>${example}</button></dt><dd>${t(/** @type {any} */ (`search.${name}`))}</dd></div>`)}</dl>`}
    <p class="hint">${t("search.words")}</p>
  </div>`;
}

/**
 * @param {Controller} app
 * @param {boolean} places whether rooms are names, too
 * @param {string} part
 */
function fitting(app, places, part) {
  const known = Object.values(app.state.conversations).map((each) => each.name);
  const people = [...known.filter((name) => !name.startsWith("#")), ...Object.keys(app.state.presence).filter((name) => !(name in app.state.conversations))];
  const all = places ? known : people;
  return all.filter((name) => keyOf(name).startsWith(part.toLowerCase()) && name.length > part.length).slice(0, 6);
}

/**
 * What was found.
 * @param {{app: Controller, asked: Asked, done: () => void}} given
 */
export function Results({ app, asked, done }) {
  const [found, setFound] = useState(/** @type {{messages: Message[], words: string[], before: string} | null} */ (null));
  const [problem, setProblem] = useState("");
  const [searching, setSearching] = useState(true);
  /** @param {{messages: Message[], before: string}} from */
  const search = async ({ messages, before }) => {
    setSearching(true);
    try {
      const { headers, query, words } = parseSearch(asked.text, app.me, Date.now());
      if (asked.only) headers.In ??= asked.only;
      if (before) headers.Before = before;
      const answer = await app.ask("SEARCH", [], { ...headers, Limit: LIMIT }, query);
      setFound({ messages: [...messages, ...answer.messages.filter((each) => fits(each, headers))], words, before: answer.headers.before ?? "" });
      setProblem("");
    } catch (error) {
      if (error instanceof SearchError) setProblem(t(error.key, { name: error.filter }));
      else app.complain(error);
    } finally {
      setSearching(false);
    }
  };
  useEffect(() => {
    setFound(null);
    void search({ messages: [], before: "" });
  }, [asked]);
  /** @param {Message} message */
  const go = (message) => {
    done();
    app.jump(app.state.conversations[message.conversation]?.name ?? message.conversation, message);
  };
  return html`<p class="hint" role="status">${problem ? html`<span class="problem">${problem}</span>` : searching && !found ? t("search.searching") : found?.messages.length === 0 ? t("side.noMessages") : ""}</p>
    <ul>${(found?.messages ?? []).map((each) => html`<li key=${`${each.conversation} ${each.uid}`}><button class="row" onClick=${() => go(each)}>
      <span class="text"><span class="top"><b><bdi>${nameOf(app, each)}</bdi>${guestTag(each)}</b><time>${whenText(each.time)}</time></span>
      <span class="preview" dir="auto">${shownText(each, found?.words ?? [])}</span><span class="where">${app.state.conversations[each.conversation]?.name ?? each.conversation}</span></span></button></li>`)}</ul>
    ${found?.before && html`<p class="more"><button type="button" class="quiet" disabled=${searching} onClick=${() => search(found)}>${t("search.older")}</button></p>`}`;
}

/**
 * Return whether a message fulfils the filters: an old server does not know them (rule 14.8).
 * @param {Message} message
 * @param {Record<string, string>} headers
 */
const fits = (message, { From, Has, Since, Until }) =>
  (!From || keyOf(From) === keyOf(message.sender)) && (!Has || message.file !== null) &&
  (!Since || message.time >= Date.parse(Since)) && (!Until || message.time < Date.parse(Until));

/**
 * @param {Controller} app
 * @param {Message} message
 */
const nameOf = (app, { sender, guest }) => visible((!guest && app.state.profiles[keyOf(sender)]?.display) || sender);

/**
 * @param {Message} message
 * @param {string[]} words
 */
function shownText(message, words) {
  const text = visible([message.text.slice(0, 20_000), message.file?.name ?? ""].filter(Boolean).join(" · "));
  return excerpt(text, words).map((part, at) => (at % 2 ? html`<mark>${part}</mark>` : part));
}
