/* The parser of the page agrees with the server's: VECTORS names a file with what the server's parser makes of bytes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Decoder, encodeFrame, ProtocolError } from "../../../src/twotick/web/static/app/protocol/frames.js";
import { refusal } from "../../../src/twotick/web/static/app/net/sign_in.js";
import { reference, toBytes } from "../../../src/twotick/web/static/app/protocol/words.js";

const vectors = JSON.parse(readFileSync(process.env.VECTORS, "utf8"));

function decoded(chunks, maxBody) {
  const decoder = new Decoder(maxBody);
  const frames = chunks.flatMap((chunk) => decoder.feed(Buffer.from(chunk, "base64")));
  return { frames, broken: decoder.broken !== null };
}

test("frames are read as the server reads them, however they are split", () => {
  assert(vectors.read.length >= 300);
  for (const { chunks, frames, broken } of vectors.read) {
    const found = decoded(chunks, 1 << 20);
    const plain = found.frames.map(({ headers, body }) => [Object.fromEntries(headers), Buffer.from(body).toString("base64")]);
    assert.deepEqual({ frames: plain, broken: found.broken }, { frames, broken }, JSON.stringify(chunks));
  }
});

test("a start line is words", () => {
  const [frame] = new Decoder().feed(toBytes("ERROR  102 Unable to\tsend \nId: m1\n\n"));
  assert.deepEqual([frame.verb, frame.words], ["ERROR", ["102", "Unable", "to", "send"]]);
});

test("the server reads what the page writes", () => {
  for (const { verb, words, headers, body, bytes } of vectors.written) {
    const frame = encodeFrame(verb, words, headers, body === null ? null : Buffer.from(body, "base64"));
    assert.equal(Buffer.from(frame).toString("base64"), bytes);
  }
});

test("a header cannot begin another one", () => {
  assert.throws(() => encodeFrame("SEND", ["bob"], { Id: "a\nEdits: b" }), ProtocolError);
  assert.throws(() => encodeFrame("SEND", ["bob\nx: y"], {}), ProtocolError);
  assert.throws(() => encodeFrame("SEND", ["bob"], { "Reply-to": "x".repeat(9000) }), ProtocolError);
});

test("a body is bounded", () => {
  for (const [most, text] of [[4, "FORWARD a\nContent-length: 5\n\nhello"], [9, "x".repeat(8193)]]) {
    const decoder = new Decoder(most);
    assert.deepEqual(decoder.feed(toBytes(text)), []);
    assert(decoder.broken instanceof ProtocolError);
  }
});

test("references name a sender and an Id", () => {
  assert.deepEqual(reference("carol m1", "bob"), ["carol", "m1"]);
  assert.deepEqual(reference("m1", "bob"), ["bob", "m1"]);
  for (const bad of [undefined, "", "a b c", "#x m1", "carol m 1", "carol <m>"]) assert.equal(reference(bad, "bob"), null);
});

test("a server that stops says when to come back (rule 9.13)", () => {
  const [plain, later, never] = new Decoder().feed(
    toBytes("ERROR 107 Shutting down\n\nERROR 107 Shutting down\nRetry-after: 12\n\nERROR 107 Shutting down\nRetry-after: 99999\n\n"),
  );
  assert.equal(refusal(plain).wait, undefined);
  assert(refusal(later).wait >= 12_000 && refusal(later).wait < 13_000);
  assert(refusal(never).wait < 901_000);
});
