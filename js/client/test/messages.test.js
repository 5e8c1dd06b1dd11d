import assert from "node:assert/strict";
import { test } from "node:test";

import { ClientError } from "../src/errors.js";
import { build, parseMessage, parseSocketMessage } from "../src/messages.js";

test("messages of FastRTC are read", () => {
  assert.deepEqual(parseMessage('{"type":"send_input","data":[]}'), { type: "send_input", data: [] });
  assert.deepEqual(parseMessage('{"type":"fetch_output","data":[]}'), { type: "fetch_output", data: [] });
  assert.deepEqual(parseMessage('{"type":"log","data":"pause_detected"}'), { type: "log", data: "pause_detected" });
  assert.deepEqual(parseMessage('{"type":"end_stream","data":"done"}'), { type: "end_stream", data: "done" });
  assert.deepEqual(parseMessage('{"type":"error","message":"no"}'), { type: "error", message: "no" });
  assert.deepEqual(parseMessage('{"type":"warning","data":"old form"}'), { type: "warning", message: "old form" });
});

test("hello, events and outputs are read", () => {
  const hello = { version: 1, session_id: "a", input_sample_rate: 48000, output_sample_rate: 24000 };
  assert.deepEqual(parseMessage(JSON.stringify({ type: "hello", data: hello })), { type: "hello", data: hello });
  const event = { name: "reply_started", turn: 1, at_s: 2.5 };
  assert.deepEqual(parseMessage(JSON.stringify({ type: "event", data: event })), { type: "event", data: event });
  assert.deepEqual(parseMessage('{"type":"output","data":[1,"two"]}'), { type: "output", data: [1, "two"] });
  assert.deepEqual(parseMessage('{"type":"output","data":7}'), { type: "output", data: [7] });
});

test("transcripts are read", () => {
  const data = { text: "turn on", final: false, turn: null, start_s: 1, end_s: 1.5 };
  assert.deepEqual(parseMessage(JSON.stringify({ type: "transcript", data })), { type: "transcript", data });
  assert.equal(parseMessage('{"type":"transcript","data":{"text":"turn on"}}').type, "unknown");
  assert.equal(parseMessage('{"type":"transcript","data":"an application\'s own"}').type, "unknown");
});

test("what this version does not know is passed over", () => {
  assert.equal(parseMessage('{"type":"later"}').type, "unknown");
  assert.equal(parseMessage('{"type":"hello","data":{"input_sample_rate":"no"}}').type, "unknown");
  assert.equal(parseMessage('{"type":"event","data":{"turn":1}}').type, "unknown");
  assert.equal(parseMessage('{"any":"application message"}').type, "unknown");
});

test("what is not a JSON object is an error with a code", () => {
  for (const text of ["", "handshake", "[1]", "null", "3"]) {
    assert.throws(() => parseMessage(text), (error) => error instanceof ClientError && error.code === "bad_message");
  }
});

test("socket frames are read", () => {
  assert.deepEqual(parseSocketMessage('{"event":"media","media":{"payload":"/w=="}}'), { event: "media", payload: "/w==" });
  for (const event of ["clear", "ping", "pong", "stop"]) {
    assert.deepEqual(parseSocketMessage(JSON.stringify({ event })), { event });
  }
  assert.deepEqual(parseSocketMessage('{"type":"log","data":"x"}'), { event: "message", message: { type: "log", data: "x" } });
  assert.throws(() => parseSocketMessage('{"event":"media","media":{}}'), ClientError);
});

test("a refusal over the socket carries its code", () => {
  const refused = parseSocketMessage('{"status":"failed","meta":{"error":"concurrency_limit_reached","limit":3}}');
  assert.deepEqual(refused, {
    event: "refused",
    error: "concurrency_limit_reached",
    meta: { error: "concurrency_limit_reached", limit: 3 },
  });
});

test("what is sent has the form that servers expect", () => {
  assert.deepEqual(JSON.parse(build.hello()), { type: "hello", data: { version: 1, events: true } });
  assert.deepEqual(JSON.parse(build.offer("v=0", "id")), { sdp: "v=0", type: "offer", webrtc_id: "id" });
  assert.deepEqual(JSON.parse(build.candidate({ candidate: "candidate:1" }, "id")), {
    type: "ice-candidate",
    candidate: { candidate: "candidate:1" },
    webrtc_id: "id",
  });
  assert.deepEqual(JSON.parse(build.socketStart("id")), { event: "start", websocket_id: "id", hello: true });
  assert.deepEqual(JSON.parse(build.playout(3, 420.04)), { type: "playout", data: { turn: 3, played_ms: 420 } });
  assert.deepEqual(JSON.parse(build.input([1, "a"])), { type: "input", data: [1, "a"] });
  assert.deepEqual(JSON.parse(build.mute(true)), { type: "mute", data: true });
  assert.deepEqual(JSON.parse(build.text("hi")), { type: "text", data: "hi" });
});
