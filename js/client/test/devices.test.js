import assert from "node:assert/strict";
import { test } from "node:test";

import { microphoneError, openMicrophone } from "../src/devices.js";

/** @param {string} name */
const named = (name) => Object.assign(new Error("why"), { name });

test("failures of the microphone are told apart", () => {
  assert.equal(microphoneError(named("NotAllowedError")).code, "microphone_refused");
  assert.equal(microphoneError(named("NotFoundError")).code, "no_microphone");
  assert.equal(microphoneError(named("OverconstrainedError")).code, "no_microphone");
  assert.equal(microphoneError(named("NotReadableError")).code, "microphone_busy");
  assert.deepEqual(microphoneError(named("NotReadableError")).detail, { name: "NotReadableError", reason: "why" });
});

test("a page that is not on https is told so", async () => {
  Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
  Object.defineProperty(globalThis, "isSecureContext", { value: false, configurable: true });
  await assert.rejects(openMicrophone(), { code: "insecure_context" });
  Object.defineProperty(globalThis, "isSecureContext", { value: true, configurable: true });
  await assert.rejects(openMicrophone(), { code: "no_microphone" });
});

test("constraints are added to those for speech, a device is asked for exactly", async () => {
  /** @type {any} */
  let asked;
  const mediaDevices = { getUserMedia: async (/** @type {any} */ constraints) => ((asked = constraints), "stream") };
  Object.defineProperty(globalThis, "navigator", { value: { mediaDevices }, configurable: true });
  await openMicrophone({ noiseSuppression: false }, "abc");
  assert.deepEqual(asked, {
    audio: { echoCancellation: true, noiseSuppression: false, autoGainControl: true, deviceId: { exact: "abc" } },
  });
});
