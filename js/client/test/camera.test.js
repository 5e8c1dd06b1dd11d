import assert from "node:assert/strict";
import { test } from "node:test";

import { Camera, cameraError, openCamera } from "../src/camera.js";

/** @param {string} name */
const named = (name) => Object.assign(new Error("why"), { name });

/** @type {any[]} */
const asked = [];

/** @param {string} name */
function streamOf(name) {
  const track = { name, enabled: true, stopped: false, stop: () => (track.stopped = true) };
  return { getTracks: () => [track], getVideoTracks: () => [track] };
}

/** A browser whose cameras open. */
function withCameras() {
  asked.length = 0;
  const mediaDevices = { getUserMedia: async (/** @type {any} */ wanted) => streamOf(`camera ${asked.push(wanted)}`) };
  Object.defineProperty(globalThis, "navigator", { value: { mediaDevices }, configurable: true });
  Object.defineProperty(globalThis, "MediaStream", { value: class {}, configurable: true });
}

test("failures of the camera are told apart", () => {
  assert.equal(cameraError(named("NotAllowedError")).code, "camera_refused");
  assert.equal(cameraError(named("NotFoundError")).code, "no_camera");
  assert.equal(cameraError(named("OverconstrainedError")).code, "no_camera");
  assert.equal(cameraError(named("NotReadableError")).code, "camera_busy");
});

test("constraints are added to the usual ones, and a device in particular has no facing mode", async () => {
  withCameras();
  await openCamera({ width: { exact: 320 } });
  assert.deepEqual(asked[0].video.width, { exact: 320 });
  assert.deepEqual(asked[0].video.height, { ideal: 480 });
  assert.equal(asked[0].video.facingMode, "user");
  await openCamera({}, "abc");
  assert.deepEqual(asked[1].video.deviceId, { exact: "abc" });
  assert.equal("facingMode" in asked[1].video, false);
});

test("the old camera is given back before another is opened, and stays off if it was off", async () => {
  withCameras();
  const camera = new Camera(true);
  await camera.open();
  const first = /** @type {any} */ (camera.track);
  camera.show(false);
  assert.equal(first.enabled, false);
  await camera.open("abc");
  assert.equal(first.stopped, true);
  assert.equal(camera.track?.enabled, false);
  const second = /** @type {any} */ (camera.track);
  camera.close();
  assert.equal(second.stopped, true);
  assert.equal(camera.track, null);
});

test("no camera is opened where none is wanted", async () => {
  withCameras();
  const camera = new Camera(false);
  await camera.open();
  assert.equal(camera.stream, null);
  assert.equal(asked.length, 0);
});
