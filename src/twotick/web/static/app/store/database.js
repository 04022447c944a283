/**
 * The databases of the page in IndexedDB: one for the accounts, and one for each account with its conversations,
 * messages, drafts, and what waits to be sent.
 *
 * A transaction is over when its work is done and no request is under way, so nothing but its requests may be awaited
 * in it.
 *
 * @typedef {import("../model/types.js").Account} Account
 * @typedef {import("../model/types.js").Conversation} Conversation
 * @typedef {import("../model/types.js").Message} Message
 * @typedef {import("../model/types.js").OutboxItem} OutboxItem
 * @typedef {import("../model/messages.js").Change} Change
 */
import { changed, guestTarget, guestUid, merged, uidOf, WAITING } from "../model/messages.js";

const FORMAT = 1;
const ACCOUNTS = "twotick";

/** The browser does not let the page keep anything, or has no more room. */
export class StorageError extends Error {
  name = "StorageError";
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
export function answer(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * @param {string} name
 * @param {(database: IDBDatabase) => void} create
 * @returns {Promise<IDBDatabase>}
 */
export function open(name, create) {
  return new Promise((resolve, reject) => {
    /** @type {IDBOpenDBRequest} */
    let request;
    try {
      request = indexedDB.open(name, FORMAT);
    } catch (error) {
      reject(new StorageError(String(error)));
      return;
    }
    request.onupgradeneeded = () => create(request.result);
    request.onsuccess = () => {
      // Another tab may remove the account, or bring a newer format.
      request.result.onversionchange = () => request.result.close();
      resolve(request.result);
    };
    request.onerror = () => reject(new StorageError(String(request.error)));
  });
}

/** The accounts on this browser. */
export class Accounts {
  /** @param {IDBDatabase} database */
  constructor(database) {
    this.database = database;
  }

  static async open() {
    return new Accounts(await open(ACCOUNTS, (database) => database.createObjectStore("accounts", { keyPath: "key" })));
  }

  /** @returns {Promise<Account | null>} the account that is signed in */
  async current() {
    const found = await answer(this.database.transaction("accounts").objectStore("accounts").get("current"));
    return found ? found.account : null;
  }

  /** @param {Account} account */
  async save(account) {
    const work = this.database.transaction("accounts", "readwrite", { durability: "strict" });
    work.objectStore("accounts").put({ key: "current", account });
    await done(work);
  }

  async forget() {
    const work = this.database.transaction("accounts", "readwrite", { durability: "strict" });
    work.objectStore("accounts").delete("current");
    await done(work);
  }
}

/**
 * @param {IDBTransaction} work
 * @returns {Promise<void>}
 */
export function done(work) {
  return new Promise((resolve, reject) => {
    work.oncomplete = () => resolve();
    work.onabort = () => reject(new StorageError(String(work.error ?? "the transaction was given up")));
    work.onerror = () => reject(new StorageError(String(work.error)));
  });
}

/** What is kept of one account. */
export class Store {
  /** @param {IDBDatabase} database */
  constructor(database) {
    this.database = database;
  }

  /**
   * @param {Account} account
   * @returns {Promise<Store>}
   */
  static async open(account) {
    return new Store(
      await open(databaseName(account), (database) => {
        database.createObjectStore("conversations", { keyPath: "key" });
        const messages = database.createObjectStore("messages", { keyPath: ["conversation", "uid"] });
        messages.createIndex("order", ["conversation", "place", "order"]);
        messages.createIndex("seq", ["conversation", "seq"]);
        messages.createIndex("id", "id");
        database.createObjectStore("later", { keyPath: ["conversation", "uid"] });
        const outbox = database.createObjectStore("outbox", { keyPath: "number", autoIncrement: true });
        outbox.createIndex("id", "id");
        database.createObjectStore("drafts", { keyPath: "key" });
        database.createObjectStore("meta", { keyPath: "key" });
      }),
    );
  }

  /**
   * Remove everything that is kept of an account.
   * @param {Account} account
   */
  static remove(account) {
    for (const more of ["pictures", "recording"]) indexedDB.deleteDatabase(`${databaseName(account)}-${more}`);
    return new Promise((resolve) => {
      const request = indexedDB.deleteDatabase(databaseName(account));
      request.onsuccess = request.onerror = request.onblocked = () => resolve(undefined);
    });
  }

  close() {
    this.database.close();
  }

  /**
   * Carry out a transaction. It is on the disk when the promise is fulfilled, or nothing of it is.
   * @template T
   * @param {(work: Work) => Promise<T>} steps
   * @returns {Promise<T>}
   */
  async write(steps) {
    const work = this.database.transaction(
      ["conversations", "messages", "later", "outbox", "drafts", "meta"], "readwrite", { durability: "strict" },
    );
    const ended = done(work);
    try {
      const result = await steps(new Work(work));
      await ended;
      return result;
    } catch (error) {
      try {
        work.abort();
      } catch {
        // It has ended already.
      }
      await ended.catch(() => undefined);
      throw error;
    }
  }

  /** @param {string} name */
  read(name) {
    return this.database.transaction(name).objectStore(name);
  }

  /** @returns {Promise<Conversation[]>} */
  conversations() {
    return answer(this.read("conversations").getAll());
  }

  /** @returns {Promise<OutboxItem[]>} in order */
  outbox() {
    return answer(this.read("outbox").getAll());
  }

  /**
   * @param {string} key
   * @returns {Promise<any>}
   */
  async meta(key) {
    return (await answer(this.read("meta").get(key)))?.value;
  }

  /**
   * @param {string} key
   * @param {any} value
   */
  async setMeta(key, value) {
    const work = this.database.transaction("meta", "readwrite");
    work.objectStore("meta").put({ key, value });
    await done(work);
  }

  /** @returns {Promise<Record<string, string>>} the drafts by the keys of their conversations */
  async drafts() {
    return Object.fromEntries((await answer(this.read("drafts").getAll())).map((each) => [each.key, each.text]));
  }

  /**
   * @param {string} key
   * @param {string} text
   */
  async saveDraft(key, text) {
    const work = this.database.transaction("drafts", "readwrite");
    if (text) work.objectStore("drafts").put({ key, text });
    else work.objectStore("drafts").delete(key);
    await done(work);
  }

  /**
   * @param {string} conversation
   * @param {string} uid
   * @returns {Promise<Message | undefined>}
   */
  message(conversation, uid) {
    return answer(this.read("messages").get([conversation, uid]));
  }

  /**
   * Return the messages before one, oldest first; the newest ones if there is none. The count is at least two.
   * @param {string} conversation
   * @param {Message | null} before
   * @param {number} count
   * @returns {Promise<Message[]>}
   */
  async older(conversation, before, count) {
    const upper = before ? [conversation, before.place, before.order] : [conversation, Infinity, Infinity];
    const index = this.read("messages").index("order");
    const range = IDBKeyRange.bound([conversation, -Infinity, -Infinity], upper, false, true);
    // Keys are passed over in one step: each step of a cursor is an answer of its own.
    const request = index.openKeyCursor(range, "prev");
    let cursor = await answer(request);
    if (cursor) {
      cursor.advance(count - 1);
      cursor = await answer(request);
    }
    return answer(index.getAll(IDBKeyRange.bound(cursor?.key ?? range.lower, upper, false, true)));
  }

  /**
   * Return the messages after one, oldest first.
   * @param {string} conversation
   * @param {Message} after
   * @param {number} count
   * @returns {Promise<Message[]>}
   */
  newer(conversation, after, count) {
    const lower = [conversation, after.place, after.order];
    return answer(this.read("messages").index("order").getAll(IDBKeyRange.bound(lower, [conversation, Infinity, Infinity], true, false), count));
  }

  /**
   * Return the conversations with messages that the server has, but whose places are not known.
   * @param {string[]} conversations
   * @returns {Promise<string[]>}
   */
  async unplaced(conversations) {
    const index = this.read("messages").index("order");
    const ranges = conversations.map((key) => IDBKeyRange.bound([key, WAITING], [key, WAITING, Infinity]));
    const found = await Promise.all(ranges.map((range) => answer(index.getAll(range, 1000))));
    return conversations.filter((_, at) => found[at].some((/** @type {Message} */ each) => each.state !== "waiting"));
  }

  /**
   * Return how many messages of others are stored after a number of the log, and how many of them mention the user.
   * @param {string} conversation
   * @param {number} read
   * @returns {Promise<[number, number]>}
   */
  async unread(conversation, read) {
    const range = IDBKeyRange.bound([conversation, read], [conversation, Infinity], true, false);
    const all = /** @type {Message[]} */ (await answer(this.read("messages").index("seq").getAll(range, 1000)));
    const news = all.filter((each) => !each.outgoing && !each.event && !each.deleted);
    return [news.length, news.filter((each) => each.mention).length];
  }
}

/** @param {Account} account */
export const databaseName = (account) => `twotick-${account.guest ? "guest" : "member"}-${account.name.toLowerCase()}`;

/** The steps of a transaction. */
export class Work {
  /** @param {IDBTransaction} work */
  constructor(work) {
    this.work = work;
    /** @type {Map<string, Message>} the messages that were written, by their keys */
    this.written = new Map();
  }

  /** @param {string} name */
  table(name) {
    return this.work.objectStore(name);
  }

  /**
   * @param {string} conversation
   * @param {string} uid
   * @returns {Promise<Message | undefined>}
   */
  message(conversation, uid) {
    return answer(this.table("messages").get([conversation, uid]));
  }

  /** @param {Message} message */
  putMessage(message) {
    this.table("messages").put(message);
    this.written.set(`${message.conversation} ${message.uid}`, message);
  }

  /**
   * Show a message that is not stored.
   * @param {Message} message
   */
  show(message) {
    this.written.set(`${message.conversation} ${message.uid}`, message);
  }

  /**
   * @param {string} conversation
   * @param {string} uid
   */
  removeMessage(conversation, uid) {
    this.table("messages").delete([conversation, uid]);
  }

  /**
   * Remove a draft that was sent, unless the user has written something else since.
   * @param {string} key the conversation
   * @param {string} text what was sent
   */
  async removeDraft(key, text) {
    const draft = await answer(this.table("drafts").get(key));
    if (draft?.text.trimEnd() === text) this.table("drafts").delete(key);
  }

  /** @param {Conversation} conversation */
  putConversation(conversation) {
    this.table("conversations").put({ ...conversation });
  }

  /**
   * @param {string} key
   * @param {any} value
   */
  putMeta(key, value) {
    this.table("meta").put({ key, value });
  }

  /**
   * Store a message that came from the server. If it is stored already, the two are joined. Changes that came before
   * it are applied.
   * @param {Message} message
   * @returns {Promise<[Message, boolean]>} the message as it is stored now, and whether it is new
   */
  async take(message) {
    const uid = message.guest ? uidOf(message.sender, message.id) : message.uid;
    let mine = await this.message(message.conversation, message.uid);
    // An older version of the page has stored a guest's direct messages under the keys of a member's.
    if (message.guest && !mine) {
      const old = await this.message(message.conversation, uid);
      if (old?.place === message.place) mine = old;
    } else if (mine?.guest && !message.guest) {
      this.putMessage({ ...mine, uid: guestUid(uid) });
      mine = undefined;
    }
    if (mine) {
      const joined = merged(mine, message);
      this.putMessage(joined);
      return [joined, false];
    }
    let next = message;
    const key = [message.conversation, uid];
    const later = await answer(this.table("later").get(key));
    if (later) {
      for (const change of /** @type {Change[]} */ (later.changes))
        if (!message.guest || guestTarget(uid, change) !== uid) next = changed(next, change);
      this.table("later").delete(key);
    }
    this.putMessage(next);
    return [next, true];
  }

  /**
   * Apply a change of a message, or keep it until the message comes.
   * @param {string} conversation
   * @param {string} uid
   * @param {Change} change
   * @returns {Promise<boolean>} whether the message is stored
   */
  async change(conversation, uid, change) {
    const message = (await this.message(conversation, uid)) ?? (await this.message(conversation, guestTarget(uid, change)));
    if (message) {
      this.putMessage(changed(message, change));
      return true;
    }
    const key = [conversation, uid];
    const later = (await answer(this.table("later").get(key)))?.changes ?? [];
    if (later.length < 200) this.table("later").put({ conversation, uid, changes: [...later, change] });
    return false;
  }

  /**
   * @param {string} id
   * @returns {Promise<OutboxItem | undefined>}
   */
  waiting(id) {
    return answer(this.table("outbox").index("id").get(id));
  }

  /**
   * Return a message that the user has sent.
   * @param {string} id
   * @returns {Promise<Message | undefined>}
   */
  async sent(id) {
    const found = /** @type {Message[]} */ (await answer(this.table("messages").index("id").getAll(id)));
    return found.find((each) => each.outgoing);
  }

  /**
   * Return the place of the newest message that the server has numbered; 0 if there is none.
   * @param {string} conversation
   * @returns {Promise<number>}
   */
  async newestPlace(conversation) {
    const range = IDBKeyRange.bound([conversation, -Infinity], [conversation, WAITING], false, true);
    const cursor = await answer(this.table("messages").index("order").openCursor(range, "prev"));
    return cursor ? cursor.value.place : 0;
  }

  /**
   * Return the user's messages up to one that others have not read yet, newest first, as far as they follow each other.
   * @param {Message} message
   * @returns {Promise<Message[]>}
   */
  unreadUpTo(message) {
    return new Promise((resolve, reject) => {
      /** @type {Message[]} */
      const found = [];
      const upper = [message.conversation, message.place, message.order];
      const range = IDBKeyRange.bound([message.conversation, -Infinity, -Infinity], upper);
      const request = this.table("messages").index("order").openCursor(range, "prev");
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const cursor = request.result;
        const each = /** @type {Message | undefined} */ (cursor?.value);
        if (!cursor || !each || (each.state === "read" && each.uid !== message.uid) || found.length >= 1000)
          return resolve(found);
        if (each.state === "accepted" || each.state === "delivered") found.push(each);
        cursor.continue();
      };
    });
  }

  /**
   * Forget the messages of a conversation that the server has numbered.
   * @param {string} conversation
   */
  forget(conversation) {
    const range = IDBKeyRange.bound([conversation, -Infinity], [conversation, WAITING], false, true);
    const request = this.table("messages").index("order").openKeyCursor(range);
    return new Promise((resolve, reject) => {
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const cursor = request.result;
        if (!cursor) return resolve(undefined);
        this.table("messages").delete(cursor.primaryKey);
        cursor.continue();
      };
    });
  }
}
