import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { listed, mentions, newConversation } from "../../../src/twotick/web/static/app/model/conversations.js";
import { changeOf, messageOf } from "../../../src/twotick/web/static/app/model/entries.js";
import { formatText } from "../../../src/twotick/web/static/app/model/formatting.js";
import { changed, compare, merged, newMessage, reactionsOf, restored, stateText, WAITING, withState } from "../../../src/twotick/web/static/app/model/messages.js";
import { reduce, START } from "../../../src/twotick/web/static/app/model/state.js";
import { visible } from "../../../src/twotick/web/static/app/model/names.js";
import { bounded, emptyWindow, MOST, withMessages, withNewer, withOlder } from "../../../src/twotick/web/static/app/model/window.js";
import { Decoder } from "../../../src/twotick/web/static/app/protocol/frames.js";
import { toBytes } from "../../../src/twotick/web/static/app/protocol/words.js";

const frame = (text) => new Decoder().feed(toBytes(text))[0];
const message = (place, more = {}) => newMessage({ conversation: "bob", uid: `bob ${place}`, id: String(place), sender: "bob", place, ...more });
const random = (() => {
  let state = 12345;
  return (below) => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % below;
})();

const TAGS = { strong: "strong", emphasis: "em", code: "code", link: "a", mention: "mention" };
function shown(text) {
  return formatText(text)
    .filter(({ kind }) => kind !== "fence")
    .map(({ kind, pieces }) => {
      const parts = pieces.filter(({ style }) => style !== "mark").map((piece) => {
        const tags = [piece.within, piece.style].filter((each, n, all) => each && all.indexOf(each) === n && (kind !== "code" || each !== "code"));
        return tags.reduceRight((inner, tag) => `<${TAGS[tag]}>${inner}</${TAGS[tag]}>`, piece.text);
      }).join("");
      return kind === "quote" ? `<blockquote>${parts}</blockquote>` : kind === "code" ? `<pre>${parts}</pre>` : parts;
    });
}

test("messages are formatted as docs/formatting.md says", () => {
  const page = readFileSync(new URL("../../../docs/formatting.md", import.meta.url), "utf8");
  const blocks = [...page.matchAll(/^```text\n([^]*?)\n```$/gm)].map((each) => each[1]);
  let cases = 0;
  for (const block of blocks) {
    if (!block.startsWith("typed:")) {
      for (const line of block.split("\n")) assert.deepEqual(formatText(line).map(({ pieces }) => pieces.filter(({ style }) => !["mention", "link", ""].includes(style))), [[]], line);
      continue;
    }
    for (const each of block.split("\n\n")) {
      const lines = (prefix) => each.split("\n").filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length));
      assert.deepEqual(shown(lines("typed:  ").join("\n")), lines("shown:  "));
      cases++;
    }
  }
  assert(cases >= 15, `${cases}`);
});

test("formatting loses no character, whatever it is given", () => {
  const letters = ["*", "_", "`", "```", "> ", "\n", "@bob", "https://a.b/(c)", " ", "x", "é", "🎉", ")", "."];
  for (let n = 0; n < 2000; n++) {
    const text = Array.from({ length: random(14) }, () => letters[random(letters.length)]).join("");
    assert.equal(formatText(text).map(({ pieces }) => pieces.map((each) => each.text).join("")).join("\n"), text);
  }
});

test("what is hidden in a text is shown", () => {
  assert.equal(visible("a\u202eb\u0000c\u200bd"), "a<U+202E>b<U+0000>c<U+200B>d");
  assert.equal(visible("plain\nté 好 👩‍👩‍👧"), "plain\nté 好 👩‍👩‍👧");
  assert(visible(`a${"\u0301".repeat(50)}`).length < 10);
});

test("ticks never go back, and a failure stays", () => {
  const states = ["waiting", "accepted", "delivered", "read", "failed"];
  for (let n = 0; n < 500; n++) {
    let now = message(1, { outgoing: true, state: "waiting" });
    let highest = 0;
    for (let step = 0; step < 6; step++) {
      const next = random(states.length);
      now = withState(now, states[next], "why");
      highest = Math.max(highest, next);
      assert.equal(now.state, states[highest]);
    }
  }
  const t = (key, values = {}) => `${key} ${values.have ?? ""}${values.reason ?? ""}`;
  assert.equal(stateText(message(1, { state: "accepted", have: 3, of: 7 }), t), "state.progress 3");
  assert.equal(stateText(message(1, { state: "failed", reason: "no" }), t), "state.failed no");
});

test("changes have the same result in any order", () => {
  for (let n = 0; n < 300; n++) {
    const changes = Array.from({ length: 6 }, (_, at) => {
      const kind = ["edit", "react", "react"][random(3)];
      return { kind, by: kind === "edit" ? "bob" : ["carol", "dave"][random(2)], body: `${random(5)}`, place: at + 2, time: at };
    });
    const apply = (all) => all.reduce(changed, message(1, { text: "first" }));
    const other = changes.slice().sort(() => random(3) - 1);
    const [one, two] = [apply(changes), apply(other)];
    assert.deepEqual([one.text, new Map(reactionsOf(one))], [two.text, new Map(reactionsOf(two))]);
  }
  assert.equal(changed(changed(message(1, { text: "x" }), { kind: "delete", by: "bob", body: "", place: 5, time: 9 }), { kind: "edit", by: "bob", body: "y", place: 6, time: 10 }).text, "");
});

test("a change that is taken back leaves the ticks", () => {
  const before = message(1, { text: "x", state: "accepted", outgoing: true });
  const deleted = changed(before, { kind: "delete", by: "bob", body: "", place: 2, time: 9 });
  const back = restored(withState(deleted, "read"), before);
  assert.deepEqual([back.text, back.deleted, back.state], ["x", 0, "read"]);
});

test("a message that comes again keeps what is known", () => {
  const mine = message(WAITING, { outgoing: true, state: "read", order: 7 });
  const theirs = message(9, { outgoing: true, state: "accepted", seq: 9 });
  const joined = merged(mine, theirs);
  assert.deepEqual([joined.place, joined.order, joined.state, joined.seq], [9, 0, "read", 9]);
});

test("a window is bounded, in order, and never has a message twice", () => {
  let window = { ...emptyWindow("bob"), atNewest: true };
  for (let n = 0; n < 400; n++) {
    const first = window.messages[0]?.place ?? 5000;
    const last = window.messages.at(-1)?.place ?? 5000;
    const choice = random(4);
    if (choice === 0) window = withOlder(window, Array.from({ length: 60 }, (_, at) => message(first - 60 + at)), false);
    else if (choice === 1) window = withNewer(window, Array.from({ length: 60 }, (_, at) => message(last + at)), false);
    else if (choice === 2) window = withMessages(window, [message(last + 1), message(last, { text: "changed" })]);
    else window = bounded(window, window.messages[random(window.messages.length + 1)]?.uid ?? "");
    assert(window.messages.length <= MOST + 60);
    assert.deepEqual(window.messages, [...new Map(window.messages.map((each) => [each.uid, each])).values()].sort(compare));
  }
  assert.equal(withMessages(window, [message(1, { conversation: "eve" })]), window);
});

test("a window stays small while messages come, around what the user looks at", () => {
  for (const looked of [0, 30, 239]) {
    const many = Array.from({ length: 240 }, (_, at) => message(at + 1));
    let state = { ...START, window: { ...emptyWindow("bob"), messages: many, atOldest: true } };
    const looking = looked < 239 ? many[looked].uid : "";
    for (let place = 241; place <= 2000; place++) {
      state = reduce(state, { kind: "put", messages: [message(place)], conversations: [], looking });
      assert(state.window.messages.length <= 300);
    }
    const { messages, atOldest, atNewest } = state.window;
    if (looking) assert(messages.some((each) => each.uid === looking));
    assert.deepEqual([atOldest, atNewest], looking ? [true, false] : [false, true]);
    assert.equal(messages.at(-1).place === 2000, !looking);
    assert.deepEqual(messages.map((each) => each.place), messages.map((_, at) => messages[0].place + at));
  }
});

test("entries of the log become messages", () => {
  const [name, given] = messageOf(frame("FORWARD bob\nContent-length: 7\nTo: #team\nPlace: 4\nId: m1\nSeq: 3\nTime: 2026-11-22T09:30:00.123Z\nReply-to: alice m0\n\nhi @Al!"), "al", 0);
  assert.equal(name, "#team");
  assert.deepEqual([given.conversation, given.uid, given.place, given.seq, given.text, given.mention, given.outgoing, given.state], ["#team", "bob m1", 4, 3, "hi @Al!", true, false, ""]);
  const late = "FORWARD bob\nContent-length: 0\nId: m1\nSeq: 3\nTime: 2020-01-01T00:00:00.000Z\nAccepted: 2026-11-22T09:30:00.123Z";
  assert.equal(messageOf(frame(`${late}\n\n`), "al", 0)[1].time, given.time); // and not when its sender wrote it
  assert.equal(changeOf(frame(`${late}\nReacts-to: al m0\n\n`), "al", 0).change.time, given.time);
  const [, own] = messageOf(frame("FORWARD al\nContent-length: 2\nTo: bob\nId: m2\nSeq: 5\nState: read\n\nyo"), "Al", 0);
  assert.deepEqual([own.conversation, own.outgoing, own.state, own.place], ["bob", true, "read", 5]);
  assert.equal(messageOf(frame("FORWARD al\nContent-length: 2\nId: m2\nSeq: 5\n\nyo"), "al", 0), null);
  for (const bad of ["FORWARD <b>\nContent-length: 0\nSeq: 1\n\n", "FORWARD bob\nContent-length: 0\nTo: #<x>\nSeq: 1\n\n"]) assert.equal(messageOf(frame(bad), "al", 0), null);
  const { change, uid } = changeOf(frame("FORWARD bob\nContent-length: 3\nSeq: 6\nId: m3\nEdits: m1\n\nnew"), "al", 0);
  assert.deepEqual([change.kind, change.body, uid], ["edit", "new", "bob m1"]);
  // In a conversation of two, users change only what they wrote.
  assert.equal(changeOf(frame("FORWARD bob\nContent-length: 0\nSeq: 7\nId: m4\nDeletes: al m2\n\n"), "al", 0).uid, "bob m2");
});

test("an event says only what has changed", () => {
  const eventOf = (headers) => messageOf(frame(`FORWARD bob\nContent-length: 0\nTo: #team\nPlace: 4\nSeq: 3\nEvent: changed\n${headers}\n\n`), "al", 0)[1].event;
  assert.deepEqual([eventOf("Access: private\nGuests: no").topic, eventOf("Topic: ").topic, eventOf("Topic: tea").topic], [null, "", "tea"]);
  assert.deepEqual([eventOf("Access: private\nGuests: no").guests, eventOf("Guests: yes").guests, eventOf("Topic: tea").guests], ["no", "yes", ""]);
});

test("a guest's message is never that of a member who has the name now", () => {
  const taken = (more, to = "#team") => messageOf(frame(`FORWARD ann\nContent-length: 2\nTo: ${to}\nPlace: 4\nId: m1\nSeq: 3\n${more}\nhi`), "ann", 0)[1];
  const [guests, members] = [taken("Guest: yes\n"), taken("")];
  assert.deepEqual([guests.guest, guests.outgoing, guests.uid], [true, false, "ann m1 guest"]);
  assert.deepEqual([members.guest, members.outgoing, members.uid], [false, true, "ann m1"]);
  assert.equal(merged({ ...guests, deleted: 0 }, taken("Guest: yes\nDeleted: 2026-11-22T09:30:00Z\n")).guest, true);
  const change = (by) => ({ kind: "react", by, body: "+", place: 9, time: 0 });
  const state = (messages) => ({ ...START, window: { ...emptyWindow("#team"), messages } });
  const shown = (messages, by) => reduce(state(messages), { kind: "changed", conversation: "#team", uid: "ann m1", change: change(by) })
    .window.messages.map((each) => Object.keys(each.reactions));
  assert.deepEqual(shown([guests, members], "bob"), [[], ["bob"]]);
  assert.deepEqual(shown([guests], "bob"), [["bob"]]);
  assert.deepEqual(shown([guests], "Ann"), [[]]); // a member means what a member has sent
});

test("conversations are listed by what happened last", () => {
  const make = (name, more) => ({ ...newConversation(name), ...more });
  const all = [make("a", { recency: 1 }), make("b", { recency: 3 }), make("c", { recency: 2, pinned: true }), make("d", { recency: 9, closed: true })];
  assert.deepEqual(listed(all, "").map((each) => each.name), ["c", "b", "a"]);
  assert(mentions("hi @Bob.", "bob") && !mentions("a@bob", "bob") && !mentions("@bobby", "bob"));
});

test("a user or a conversation can have any name that the protocol allows, such as constructor", () => {
  const given = { bob: "x" };
  const actions = [
    { kind: "started", conversations: [newConversation("bob")], drafts: given },
    { kind: "put", messages: [], conversations: [newConversation("eve")] },
    { kind: "presence", presence: given }, { kind: "profiles", profiles: given },
    { kind: "typing", conversation: "bob", name: "bob", until: 1 },
    { kind: "transfer", uid: "bob m", done: 1, total: 2 }, { kind: "draft", key: "bob", text: "x" },
  ];
  let state = START;
  for (const action of [...actions, ...actions]) {
    state = reduce(state, action);
    for (const name of ["conversations", "presence", "profiles", "typing", "transfers", "drafts"])
      for (const key of ["constructor", "toString", "__proto__"]) assert.equal(state[name][key], undefined, `${name} ${key}`);
  }
  assert.deepEqual(Object.keys(state.conversations), ["bob", "eve"]);
});
