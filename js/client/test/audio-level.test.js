import assert from "node:assert/strict";
import { test } from "node:test";

import { meterLevel } from "../src/audio-level.js";

test("silence is 0, loud speech 1, and louder is never less", () => {
  assert.equal(meterLevel(new Float32Array(100)), 0);
  assert.equal(meterLevel(new Float32Array(100).fill(0.0005)), 0);
  assert.equal(meterLevel(new Float32Array(100).fill(0.5)), 1);
  let last = 0;
  for (let amplitude = 0.001; amplitude < 1; amplitude *= 1.2) {
    const level = meterLevel(new Float32Array(100).fill(amplitude));
    assert.ok(level >= last && level <= 1);
    last = level;
  }
});

test("the scale is in decibels", () => {
  const level = meterLevel(new Float32Array(100).fill(10 ** (-34.5 / 20)));
  assert.ok(Math.abs(level - 0.5) < 1e-6);
});
