/** Pictures, sounds and videos in messages. Loaded with the first of them. */
import { html, useEffect, useState } from "../../vendor/preact.js";
import { t } from "../texts/index.js";
import { Icon } from "./icons.js";

const MOST_BYTES = 8 << 20;
const MOST_PIXELS = 40_000_000;

/**
 * @param {{kind: string, name: string, file: import("../model/types.js").FileRecord, url: string, load: () => Promise<string>,
 *   fail: (problem: string) => void}} given
 */
export function Media({ kind, name, file, url, load, fail }) {
  const [fits, setFits] = useState(false);
  const failed = () => fail(t("voice.cannotPlay"));
  const picture = kind === "image" && file.size < MOST_BYTES;
  const look = async () => {
    const found = await load();
    if (!found) return;
    // The size of a picture is known before it is decoded, which takes memory.
    const image = new Image();
    image.onload = () => (image.naturalWidth * image.naturalHeight <= MOST_PIXELS ? setFits(true) : failed());
    image.onerror = failed;
    image.src = found;
  };
  useEffect(() => {
    if (picture && file.key) void look();
  }, [file.key]);
  if (picture) return html`<a class="picture" href=${fits ? url : undefined} target="_blank" rel="noopener" aria-label=${name}>${fits && html`<img src=${url} alt=${name} />`}</a>`;
  if (kind === "image" || !file.key) return null;
  if (!url) return html`<button class="icon-button" aria-label=${`▶ ${name}`} onClick=${load}><${Icon} name="play" /></button>`;
  return kind === "audio" ? html`<audio controls src=${url} aria-label=${name} onError=${failed}></audio>`
    : html`<video controls src=${url} aria-label=${name} onError=${failed}></video>`;
}
