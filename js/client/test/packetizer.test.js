import assert from "node:assert/strict";
import { test } from "node:test";

import { Packetizer } from "../src/packetizer.js";

const FRAME = 160;
const HANGOVER = 100;

/** @param {number} frames @param {number} amplitude @param {number} [phase] */
const tone = (frames, amplitude, phase = 0) =>
  Float32Array.from({ length: frames * FRAME }, (_, i) => amplitude * Math.sin(0.3 * (i + phase)));

/** @param {Packetizer} packetizer @param {Float32Array} samples */
const sizes = (packetizer, samples) => packetizer.push(samples).map((packet) => packet.length / FRAME);

test("a quiet room sends ten frames at a time", () => {
  const packetizer = new Packetizer(FRAME);
  sizes(packetizer, tone(HANGOVER + 9, 0.001));
  assert.deepEqual(new Set(sizes(packetizer, tone(100, 0.001))), new Set([10]));
});

test("a sound goes out at once, with what waited", () => {
  const packetizer = new Packetizer(FRAME);
  sizes(packetizer, tone(HANGOVER + 9, 0.001));
  assert.deepEqual(sizes(packetizer, tone(4, 0.001)), []);
  assert.deepEqual(sizes(packetizer, tone(3, 0.1)), [5, 1, 1]);
});

test("the pause after speech is sent frame by frame", () => {
  const packetizer = new Packetizer(FRAME);
  sizes(packetizer, tone(HANGOVER + 9, 0.001));
  sizes(packetizer, tone(25, 0.1));
  assert.deepEqual(sizes(packetizer, tone(HANGOVER - 1, 0.001)), Array(HANGOVER - 1).fill(1));
});

test("every sample is sent once and in order, whatever the size of what comes", () => {
  const packetizer = new Packetizer(FRAME);
  const samples = tone(250, 0.001);
  /** @type {number[]} */
  const sent = [];
  for (let at = 0, size = 1; at < samples.length; at += size, size = (size * 7) % 1013) {
    for (const packet of packetizer.push(samples.subarray(at, at + size))) sent.push(...packet);
  }
  assert.ok(samples.length - sent.length < 11 * FRAME);
  assert.deepEqual(sent, [...samples.subarray(0, sent.length)]);
});
