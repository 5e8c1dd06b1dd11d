import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeMulaw, encodeMulaw, fromBase64, toBase64 } from "../src/g711.js";

test("values of the G.711 table", () => {
  // Codes and 16-bit samples of table 2a/G.711, scaled from 14 bits.
  const table = new Map([[0xff, 0], [0x7f, 0], [0x80, 32124], [0x00, -32124], [0xf0, 120], [0x70, -120], [0xef, 132]]);
  for (const [code, sample] of table) {
    assert.equal(Math.round(decodeMulaw(Uint8Array.of(code))[0] * 32768) + 0, sample);
  }
});

test("every code survives decoding and encoding, but for the two zeros", () => {
  const codes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const again = encodeMulaw(decodeMulaw(codes));
  for (let code = 0; code < 256; code++) assert.equal(again[code], code === 0x7f ? 0xff : code);
});

test("quantisation error stays within half a step", () => {
  for (let sample = -32124; sample <= 32124; sample += 7) {
    const [back] = decodeMulaw(encodeMulaw(Float32Array.of(sample / 32768)));
    const allowed = (Math.abs(sample) + 132) / 32 + 1;
    assert.ok(Math.abs(back * 32768 - sample) <= allowed, `${sample} became ${back * 32768}`);
  }
});

test("what is too loud is clipped, not wrapped", () => {
  assert.deepEqual([...encodeMulaw(Float32Array.of(1, 5, -1, -5))], [0x80, 0x80, 0x00, 0x00]);
});

test("base64 both ways, longer than one call's arguments may be", () => {
  const bytes = Uint8Array.from({ length: 100_003 }, (_, i) => (i * 31) & 0xff);
  assert.deepEqual(fromBase64(toBase64(bytes)), bytes);
  assert.equal(toBase64(Uint8Array.of(255)), "/w==");
});
