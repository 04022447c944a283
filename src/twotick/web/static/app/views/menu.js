/** What can be done with a message, and with which emoji it is answered. */
import { html, useEffect, useLayoutEffect, useRef, useState } from "../../vendor/preact.js";
import { t, withTexts } from "../texts/index.js";
import { Icon } from "./icons.js";
import { useModule } from "./lazy.js";

const QUICK = ["👍", "❤️", "😂", "🎉", "😮", "🙏"];

/**
 * @param {{actions: import("./message.js").MessageAction[], react: false | ((emoji: string) => void), close: () => void}} given
 */
export function Menu({ actions, react, close }) {
  const [picking, setPicking] = useState(false);
  const picker = useModule(picking, () => withTexts(import("./emoji.js")));
  const shown = picking && picker;
  const menu = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    const leave = (/** @type {Event} */ event) => {
      if (event.type === "keydown" && /** @type {KeyboardEvent} */ (event).key !== "Escape") return;
      if (event.type === "pointerdown" && menu.current?.parentElement?.contains(/** @type {Node} */ (event.target))) return;
      close();
    };
    addEventListener("pointerdown", leave);
    addEventListener("keydown", leave);
    const log = picking ? null : document.querySelector("[role=log]"); // the keyboard of a phone scrolls it, too
    log?.addEventListener("scroll", close, { once: true });
    return () => {
      log?.removeEventListener("scroll", close);
      removeEventListener("pointerdown", leave);
      removeEventListener("keydown", leave);
    };
  }, [picking]);
  useLayoutEffect(() => {
    const box = menu.current;
    if (!box) return;
    // Beside its button, and wholly on the screen.
    const button = /** @type {HTMLElement} */ (box.parentElement).getBoundingClientRect();
    const { width, height } = box.getBoundingClientRect();
    const left = box.closest(".own") ? button.right - width : button.left;
    box.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
    box.style.top = `${Math.max(8, Math.min(button.bottom + 4, innerHeight - height - 8))}px`;
    if (!picking) box.querySelector("button")?.focus({ preventScroll: true });
  }, [shown]);
  const back = () => {
    const row = menu.current?.closest("article");
    close();
    row?.focus();
  };
  const run = (/** @type {() => void} */ what) => () => {
    close();
    what();
  };
  if (react && shown) return html`<div class="menu" ref=${menu}><${shown.Picker} choose=${react} close=${back} /></div>`;
  return html`<div class="menu" ref=${menu} role="group" aria-label=${t("message.actions")}>
    ${react && html`<div class="quick">${QUICK.map((emoji) => html`<button key=${emoji} aria-label=${`${t("message.react")} ${emoji}`} onClick=${run(() => react(emoji))}>${emoji}</button>`)}
      <button aria-label=${t("talk.emoji")} title=${t("talk.emoji")} onClick=${() => setPicking(true)}><${Icon} name="plus" /></button></div>`}
    ${actions.map((each) => html`<button key=${each.name} onClick=${run(each.run)}><span>${each.name}</span>${each.keys[0] && html`<kbd aria-hidden="true">${each.keys[0]}</kbd>`}</button>`)}
  </div>`;
}
