import assert from "node:assert/strict";
import { test } from "node:test";

Object.assign(globalThis, { AudioWorkletProcessor: class {}, registerProcessor() {}, sampleRate: 48000 });
const { PlaybackBuffer } = await import("../src/playback-worklet.js");

const RATE = 1000;

/** @param {InstanceType<typeof PlaybackBuffer>} buffer @param {number} count */
function pull(buffer, count) {
  const output = new Float32Array(count);
  buffer.pull(output);
  return [...output];
}

/** @param {number} count @param {number} value */
const ones = (count, value = 1) => new Float32Array(count).fill(value);

test("playing begins when the target is reached", () => {
  const buffer = new PlaybackBuffer(RATE);
  buffer.push(ones(40));
  assert.deepEqual(pull(buffer, 10), [...ones(10, 0)]);
  buffer.push(ones(40));
  assert.deepEqual(pull(buffer, 10), [...ones(10)]);
});

test("a reply shorter than the target is played after that time", () => {
  const buffer = new PlaybackBuffer(RATE);
  buffer.push(ones(5));
  let heard = 0;
  for (let i = 0; i < 10; i++) heard += pull(buffer, 10).filter(Boolean).length;
  assert.equal(heard, 5);
});

test("nothing is lost or repeated over chunks of any size", () => {
  const buffer = new PlaybackBuffer(RATE);
  const sent = Float32Array.from({ length: 500 }, (_, i) => i + 1);
  for (let at = 0; at < 500; at += 17) buffer.push(sent.slice(at, at + 17));
  /** @type {number[]} */
  const heard = [];
  for (let i = 0; i < 60; i++) heard.push(...pull(buffer, 9));
  assert.deepEqual(heard.filter(Boolean), [...sent]);
});

test("clear silences at once, with a fade of at most 128 samples", () => {
  const buffer = new PlaybackBuffer(RATE);
  buffer.push(ones(1000));
  pull(buffer, 100);
  buffer.clear();
  const after = pull(buffer, 400);
  assert.ok(after.slice(128).every((sample) => sample === 0));
  assert.ok(after.slice(0, 128).every((sample, i, all) => i === 0 || sample < all[i - 1]));
  assert.equal(buffer.queuedMs, 0);
});

test("after clear only new audio is played", () => {
  const buffer = new PlaybackBuffer(RATE);
  buffer.push(ones(1000, 0.25));
  buffer.clear();
  buffer.push(ones(100, 0.75));
  const heard = pull(buffer, 100).filter(Boolean);
  assert.deepEqual(heard, [...ones(100, 0.75)]);
});

test("a gap in a reply makes the buffer longer, a clean reply shorter again", () => {
  const buffer = new PlaybackBuffer(RATE);
  const before = buffer.targetMs;
  buffer.push(ones(60));
  pull(buffer, 80);
  buffer.push(ones(100));
  const grown = buffer.targetMs;
  assert.ok(grown > before);
  for (let reply = 0; reply < 3; reply++) {
    pull(buffer, 200);
    for (let i = 0; i < 40; i++) pull(buffer, 10);
    buffer.push(ones(200));
    pull(buffer, 100);
  }
  assert.ok(buffer.targetMs < grown);
});

test("the tail of a reply is late on purpose and is no gap", () => {
  const buffer = new PlaybackBuffer(RATE);
  buffer.push(ones(60));
  const before = buffer.targetMs;
  pull(buffer, 80);
  buffer.push(ones(1), true);
  assert.equal(buffer.targetMs, before);
});

test("what was played is counted by turn", () => {
  const buffer = new PlaybackBuffer(RATE);
  buffer.startTurn(1);
  buffer.push(ones(100));
  buffer.startTurn(2);
  buffer.push(ones(100));
  pull(buffer, 60);
  assert.deepEqual(buffer.played, { turn: 1, samples: 60 });
  pull(buffer, 60);
  assert.deepEqual(buffer.played, { turn: 2, samples: 20 });
});

test("a server that sends hours is cut off at two minutes", () => {
  const buffer = new PlaybackBuffer(RATE);
  for (let i = 0; i < 200; i++) buffer.push(ones(RATE));
  assert.ok(buffer.queuedMs <= 121_000);
});
