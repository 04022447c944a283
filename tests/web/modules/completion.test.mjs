import assert from "node:assert/strict";
import { test } from "node:test";
import { matching, MOST, wordBefore } from "../../../src/twotick/web/static/app/model/completion.js";

test("only a word with a sign before it is completed", () => {
  assert.deepEqual(wordBefore("hello @Bo"), { sign: "@", typed: "bo", start: 6, argument: "" });
  assert.deepEqual(wordBefore("a\n#te-am"), { sign: "#", typed: "te-am", start: 2, argument: "" });
  assert.deepEqual(wordBefore(":ta"), { sign: ":", typed: "ta", start: 0, argument: "" });
  assert.deepEqual(wordBefore("/"), { sign: "/", typed: "", start: 0, argument: "" });
  const { typed, argument } = wordBefore("/mute 2h");
  assert.deepEqual([typed, argument], ["mute", "2h"]);
  for (const text of ["", "bo", "a@bo", "@bo ", "@bo.", "see /", "/ro oms x", "/usr/bin", "\n/ro", "12:30", ":t", ": )", "a:ta"]) assert.equal(wordBefore(text), null, text);
});

test("names match from their beginning, or by a word of their display names", () => {
  const display = (name) => ({ carol: "Dr Bones" })[name] ?? "";
  assert.deepEqual(matching("bo", ["zoe", "Bob", "carol", "bob", "abo"], display), ["Bob", "carol"]);
  assert.equal(matching("", Array.from({ length: 99 }, (_, n) => `u${n}`)).length, MOST);
});
