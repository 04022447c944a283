import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";

const FOLDER = new URL("../../../src/twotick/web/static/app/texts/", import.meta.url);
const part = async (file) => (await import(new URL(file, FOLDER))).default;
const load = async (language) => ({ ...(await part(`${language}.js`)), ...(await part(`more/${language}.js`)) });
const values = (text) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();

/** Texts that are the same in every language: signs, and what the server says. */
const SAME = ["error.other", "talk.news", "message.reacted", "event.other"];

test("every language has every text, with the same values in it", async () => {
  const english = await load("en");
  const languages = readdirSync(FOLDER).map((file) => file.replace(".js", "")).filter((each) => !["en", "index", "more"].includes(each));
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
