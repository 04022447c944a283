/**
 * Members' pictures (docs/protocol.md, rules 18.4 and 18.5). They are kept in IndexedDB under their hashes, and shown from
 * `blob:` URLs. Loaded with the first of them.
 *
 * @typedef {import("./profile.js").Profile} Profile
 */
import { answer, databaseName, done, open } from "../store/database.js";

const SIDE = 256;
const MOST_SIDE = 1024;
const MOST_BYTES = 256 << 10;
const MOST_KEPT = 500;
const MOST_SHOWN = 200;
const AT_ONCE = 4;

/** How pictures begin, and their types. A file that begins in another way is never shown. */
const TYPES = /** @type {[RegExp, string][]} */ ([
  [/^\x89PNG\r\n\x1a\n/, "image/png"], [/^\xff\xd8\xff/, "image/jpeg"], [/^RIFF[^]{4}WEBP/, "image/webp"],
]);

/** @type {Map<string, Promise<string>>} addresses by hashes */
const urls = new Map();
/** @type {(() => void)[]} what waits until fewer pictures are asked for */
const waiting = [];
let asking = 0;

/**
 * Return the address of a member's picture.
 * @param {Profile} profile
 * @param {string} name
 * @param {string} hash
 * @returns {Promise<string>}
 */
export function pictureUrl(profile, name, hash) {
  let found = urls.get(hash);
  if (!found) {
    found = load(profile, name, hash).then((blob) => URL.createObjectURL(blob));
    found.catch(() => urls.delete(hash));
    urls.set(hash, found);
    if (urls.size > MOST_SHOWN) drop();
  }
  return found;
}

function drop() {
  const [hash, url] = [...urls][0];
  urls.delete(hash);
  url.then((each) => URL.revokeObjectURL(each), () => undefined);
}

/**
 * @param {Profile} profile
 * @param {string} name
 * @param {string} hash
 */
async function load(profile, name, hash) {
  const database = await kept(profile);
  const before = await answer(database.transaction("pictures").objectStore("pictures").get(hash));
  if (before) return /** @type {Blob} */ (before.blob);
  if (asking >= AT_ONCE) await new Promise((resolve) => waiting.push(() => resolve(undefined)));
  asking++;
  try {
    const blob = await checked(await profile.call("picture", name, hash), hash);
    await keep(database, { hash, blob, time: Date.now() });
    return blob;
  } finally {
    asking--;
    waiting.shift()?.();
  }
}

/**
 * Return a picture if it is one, whatever its type is said to be.
 * @param {Uint8Array<ArrayBuffer>} body
 * @param {string} hash
 */
async function checked(body, hash) {
  const type = TYPES.find(([start]) => start.test(String.fromCharCode(...body.slice(0, 16))))?.[1];
  if (!type || body.length > MOST_BYTES) throw new Error("this is no picture");
  if (crypto.subtle && (await hashOf(body)) !== hash) throw new Error("the picture was damaged on its way");
  const blob = new Blob([body], { type });
  const bitmap = await createImageBitmap(blob);
  const fits = bitmap.width === bitmap.height && bitmap.width <= MOST_SIDE;
  bitmap.close();
  if (!fits) throw new Error("this is no picture of a member");
  return blob;
}

/** @type {{profile: Profile, database: Promise<IDBDatabase>} | null} */
let opened = null;

/** @param {Profile} profile */
function kept(profile) {
  if (opened?.profile !== profile)
    opened = {
      profile,
      database: open(`${databaseName(profile.account)}-pictures`, (database) => {
        if (!database.objectStoreNames.contains("pictures"))
          database.createObjectStore("pictures", { keyPath: "hash" }).createIndex("time", "time");
      }),
    };
  return opened.database;
}

/**
 * Keep a picture, and forget those that were kept first if there are too many.
 * @param {IDBDatabase} database
 * @param {{hash: string, blob: Blob, time: number}} picture
 */
async function keep(database, picture) {
  const work = database.transaction("pictures", "readwrite");
  const pictures = work.objectStore("pictures");
  pictures.put(picture);
  pictures.count().onsuccess = (event) => {
    let over = /** @type {IDBRequest<number>} */ (event.target).result - MOST_KEPT;
    pictures.index("time").openCursor().onsuccess = ({ target }) => {
      const cursor = /** @type {IDBRequest<IDBCursorWithValue | null>} */ (target).result;
      if (!cursor || over-- <= 0) return;
      cursor.delete();
      cursor.continue();
    };
  };
  await done(work);
}

/**
 * Make a file the user's picture: the middle of it, small, and without anything else that the file says.
 * @param {Profile} profile
 * @param {Blob | null} file null to have no picture
 */
export async function setPicture(profile, file) {
  const body = file && (await portrait(file));
  await profile.call("setPicture", body, body ? await hashOf(body) : "");
}

/** @param {Blob} file */
async function portrait(file) {
  const bitmap = await createImageBitmap(file);
  const from = Math.min(bitmap.width, bitmap.height);
  const side = Math.max(16, Math.min(SIDE, from));
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, (bitmap.width - from) / 2, (bitmap.height - from) / 2, from, from, 0, 0, side, side);
  bitmap.close();
  // Browsers that do not write WebP write PNG.
  for (const type of ["image/webp", "image/jpeg"]) {
    const made = await new Promise((resolve) => canvas.toBlob(resolve, type, 0.85));
    if (made && made.size <= MOST_BYTES) return new Uint8Array(await /** @type {Blob} */ (made).arrayBuffer());
  }
  throw new Error("the picture is too large");
}

/** @param {Uint8Array<ArrayBuffer>} bytes */
const hashOf = async (bytes) =>
  Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)), (each) => each.toString(16).padStart(2, "0")).join("");
