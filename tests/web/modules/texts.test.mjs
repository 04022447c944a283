import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";

const FOLDER = new URL("../../../src/twotick/web/static/app/texts/", import.meta.url);
const part = async (file) => (await import(new URL(file, FOLDER))).default;
const load = async (language) => ({ ...(await part(`${language}.js`)), ...(await part(`more/${language}.js`)) });
const values = (text) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();

/** Texts that are the same in every language: signs, and what the server says. */
const SAME = ["talk.news", "message.reacted", "event.other"];

test("every language has every text, with the same values in it", async () => {
  const english = await load("en");
  const languages = readdirSync(FOLDER).map((file) => file.replace(".js", "")).filter((each) => !["en", "index", "more", "keys"].includes(each));
  assert.deepEqual(languages.sort(), ["de", "es", "fr", "hi"]);
  for (const language of languages) {
    const texts = await load(language);
    const missing = Object.keys(english).filter((key) => !(key in texts) && !SAME.includes(key));
    assert.deepEqual([missing, Object.keys(texts).filter((key) => !(key in english))], [[], []], language);
    for (const [key, text] of Object.entries(texts)) {
      if (key === "details.blockSure") continue; // some languages name the person less often
      assert.deepEqual(values(text), values(english[key]), `${language} ${key}`);
    }
  }
});

/** What the errors of the server can be: the number, the word of rule 9.12, and what the user was doing. */
const ERRORS = [
  [0, "", ""], [0, "", "in"], [100, "member", "guest"], [100, "in-use", "session"], [100, "guests", "guest"], [100, "name", "guest"], [100, "", "up"],
  [104, "login", "in"], [104, "login", "session"], [104, "", "in"], [104, "", "session"], [104, "encryption", "session"], [104, "sign-up", "up"],
  [104, "taken", "up"], [104, "invitation", "up"], [104, "password", "up"], [104, "device", "session"], [105, "", "in"], [106, "", ""], [107, "", ""], [108, "", ""],
];

test("errors that are known by a number or a word are said in the user's language, without the server's words", async () => {
  Object.defineProperty(globalThis, "navigator", { value: { languages: ["en"] }, configurable: true });
  globalThis.document = { documentElement: {} };
  const { useLanguage, withTexts } = await import(new URL("index.js", FOLDER));
  const { errorText } = await withTexts(import(new URL("../views/errors.js", FOLDER)));
  const said = {};
  for (const language of ["en", "de", "fr", "es", "hi"]) {
    await useLanguage(language);
    said[language] = ERRORS.map(([code, kind, how]) => errorText({ code, kind, message: "SERVER WORDS", retryAfter: 7 }, how));
    for (const text of said[language]) assert(!text.includes("SERVER WORDS") && !/\{\w+\}/.test(text), text);
    // What is not known has the server's words as a detail, and so have words that are always the same.
    assert(errorText({ code: 102, message: "SERVER WORDS" }).includes("SERVER WORDS"));
    assert(errorText({ code: 104, kind: "newer", message: "SERVER WORDS" }).includes("SERVER WORDS"));
    assert(errorText({ code: 102, message: "Zed is not connected" }).includes("Zed"));
    assert.equal(errorText(new DOMException("x", "QuotaExceededError")), errorText({ name: "StorageError", message: "QuotaExceededError: x" }));
    for (const odd of [null, undefined, "text", 7, { code: 102 }, { code: "x", kind: "__proto__" }]) assert.equal(typeof errorText(odd), "string");
    if (language === "en") continue;
    for (const [at, text] of said[language].entries()) assert.notEqual(text, said.en[at], language);
    assert(!errorText({ code: 102, message: "there is no such room" }).includes("there is no such room"));
  }
});
