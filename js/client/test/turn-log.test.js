import assert from "node:assert/strict";
import { test } from "node:test";

import { EMPTY_LOG, MAX_OUTPUTS, MAX_TURNS, withEnd, withEvent, withOutput, withTyped } from "../src/turn-log.js";

/** @typedef {import("../src/messages.js").SessionEvent} SessionEvent */

/** @param {object[]} events */
function fold(...events) {
  let log = EMPTY_LOG;
  for (const event of events) log = withEvent(log, /** @type {SessionEvent} */ (event));
  return log;
}

const STARTED = { name: "session_started", at_s: 0 };
const COMMITTED = { name: "turn_committed", turn: 1, at_s: 3, start_s: 1, end_s: 2.5, reason: "silence", probability: null };
const FIRST_AUDIO = {
  name: "first_audio", turn: 1, at_s: 3.1, latency_ms: { decision: 300, call: 2, first_yield: 80, total: 382 },
};

test("a turn from commit to the last sample", () => {
  const { turns } = fold(STARTED, COMMITTED, FIRST_AUDIO, { name: "playback_finished", turn: 1, at_s: 5, heard_s: 1.5 });
  assert.deepEqual(turns, [
    {
      key: "1:1", turn: 1, index: 1, reason: "silence", spokenS: 1.5, text: null, transcript: null, status: "done",
      latencyMs: FIRST_AUDIO.latency_ms, heardS: 1.5, outputs: [], error: null,
    },
  ]);
});

test("the wait lasts until the reply is heard, where the server tells", () => {
  const latency_ms = { ...FIRST_AUDIO.latency_ms, playout: 60, total: 442 };
  const heard = { name: "playback_started", turn: 1, at_s: 3.2, latency_ms, acknowledged: true };
  assert.deepEqual(fold(STARTED, COMMITTED, FIRST_AUDIO, heard).turns[0].latencyMs, latency_ms);
});

test("what was taken back is no part of the turn that follows", () => {
  const onset = (/** @type {number} */ at) => ({ name: "user_started_speaking", at_s: at, onset_s: at });
  const turns = fold(STARTED, onset(1.1), { name: "turn_discarded", at_s: 1.8, reason: "requested" }, onset(2), COMMITTED).turns;
  assert.equal(turns[0].spokenS, 0.5);
});

test("what was spoken counts from the first sound, not from the audio kept before it", () => {
  const onset = (/** @type {number} */ at) => ({ name: "user_started_speaking", at_s: at, onset_s: at });
  assert.equal(fold(STARTED, onset(0.2), onset(1.5), onset(2.1), COMMITTED).turns[0].spokenS, 1);
  assert.equal(fold(STARTED, onset(0.2), COMMITTED).turns[0].spokenS, 1.5);
});

test("the final transcript belongs to its turn; partial ones and those that came to nothing to none", () => {
  const said = { name: "user_transcript", at_s: 3, start_s: 1, end_s: 2.5 };
  const partial = { ...said, text: "turn on", final: false, turn: null };
  const nothing = { ...said, text: "", final: true, turn: null };
  const final = { ...said, text: "turn on the lights", final: true, turn: 1 };
  assert.equal(fold(STARTED, partial, COMMITTED, partial, nothing).turns[0].transcript, null);
  assert.equal(fold(STARTED, partial, COMMITTED, final).turns[0].transcript, "turn on the lights");
});

test("held, resumed, interrupted", () => {
  const at = { turn: 1, at_s: 4 };
  const held = fold(STARTED, COMMITTED, FIRST_AUDIO, { name: "reply_held", ...at });
  assert.equal(held.turns[0].status, "held");
  const resumed = withEvent(held, { name: "reply_resumed", ...at });
  assert.equal(resumed.turns[0].status, "replying");
  const cut = withEvent(resumed, { name: "reply_interrupted", ...at, heard_s: 0.7, reason: "user" });
  assert.equal(cut.turns[0].status, "interrupted");
  assert.equal(cut.turns[0].heardS, 0.7);
  assert.equal(held.turns[0].status, "held", "older logs do not change");
});

test("a failure belongs to its turn, or to none", () => {
  const failed = fold(STARTED, COMMITTED, { name: "handler_failed", turn: 1, at_s: 4, message: "ValueError: no" });
  assert.equal(failed.turns[0].status, "failed");
  assert.equal(failed.turns[0].error, "ValueError: no");
  const after = withEvent(failed, { name: "playback_finished", turn: 1, at_s: 5, heard_s: 0.4 });
  assert.deepEqual([after.turns[0].status, after.turns[0].heardS], ["failed", 0.4]);
  assert.equal(fold(STARTED, { name: "handler_failed", turn: null, at_s: 4, message: "x" }).turns.length, 0);
});

test("typed text is found again in its turn", () => {
  const typed = withTyped(withTyped(fold(STARTED), "first"), "second");
  const log = withEvent(typed, /** @type {SessionEvent} */ ({ ...COMMITTED, reason: "text" }));
  assert.equal(log.turns[0].text, "first");
  assert.equal(log.turns[0].spokenS, 0);
  assert.deepEqual(log.typed, ["second"]);
});

test("text that is typed as soon as the connection is open is not forgotten when the session has started", () => {
  const log = withEvent(withTyped(EMPTY_LOG, "early"), /** @type {SessionEvent} */ (STARTED));
  assert.equal(withEvent(log, /** @type {SessionEvent} */ ({ ...COMMITTED, reason: "text" })).turns[0].text, "early");
});

test("text that was typed before the connection broke belongs to no turn after it", () => {
  const log = withEvent(withEnd(withTyped(fold(STARTED), "lost")), /** @type {SessionEvent} */ (STARTED));
  assert.equal(withEvent(log, /** @type {SessionEvent} */ ({ ...COMMITTED, reason: "text" })).turns[0].text, "");
});

test("outputs go to the turn that is being answered", () => {
  const log = withOutput(withOutput(fold(STARTED, COMMITTED), ["a"]), [{ b: 1 }]);
  assert.deepEqual(log.turns[0].outputs, [["a"], [{ b: 1 }]]);
  assert.equal(withOutput(EMPTY_LOG, ["a"]), EMPTY_LOG);
});

test("after a reconnection turns count from 1 again and stay apart", () => {
  const { turns } = fold(STARTED, COMMITTED, STARTED, COMMITTED, FIRST_AUDIO);
  assert.deepEqual(turns.map(({ key, status }) => [key, status]), [["1:1", "lost"], ["2:1", "replying"]]);
});

test("of a call that does not end the newest turns are kept, and still counted", () => {
  let log = fold(STARTED);
  for (let turn = 1; turn <= MAX_TURNS + 50; turn++) {
    log = withEvent(log, /** @type {SessionEvent} */ ({ ...COMMITTED, turn }));
  }
  assert.equal(log.turns.length, MAX_TURNS);
  assert.deepEqual([log.turns[0].index, log.turns.at(-1)?.index, log.turns.at(-1)?.turn], [51, MAX_TURNS + 50, MAX_TURNS + 50]);
});

test("of a turn that does not end the newest outputs are kept", () => {
  let log = fold(STARTED, COMMITTED);
  for (let number = 0; number < MAX_OUTPUTS + 5; number++) log = withOutput(log, [number]);
  assert.equal(log.turns[0].outputs.length, MAX_OUTPUTS);
  assert.deepEqual(log.turns[0].outputs[0], [5]);
});

test("sounds that never become a turn do not pile up", () => {
  let log = fold(STARTED);
  for (let at = 0; at < 1000; at++) {
    log = withEvent(log, /** @type {SessionEvent} */ ({ name: "user_started_speaking", at_s: at, onset_s: at }));
    log = withTyped(log, "unanswered");
  }
  assert.ok(log.onsets.length <= 100 && log.typed.length <= 100);
  assert.equal(log.onsets.at(-1), 999);
});

test("at the end of the call nothing is going on any more", () => {
  const finished = { name: "playback_finished", turn: 1, at_s: 5, heard_s: 1.5 };
  const log = fold(STARTED, COMMITTED, FIRST_AUDIO, finished, { ...COMMITTED, turn: 2 });
  assert.deepEqual(withEnd(log).turns.map(({ status }) => status), ["done", "lost"]);
  assert.equal(withEnd(EMPTY_LOG), EMPTY_LOG);
});
