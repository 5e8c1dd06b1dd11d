import assert from "node:assert/strict";
import { test } from "node:test";

import { Resampler } from "../src/resampler.js";

/** @param {number} hz @param {number} rate @param {number} seconds */
const sine = (hz, rate, seconds) =>
  Float32Array.from({ length: Math.round(rate * seconds) }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hz * i) / rate));

/** @param {Resampler} resampler @param {Float32Array} samples @param {number} size */
function stream(resampler, samples, size) {
  /** @type {number[]} */
  const output = [];
  for (let at = 0; at < samples.length; at += size) output.push(...resampler.process(samples.subarray(at, at + size)));
  return output;
}

for (const [from, to] of [[48000, 16000], [48000, 24000], [44100, 24000], [24000, 48000], [8000, 44100], [48000, 48000]]) {
  test(`a sine from ${from} to ${to} Hz stays where it is`, () => {
    const output = stream(new Resampler(from, to), sine(1000, from, 1), from / 50);
    const expected = sine(1000, to, 1);
    const lookahead = Math.ceil((to / from) * 17 * Math.max(1, from / to)) + 1;
    assert.ok(output.length >= to - lookahead && output.length <= to, `${output.length} samples`);
    for (let i = 200; i < output.length; i++) {
      assert.ok(Math.abs(output[i] - expected[i]) < 2e-3, `sample ${i}: ${output[i]} for ${expected[i]}`);
    }
  });
}

test("the size of the frames makes no difference", () => {
  const input = sine(700, 44100, 0.3);
  const whole = stream(new Resampler(44100, 16000), input, input.length);
  const odd = stream(new Resampler(44100, 16000), input, 97);
  assert.equal(odd.length, whole.length);
  assert.ok(odd.every((sample, i) => Math.abs(sample - whole[i]) < 1e-6));
});

test("what the lower rate cannot carry is removed", () => {
  const output = stream(new Resampler(48000, 16000), sine(11000, 48000, 0.5), 960).slice(300);
  assert.ok(Math.max(...output.map(Math.abs)) < 0.001);
});

test("flush gives the rest, so that every sample is accounted for", () => {
  for (const [from, to] of [[24000, 48000], [8000, 44100], [48000, 16000], [44100, 24000]]) {
    const resampler = new Resampler(from, to);
    const streamed = stream(resampler, sine(500, from, 0.3), from / 50);
    assert.equal(streamed.length + resampler.flush().length, Math.ceil(to * 0.3));
    assert.deepEqual(resampler.process(sine(500, from, 0.1)), new Resampler(from, to).process(sine(500, from, 0.1)));
  }
});

test("reset forgets the past", () => {
  const resampler = new Resampler(24000, 48000);
  const first = resampler.process(sine(500, 24000, 0.1));
  resampler.reset();
  assert.deepEqual(resampler.process(sine(500, 24000, 0.1)), first);
});
