import assert from "node:assert/strict";
import { test } from "node:test";
import { LEVELS, lengthText, levelsOf, voiceHeader, voiceName, voiceOf } from "../../../src/twotick/web/static/app/model/voice.js";

const file = (name, voice) => ({ key: "k", name, size: 1, hash: "", voice });
const NAME = "voice-2026-11-29-161204.webm";

test("a voice note has the length and the levels that its sender gave", () => {
  assert.equal(voiceName(new Date(2026, 10, 29, 16, 12, 4), "webm"), NAME);
  assert.equal(voiceHeader(4.21, [0, 3 / 63, 1, 2]), "4210 AD//");
  assert.deepEqual(voiceOf(file(NAME, "4210 AD//")), { seconds: 4.21, levels: [0, 3 / 63, 1, 1] });
  const levels = levelsOf(Float32Array.from({ length: 1000 }, (_, at) => (at === 999 ? -0.5 : 0.25)));
  assert.deepEqual([levels.length, levels[0], levels[LEVELS - 1]], [LEVELS, 0.5, 1]);
  assert.deepEqual(levelsOf(new Float32Array(0)), Array(LEVELS).fill(0));
});

test("a malformed header is as none, and other files are no voice notes", () => {
  for (const header of [undefined, "", "x", "4210", "-1 AA", "1e9 AA", "4210 A<", `1 ${"A".repeat(65)}`, "999999999 A"])
    assert.deepEqual(voiceOf(file(NAME, header)), { seconds: 0, levels: [] }, header);
  for (const name of ["voice-2026-11-29.html", "voice-2026-11-29-x.webm.svg", "voice.webm", "a/voice-2026-11-29.webm", "photo.png"])
    assert.equal(voiceOf(file(name, "1 A")), null, name);
  assert.deepEqual([0, 59.6, 600, NaN, -3, Infinity].map(lengthText), ["0:00", "1:00", "10:00", "0:00", "0:00", "0:00"]);
});
