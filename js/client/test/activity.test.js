import assert from "node:assert/strict";
import { test } from "node:test";

import { afterEvent, afterLog } from "../src/activity.js";

/** @typedef {import("../src/activity.js").Activity} Activity */
/** @typedef {import("../src/messages.js").SessionEvent} SessionEvent */

/** @type {Record<string, object>} */
const FIELDS = { reply_interrupted: { reason: "user" } };

/** @param {Activity} start @param {string[]} names */
function play(start, ...names) {
  /** @type {Activity[]} */
  const seen = [];
  let activity = start;
  for (const name of names) {
    const event = /** @type {SessionEvent} */ (/** @type {unknown} */ ({ name, turn: 1, at_s: 0, ...FIELDS[name] }));
    activity = afterEvent(activity, event);
    seen.push(activity);
  }
  return seen;
}

test("an undisturbed turn", () => {
  assert.deepEqual(
    play("connecting", "session_started", "user_started_speaking", "user_stopped_speaking", "turn_committed",
      "reply_started", "first_audio", "playback_finished"),
    ["listening", "speaking", "paused", "thinking", "thinking", "replying", "listening"],
  );
});

test("a sound over the reply holds it, then it goes on", () => {
  assert.deepEqual(
    play("replying", "user_started_speaking", "reply_held", "user_stopped_speaking", "reply_resumed", "playback_finished"),
    ["replying", "held", "held", "replying", "listening"],
  );
});

test("speech over the reply interrupts it, and is a turn of its own", () => {
  assert.deepEqual(
    play("replying", "user_started_speaking", "reply_held", "reply_interrupted", "user_stopped_speaking", "turn_committed"),
    ["replying", "held", "interrupted", "paused", "thinking"],
  );
});

test("a reply that is stopped by a button leaves a listening session", () => {
  const event = /** @type {SessionEvent} */ ({ name: "reply_interrupted", turn: 1, at_s: 0, heard_s: 1, reason: "stopped" });
  assert.equal(afterEvent("replying", event), "listening");
});

test("what was taken back leaves a listening session, and a reply as it is", () => {
  assert.deepEqual(play("listening", "user_started_speaking", "turn_discarded"), ["speaking", "listening"]);
  const blip = play("listening", "user_started_speaking", "user_stopped_speaking", "turn_discarded");
  assert.deepEqual(blip, ["speaking", "paused", "listening"]);
  assert.deepEqual(play("replying", "playback_started", "turn_discarded"), ["replying", "replying"]);
});

test("a handler that fails gives the word back", () => {
  assert.deepEqual(play("thinking", "handler_failed"), ["listening"]);
  assert.deepEqual(play("speaking", "handler_failed"), ["speaking"]);
});

test("the end is the end", () => {
  assert.deepEqual(play("ended", "session_started", "first_audio"), ["ended", "ended"]);
});

test("log messages alone give the outline", () => {
  assert.equal(afterLog("listening", "started_talking"), "speaking");
  assert.equal(afterLog("speaking", "pause_detected"), "thinking");
  assert.equal(afterLog("thinking", "response_starting"), "replying");
  assert.equal(afterLog("listening", "Server received: hello"), "listening");
  assert.equal(afterLog("ended", "started_talking"), "ended");
});
