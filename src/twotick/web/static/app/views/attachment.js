/** The file of a message. Loaded when the first one is shown. */
import { html, useState } from "../../vendor/preact.js";
import { sizeText, visible } from "../model/names.js";
import { t } from "../texts/index.js";
import { harmlessType } from "./controller.js";
import { Icon } from "./icons.js";
import { useModule } from "./lazy.js";

/**
 * @typedef {import("./controller.js").Controller} Controller
 * @typedef {import("../model/types.js").Message} Message
 */

/** @param {{app: Controller, message: Message, transfer?: {done: number, total: number}}} given */
export function Attachment({ app, message, transfer }) {
  const file = /** @type {import("../model/types.js").FileRecord} */ (message.file);
  const [url, setUrl] = useState("");
  const [problem, setProblem] = useState("");
  const named = file.name.startsWith("voice-");
  const voice = useModule(named, () => import("./voice.js"));
  const isVoice = voice?.isVoice(file);
  const type = harmlessType(file.name);
  const kind = isVoice ? "sound" : type.split("/")[0];
  const media = useModule((!named || isVoice === false) && ["image", "audio", "video"].includes(kind), () => import("./media.js"));
  const load = () => app.fileUrl(message).then((found) => (setUrl(found), found), async (error) => (setProblem(t("error.fileMissing", { reason: await app.explain(error) })), ""));
  const save = async () => {
    const found = url || (await load());
    if (!found) return;
    const link = document.createElement("a");
    link.href = found;
    link.download = visible(file.name).replace(/[/\\]/g, "_");
    link.click();
  };
  const name = visible(file.name) || "file";
  return html`<div class=${`file ${kind}`}>
    ${isVoice && html`<${voice?.Player} url=${url} load=${load} file=${file} />`}
    ${!problem && !isVoice && media && html`<${media.Media} kind=${kind} name=${name} file=${file} url=${url} load=${load} fail=${setProblem} />`}
    <div class="file-line"><${Icon} name="file" /><span class="file-name" title=${name}>${!isVoice && html`<bdi>${name}</bdi>`}<small>${sizeText(file.size)}</small></span>
      ${file.key && html`<button class="icon-button" aria-label=${t("message.save", { name })} title=${t("message.save", { name })} onClick=${save}><${Icon} name="download" /></button>`}</div>
    ${transfer && html`<progress max=${transfer.total} value=${transfer.done} aria-label=${name}></progress>`}
    ${problem && html`<p class="why">${problem}</p>`}
  </div>`;
}
