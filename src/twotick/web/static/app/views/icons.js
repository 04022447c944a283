/** The icons of the page, as SVG. They are decoration: the buttons and texts around them say what they mean. */
import { html } from "../../vendor/preact.js";

/** @type {Record<string, string>} */
const PATHS = {
  send: "M4 12 20 4l-5.5 16-3-6.5z M11.5 13.5 20 4",
  attach: "M8 12.5 14.5 6a3 3 0 0 1 4.3 4.3l-8.3 8.2a5 5 0 0 1-7-7L11 4",
  plus: "M12 5v14M5 12h14",
  back: "M15 5l-7 7 7 7",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  search: "M11 18a7 7 0 1 1 0-14 7 7 0 0 1 0 14zM16 16l4 4",
  reply: "M10 6 4 12l6 6M4 12h9a7 7 0 0 1 7 7",
  smile: "M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18zM8.5 14a4 4 0 0 0 7 0M9 9.5h.01M15 9.5h.01",
  edit: "M4 20h4L19 9a2.8 2.8 0 0 0-4-4L4 16z",
  close: "M6 6l12 12M18 6 6 18",
  goTo: "M5 12h13M12 6l6 6-6 6",
  down: "M6 10l6 6 6-6",
  file: "M7 3h7l5 5v13H7zM14 3v5h5",
  mute: "M6 9v6h4l5 4V5l-5 4zM18 9l4 6M22 9l-4 6",
  pin: "M9 4h6l-1 6 4 4H6l4-4zM12 14v6",
  settings: "M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM12 2v4M12 18v4M4 6l3 2M17 16l3 2M4 18l3-2M17 8l3-2",
  rooms: "M9 4 7 20M17 4l-2 16M4 9h16M3 15h16",
  info: "M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18zM12 11v5M12 8h.01",
  microphone: "M12 15a3 3 0 0 1-3-3V6a3 3 0 0 1 6 0v6a3 3 0 0 1-3 3zM6 11v1a6 6 0 0 0 12 0v-1M12 18v3",
  stop: "M7 7h10v10H7z",
  play: "M8 5l11 7-11 7z",
  pause: "M8 5v14M16 5v14",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
};

/** @param {{name: string}} given */
export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;

/** @type {Record<string, string[]>} */
const TICKS = {
  waiting: ["M8 14a6 6 0 1 1 0-12 6 6 0 0 1 0 12zM8 5v3.2l2 1.3"],
  accepted: ["M3 8.5 6.5 12 13 4.5"],
  delivered: ["M1 8.5 4.5 12 11 4.5", "M7.5 11 8.5 12 15 4.5"],
  read: ["M1 8.5 4.5 12 11 4.5", "M7.5 11 8.5 12 15 4.5"],
  failed: ["M8 14A6 6 0 1 1 8 2a6 6 0 0 1 0 12zM8 4.8v4M8 11.2h.01"],
};

/** @param {{state: string}} given */
export const Ticks = ({ state }) =>
  html`<svg class=${`ticks ticks-${state}`} viewBox="0 0 16 16" aria-hidden="true">
    ${(TICKS[state] ?? []).map((d) => html`<path d=${d} />`)}
  </svg>`;

/** The sign of the page: two ticks. */
export const Logo = () =>
  html`<svg class="logo" viewBox="0 0 64 64" aria-hidden="true">
    <rect width="64" height="64" rx="18" class="logo-ground" />
    <path class="logo-tick" d="M12 34 22 44 40 21" /><path class="logo-tick logo-second" d="M29.5 41.5 32 44 52 21" />
  </svg>`;
