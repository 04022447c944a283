import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { excerpt, parseSearch, SearchError } from "../../../src/twotick/web/static/app/model/search.js";

const { searches } = JSON.parse(readFileSync(process.env.VECTORS, "utf8"));

test("what is typed to search means the same as in the terminal app", () => {
  assert(searches.length > 10 && searches.some(({ found }) => found) && searches.some(({ found }) => !found));
  for (const { text, now, found } of searches) {
    if (found === null) {
      assert.throws(() => parseSearch(text, "alice", now), SearchError, text);
      continue;
    }
    const { headers, query } = parseSearch(text, "alice", now);
    const time = (name) => (headers[name] ? Date.parse(headers[name]) : null);
    assert.deepEqual(
      { query, from: headers.From ?? null, in: headers.In ?? null, since: time("Since"), until: time("Until"), file: headers.Has === "file" }, found, text,
    );
  }
});

test("what was found is shown around the first word", () => {
  assert.deepEqual(excerpt(`${"x ".repeat(200)}(wild) oats`, ["(wild", "nothing"])[1], "(wild");
  assert.deepEqual(excerpt("a b", []), ["a b"]);
});
