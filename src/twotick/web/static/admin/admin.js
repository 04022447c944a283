// The operator's page. Everything here is also a command; each request names a session, which this tab alone has.

import { language, load, t } from "./texts.js";

const API = "/admin/api/";
const KEPT = "twotick-operator";
const page = /** @type {HTMLElement} */ (document.getElementById("page"));

let session = sessionStorage.getItem(KEPT) ?? "";
let view = "members";
let drawing = 0;

class Problem extends Error {
  /**
   * @param {number} status
   * @param {string} text
   */
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/**
 * Make an element. Text is only ever put in as text.
 * @param {string} tag
 * @param {Record<string, any>} attributes
 * @param {...(Node | string | null)} children
 * @returns {HTMLElement}
 */
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((each) => each !== null));
  return element;
}

/**
 * @param {string} method
 * @param {string} what
 * @param {Record<string, string>} query
 * @param {Record<string, string>} headers
 * @returns {Promise<any>}
 */
async function ask(method, what, query = {}, headers = { Authorization: `Bearer ${session}` }) {
  const parameters = new URLSearchParams(query).toString();
  let answer;
  try {
    answer = await fetch(API + what + (parameters && `?${parameters}`), { method, headers, cache: "no-store", credentials: "omit" });
  } catch {
    throw new Problem(0, t("The server cannot be reached."));
  }
  if (answer.ok && answer.headers.get("Content-Type") === "application/octet-stream") return answer.blob();
  const content = await answer.json().catch(() => ({}));
  if (answer.ok) return content;
  if (content.problem) throw new Problem(answer.status, t(content.problem, content.details));
  throw new Problem(answer.status, answer.status === 403
    ? t("The server does not know this address as its own: set web_url, and, behind a proxy, trusted_proxies.")
    : t("The server cannot answer this now."));
}

/** @param {string} text */
const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/**
 * @param {string} text
 * @param {boolean} bad
 */
function say(text, bad = false) {
  const said = document.getElementById("said");
  if (!said) return;
  said.textContent = text;
  said.className = bad ? "bad" : "";
}

/**
 * Do something, and say so, or what is wrong.
 * @param {() => Promise<any>} work
 */
async function attempt(work) {
  say("");
  try {
    await work();
  } catch (error) {
    if (error instanceof Problem && error.status === 401 && session) {
      leave();
      signIn(error.message);
    } else say(error instanceof Error ? error.message : String(error), true);
  }
}

function leave() {
  session = "";
  sessionStorage.removeItem(KEPT);
  document.querySelectorAll("dialog").forEach((each) => each.remove());
}

/** @param {number | null} seconds since 1970 */
const when = (seconds) => (seconds ? new Date(seconds * 1000).toLocaleString(language(), { dateStyle: "medium", timeStyle: "short" }) : t("never"));

/** @param {number} bytes */
function size(bytes) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  const power = bytes > 0 ? Math.min(4, Math.floor(Math.log10(bytes) / 3)) : 0;
  const options = { style: "unit", unit: units[power], maximumFractionDigits: 1 };
  return new Intl.NumberFormat(language(), /** @type {any} */ (options)).format(bytes / 1000 ** power);
}

/** @param {number} number */
const decimal = (number) => number.toLocaleString(language(), { maximumFractionDigits: 1 });

// Signing in

/** @param {string} problem */
function signIn(problem = "") {
  const name = h("input", { id: "name", autocomplete: "username", autocapitalize: "none", spellcheck: "false", required: true, maxlength: "32" });
  const password = h("input", { id: "password", type: "password", autocomplete: "current-password", required: true });
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const value = (/** @type {HTMLElement} */ each) => /** @type {HTMLInputElement} */ (each).value;
    await attempt(async () => {
      const credential = `Basic ${base64(`${value(name)}:${value(password)}`)}`;
      const found = await ask("POST", "login", {}, { Authorization: credential, "X-Name": value(name) });
      session = found.session;
      sessionStorage.setItem(KEPT, session);
      await show();
    });
  };
  page.replaceChildren(
    h("main", {},
      h("form", { class: "narrow", onsubmit: submit },
        h("h1", {}, t("Twotick: operator")),
        h("p", { id: "said", role: "alert", class: problem ? "bad" : "" }, problem),
        h("label", { for: "name" }, t("Name"), name),
        h("label", { for: "password" }, t("Password"), password),
        h("button", { class: "first" }, t("Log in")))));
  name.focus();
}

// The page

/** @type {Record<string, { title: () => string, draw: () => Promise<Node[]> }>} */
const VIEWS = {
  members: { title: () => t("Members"), draw: members },
  bots: { title: () => t("Bots"), draw: bots },
  invitations: { title: () => t("Invitations"), draw: invitations },
  reports: { title: () => t("Reports"), draw: reports },
  status: { title: () => t("Status"), draw: status },
};

async function show() {
  const number = ++drawing;
  const content = await VIEWS[view].draw();
  if (number !== drawing) return; // another view was chosen meanwhile
  const said = document.getElementById("said")?.textContent ?? "";
  const focused = document.activeElement?.closest("#page") ? document.activeElement.getAttribute("data-key") ?? "" : null;
  const open = (/** @type {string} */ name) => () => attempt(async () => {
    view = name;
    await show();
  });
  const buttons = Object.entries(VIEWS).map(([name, each]) =>
    h("button", { "data-key": `view ${name}`, "aria-current": name === view ? "page" : null, onclick: open(name) }, each.title()));
  const out = () => attempt(async () => {
    await ask("POST", "logout").catch(() => undefined); // a session that has ended already is as good
    leave();
    signIn();
  });
  page.replaceChildren(
    h("header", {},
      h("h1", {}, t("Twotick: operator")),
      h("nav", { "aria-label": t("Parts of this page") }, ...buttons),
      h("button", { onclick: out }, t("Log out"))),
    h("main", { "data-ready": view },
      h("p", { id: "said", role: "status" }, said),
      h("h2", { tabindex: "-1" }, VIEWS[view].title()),
      ...content));
  if (focused !== null) focus(focused);
}

/**
 * Give the focus to what has it in the new content, or else to the heading, so that the keyboard goes on from there.
 * @param {string} key
 */
function focus(key) {
  const found = (key && page.querySelector(`[data-key="${CSS.escape(key)}"]`)) || page.querySelector("h2");
  if (found instanceof HTMLElement) found.focus();
}

/**
 * Act, draw the view again, and say what was done.
 * @param {string} what
 * @param {Record<string, string>} query
 * @param {string} done
 */
async function act(what, query, done) {
  const answer = await ask("POST", what, query);
  await show();
  say(done);
  return answer;
}

/**
 * Show a dialog; it is closed with Escape, too.
 * @param {string} title
 * @param {Node[]} content
 * @param {HTMLElement[]} buttons
 */
function dialog(title, content, buttons) {
  const close = () => element.close();
  const element = /** @type {HTMLDialogElement} */ (h("dialog", { "aria-labelledby": "title" },
    h("h2", { id: "title" }, title), ...content,
    h("div", { class: "actions" }, ...buttons, h("button", { onclick: close }, t("Close")))));
  element.addEventListener("close", () => element.remove());
  document.body.append(element);
  element.showModal();
  return element;
}

/**
 * @param {string} question
 * @param {string} answer
 * @param {() => Promise<any>} work
 */
function confirm(question, answer, work) {
  const opened = dialog(question, [], [h("button", { class: "bad", onclick: () => {
    opened.close();
    attempt(work);
  } }, answer)]);
}

/**
 * @param {string} title
 * @param {string} code
 */
function showCode(title, code) {
  const link = `${location.origin}/#invite=${code}`;
  dialog(title, [
    h("p", {}, t("The code is shown only once:")), h("p", {}, h("code", {}, code)),
    h("p", {}, t("The link opens the page with the code:")), h("p", {}, h("code", {}, link))], []);
}

// Members

let find = "";

let shown = 0; // the members that are listed

/**
 * Return members, and those after them.
 * @param {any[]} before
 * @returns {Promise<{ members: any[], more: boolean }>}
 */
async function andMore(before) {
  const found = await ask("GET", "members", { after: before.at(-1)?.name ?? "", find });
  return { members: [...before, ...found.members], more: found.more };
}

/** @returns {Promise<Node[]>} */
async function members() {
  let found = await andMore([]);
  while (found.more && found.members.length < shown) found = await andMore(found.members);
  return drawMembers(found);
}

/**
 * @param {{ members: any[], more: boolean }} found
 * @returns {Node[]}
 */
function drawMembers(found) {
  const input = /** @type {HTMLInputElement} */ (h("input", { id: "find", "data-key": "find", type: "search", value: find, autocapitalize: "none", maxlength: "32" }));
  const search = (/** @type {Event} */ event) => {
    event.preventDefault();
    find = input.value.trim();
    shown = 0;
    attempt(show);
  };
  const rows = found.members.map((each) => h("tr", {},
    h("th", { scope: "row" }, h("button", { "data-key": `member ${each.name}`, onclick: () => attempt(() => member(each)) }, each.name)),
    h("td", {}, each.display),
    h("td", {}, [each.operator && t("operator"), each.disabled && t("disabled")].filter(Boolean).join(", ")),
    h("td", {}, when(each.seen)),
    h("td", { class: "number" }, String(each.devices)),
    h("td", { class: "number" }, each.waiting ? `${each.waiting} (${size(each.waiting_bytes)})` : "0"),
    h("td", { class: "number" }, size(each.file_bytes))));
  const names = [t("Name"), t("Display name"), t("State"), t("Last seen"), t("Devices"), t("Waiting"), t("Files")];
  const more = () => attempt(async () => {
    const number = ++drawing;
    const all = await andMore(found.members);
    if (number !== drawing) return; // another view was chosen meanwhile
    shown = all.members.length;
    page.querySelectorAll("main > :not(#said, h2)").forEach((each) => each.remove());
    page.querySelector("main")?.append(...drawMembers(all));
    focus(`member ${all.members[found.members.length]?.name}`);
  });
  return [
    h("form", { role: "search", onsubmit: search }, h("label", { for: "find" }, t("Name contains"), input), h("button", {}, t("Search"))),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("Members") },
      h("table", {},
        h("thead", {}, h("tr", {}, ...names.map((each) => h("th", { scope: "col" }, each)))),
        h("tbody", {}, ...rows))),
    ...(rows.length ? [] : [h("p", { class: "soft" }, t("No member has this in the name."))]),
    ...(found.more ? [h("button", { onclick: more }, t("More"))] : []),
  ];
}

/**
 * Let the server make an archive about a member, and save it.
 * @param {string} name
 */
async function save(name) {
  say(t("The archive about {name} is being made ...", { name }));
  const made = await ask("POST", "export", { name });
  const pieces = [];
  for (let have = 0; have < made.size; have += pieces.at(-1).size) {
    say(t("{have} of {size} of the archive are here.", { have: size(have), size: size(made.size) }));
    pieces.push(await ask("GET", "archive", { id: made.id, offset: String(have) }));
  }
  const url = URL.createObjectURL(new Blob(pieces, { type: "application/zip" }));
  h("a", { href: url, download: `${name}.zip` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser has begun to save it by then
  say(t("{name}.zip has all that is stored about {name}. Keep it safe: it has messages of others, too.", { name }));
}

/** @param {any} each a member or a bot */
async function member(each) {
  const devices = await ask("GET", "devices", { name: each.name });
  const query = { name: each.name };
  const then = (/** @type {() => Promise<any>} */ work) => () => {
    opened.close();
    attempt(work);
  };
  const display = /** @type {HTMLInputElement} */ (h("input", { id: "display", value: each.display, maxlength: "64" }));
  const rename = (/** @type {Event} */ event) => {
    event.preventDefault();
    then(async () => {
      await act("rename", { ...query, display: display.value }, t("The display name was changed."));
    })();
  };
  const ended = t("{name} is signed out everywhere.", { name: each.name });
  const buttons = [
    each.disabled
      ? h("button", { onclick: then(() => act("enable", query, t("{name} can log in again.", { name: each.name }))) }, t("Enable"))
      : h("button", { class: "bad", onclick: then(() => act("disable", query, t("{name} is disabled.", { name: each.name }))) }, t("Disable")),
    ...(each.bot ? [] : [h("button", { onclick: then(async () => showCode(t("Code for a new password"), (await act("reset", query, ended)).code)) }, t("Reset"))]),
    h("button", { onclick: then(() => act("revoke", query, ended)) }, t("Sign out everywhere")),
    ...(each.bot ? [] : [h("button", { onclick: then(() => act("role", { ...query, role: each.operator ? "member" : "operator" }, t("The role was changed."))) },
      each.operator ? t("Take the role operator away") : t("Make an operator"))]),
    h("button", { onclick: then(() => save(each.name)) }, t("Export")),
    h("button", { class: "bad", onclick: () => {
      opened.close();
      confirm(t("Remove {name} with all messages, devices and tokens? This cannot be undone.", { name: each.name }), t("Remove"),
        async () => act("remove", query, t("{name} was removed.", { name: each.name })));
    } }, t("Remove")),
  ];
  const rows = devices.map((/** @type {any} */ device) => h("tr", {},
    h("th", { scope: "row" }, device.name),
    h("td", {}, device.token ? t("token") : ""),
    h("td", {}, when(device.seen)),
    h("td", {}, h("button", { "aria-label": `${t("Revoke")} ${device.name}`, onclick: then(() => act("revoke", { ...query, device: device.name }, t("The device was revoked."))) }, t("Revoke")))));
  const opened = dialog(each.name, [
    ...(each.bot ? [] : [h("form", { onsubmit: rename }, h("label", { for: "display" }, t("Display name"), display), h("button", {}, t("Rename")))]),
    h("table", {}, h("caption", {}, rows.length ? t("Devices") : t("There are no devices.")), h("tbody", {}, ...rows)),
  ], buttons);
}

// Bots

/** @returns {Promise<Node[]>} */
async function bots() {
  const found = await ask("GET", "bots");
  if (!found.length) return [h("p", { class: "soft" }, t("There are no bots: 'twotick bot add' makes one."))];
  const rows = found.map((/** @type {any} */ each) => h("tr", {},
    h("th", { scope: "row" }, h("button", { "data-key": `bot ${each.name}`, onclick: () => attempt(() => member({ ...each, bot: true })) }, each.name)),
    h("td", {}, each.disabled ? t("disabled") : ""),
    h("td", {}, each.to.join(", ")),
    h("td", {}, each.read.join(", "))));
  const names = [t("Name"), t("State"), t("May send to"), t("Reads")];
  return [h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("Bots") },
    h("table", {},
      h("thead", {}, h("tr", {}, ...names.map((each) => h("th", { scope: "col" }, each)))),
      h("tbody", {}, ...rows)))];
}

// Invitations

/** @returns {Promise<Node[]>} */
async function invitations() {
  const found = await ask("GET", "invitations");
  const days = /** @type {HTMLInputElement} */ (h("input", { id: "days", "data-key": "days", type: "number", min: "1", max: "3650", value: "7", required: true }));
  const invite = (/** @type {Event} */ event) => {
    event.preventDefault();
    attempt(async () => showCode(t("Invitation"), (await act("invite", { days: days.value }, t("An invitation was made."))).code));
  };
  const rows = found.map((/** @type {any} */ each) => h("tr", {},
    h("th", { scope: "row" }, h("code", {}, each.id)),
    h("td", {}, each.member ? `${t("new password for")} ${each.member}` : t("one person signs up")),
    h("td", {}, when(each.expires)),
    h("td", {}, h("button", { "aria-label": `${t("Withdraw")} ${each.id}`, onclick: () => attempt(() => act("withdraw", { id: each.id }, t("The invitation was withdrawn."))) }, t("Withdraw")))));
  return [
    h("form", { onsubmit: invite }, h("label", { for: "days" }, t("Days until it expires"), days), h("button", { class: "first" }, t("Invite"))),
    rows.length
      ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("Invitations") }, h("table", {},
        h("thead", {}, h("tr", {}, ...[t("Invitation"), t("Purpose"), t("Expires"), t("Action")].map((each) => h("th", { scope: "col" }, each)))),
        h("tbody", {}, ...rows)))
      : h("p", { class: "soft" }, t("There are no open invitations.")),
  ];
}

// Reports

/** @returns {Promise<Node[]>} */
async function reports() {
  const found = await ask("GET", "reports");
  if (!found.length) return [h("p", { class: "soft" }, t("There are no reports."))];
  return found.map((/** @type {any} */ each) => h("article", { "aria-label": `${t("Report")} ${each.number}` },
    h("h3", {}, `${each.from || t("a former member")} → ${each.about}`),
    h("p", { class: "soft" }, when(each.time)),
    each.text ? h("p", {}, each.text) : null,
    each.message === null ? null : h("blockquote", {}, each.message),
    h("div", { class: "actions" },
      h("button", { onclick: () => attempt(async () => {
        find = each.about;
        shown = 0;
        view = "members";
        await show();
      }) }, t("Find the member")),
      h("button", { onclick: () => attempt(() => act("close", { number: String(each.number) }, t("The report was closed."))) }, t("Close report")))));
}

// Status

/** @returns {Promise<Node[]>} */
async function status() {
  const found = await ask("GET", "status");
  const { connections, messages, queue, database, mail, backup } = found;
  const ways = connections.by_transport;
  const lines = [
    [t("Version"), `${found.version} (${found.compiled ? t("compiled") : t("plain Python")})`],
    [t("Running since"), when(found.started)],
    [t("Connections"), `${t("members")} ${connections.member}, ${t("guests")} ${connections.guest}, ${t("not registered")} ${connections.registering}; HTTP ${ways.web}, IRC ${ways.irc}; ${t("at most")} ${connections.limit}`],
    [t("Messages"), `${messages.accepted} ${t("stored")}, ${messages.delivered} ${t("delivered")}, ${messages.failed} ${t("failed")}, ${messages.relayed} ${t("to guests")}; ${decimal(messages.per_second)}/s`],
    [t("Queue"), `${queue.requests} (${size(queue.bytes)})`],
    [t("Held for connections"), size(found.held_bytes)],
    [t("Members"), found.members],
    [t("Devices"), found.devices],
    [t("Oldest waiting message"), found.oldest_waiting && when(found.oldest_waiting)],
    [t("Database"), found.database_bytes === null ? null : size(found.database_bytes)],
    [t("Database"), database && `PostgreSQL ${database.version}, ${size(database.bytes)}, ${synchronous(database)}`],
    ...(database?.standbys ?? []).map((/** @type {any} */ each) => ["Standby", `${each.name}: ${synchronous(each)}, ${size(each.bytes_behind)} ${t("behind")}`]),
    ...found.servers.map((/** @type {any} */ each) => [t("Server"), `${each.address}: ${each.version}, ${t("Devices")} ${each.devices}`]),
    [t("Free on the disk"), found.disk_free_bytes === null ? null : size(found.disk_free_bytes)],
    [t("Certificate ends"), found.certificate_end === null ? null : when(found.certificate_end)],
    [t("E-mail"), mail && `${mail.sent} ${t("sent")}, ${mail.refused} ${t("refused")}`],
    [t("Last backup"), backup && (backup.newest || !backup.busy ? when(backup.newest) : t("is being made"))],
    [t("Refused"), Object.entries(found.refusals).map(([name, count]) => `${name} ${count}`).join(", ") || null],
  ];
  const met = found.met_limits.map((/** @type {any} */ each) => h("tr", {},
    h("th", { scope: "row" }, each.who), h("td", {}, each.limit), h("td", { class: "number" }, String(each.times)), h("td", {}, when(each.last))));
  const points = /** @type {number[][]} */ (found.graph);
  const rates = points.slice(1).map((each, index) => [each[0], ((each[1] - points[index][1]) / Math.max(1, each[0] - points[index][0])) * 60]);
  return [
    ...found.warnings.map(warning),
    h("dl", {}, ...lines.filter((each) => each[1] !== null).flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, String(text))])),
    ...graph(t("Messages a minute"), rates),
    ...graph(t("Connections"), points.map((each) => [each[0], each[2]])),
    ...(met.length ? [h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("Limits that were met") }, h("table", {},
      h("caption", {}, t("Limits that were met")),
      h("thead", {}, h("tr", {}, ...[t("Who"), t("Limit"), t("Times"), t("Last")].map((each) => h("th", { scope: "col" }, each)))),
      h("tbody", {}, ...met)))] : []),
    h("button", { onclick: () => attempt(show) }, t("Refresh")),
  ];
}

/** @param {{ synchronous: boolean }} found a database, or a standby */
const synchronous = (found) => (found.synchronous ? t("synchronous") : t("not synchronous"));

/** @param {{ kind: string, detail: string, remedy: string }} found */
function warning(found) {
  const text = found.detail ? `${t(found.kind)}: ${found.detail}` : t(found.kind);
  return h("p", { class: "warning" }, h("strong", {}, `${t("Warning")}: ${text}`), h("br", {}), t(found.remedy));
}

/**
 * @param {string} title
 * @param {number[][]} points time and value
 * @returns {Node[]}
 */
function graph(title, points) {
  if (points.length < 2) return [];
  const most = Math.max(1, ...points.map((each) => each[1]));
  const [first, last] = [points[0][0], points[points.length - 1][0]];
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 1000 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${title}: ${t("at most")} ${decimal(most)}, ${t("now")} ${decimal(points[points.length - 1][1])}`);
  const line = document.createElementNS(space, "polyline");
  line.setAttribute("points", points.map(([time, value]) =>
    `${(((time - first) / Math.max(1, last - first)) * 1000).toFixed(1)},${(98 - (value / most) * 96).toFixed(1)}`).join(" "));
  svg.append(line);
  return [h("h3", {}, `${title} (${t("at most")} ${decimal(most)})`), svg];
}

await load();
document.documentElement.lang = language();
document.title = t("Twotick: operator");
if (session) {
  await attempt(show);
  if (!page.querySelector("main")) signIn(t("The server cannot answer this now."));
} else signIn();
