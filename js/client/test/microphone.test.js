import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Microphone } from "../src/microphone.js";

/** @type {any[]} */ const asked = [];
/** @type {any[]} */ const meters = [];
/** @type {(() => void) | null} */ let allow = null;

class FakeStream {
  /** @param {string} name */
  constructor(name) {
    const track = { name, enabled: true, stopped: false, stop: () => (track.stopped = true) };
    this.track = track;
    this.getTracks = this.getAudioTracks = () => [track];
  }
}

/** @type {any} What a page has of an AudioContext: sources that are connected and left again, at full level. */
const context = {
  createAnalyser: () => ({ fftSize: 0, getFloatTimeDomainData: (/** @type {any} */ samples) => samples.fill(1) }),
  createMediaStreamSource: (/** @type {any} */ stream) => {
    const meter = { stream, connected: false };
    meters.push(meter);
    return { connect: () => (meter.connected = true), disconnect: () => (meter.connected = false) };
  },
  createMediaStreamDestination: () => ({ stream: new FakeStream("silence") }),
};

beforeEach(() => {
  asked.length = meters.length = 0;
  allow = null;
  const getUserMedia = async (/** @type {any} */ wanted) => new FakeStream(`microphone ${asked.push(wanted)}`);
  Object.defineProperty(globalThis, "navigator", { value: { mediaDevices: { getUserMedia } }, configurable: true });
  Object.defineProperty(globalThis, "MediaStream", { value: FakeStream, configurable: true });
});

/** The next microphone is opened when `allow` is called. */
function ask() {
  const later = () => new Promise((resolve) => (allow = () => resolve(new FakeStream("late"))));
  Object.assign(navigator.mediaDevices, { getUserMedia: later });
}

/** @param {Microphone} microphone @returns {any} */
const trackOf = (microphone) => microphone.track;

test("a microphone is opened with what is asked of it, and measured", async () => {
  const microphone = new Microphone({ noiseSuppression: false });
  assert.equal(microphone.level, 0);
  await microphone.open(context, "abc");
  assert.equal(asked[0].audio.noiseSuppression, false);
  assert.deepEqual(asked[0].audio.deviceId, { exact: "abc" });
  assert.equal(microphone.level, 1);
});

test("another one takes its place, muted if it was, and the old one is given back", async () => {
  const microphone = new Microphone(true);
  await microphone.open(context);
  const first = trackOf(microphone);
  microphone.mute(true);
  assert.equal(first.enabled, false);
  assert.equal(microphone.level, 0);
  const second = /** @type {any} */ (await microphone.use("abc"));
  assert.equal(first.stopped, true);
  assert.deepEqual([second, second.enabled, second.stopped], [trackOf(microphone), false, false]);
  assert.deepEqual(meters.map((meter) => meter.connected), [false, true]);
  microphone.mute(false);
  assert.equal(second.enabled, true);
});

test("one that was muted before it was opened is opened muted", async () => {
  const microphone = new Microphone(true);
  microphone.mute(true);
  await microphone.open(context);
  assert.equal(trackOf(microphone).enabled, false);
});

test("a stream of the page's own is sent as it is, and never stopped or replaced", async () => {
  const own = new FakeStream("own");
  own.track.enabled = false;
  const microphone = new Microphone(/** @type {any} */ (own));
  await microphone.open(context);
  assert.equal(own.track.enabled, false);
  assert.equal(await microphone.use("abc"), null);
  microphone.close();
  assert.deepEqual([microphone.stream, own.track.stopped, asked.length], [own, false, 0]);
});

test("silence is sent where no microphone is wanted", async () => {
  const microphone = new Microphone(false);
  await microphone.open(context);
  assert.deepEqual([trackOf(microphone).name, asked.length], ["silence", 0]);
});

for (const which of ["a first", "another"]) {
  test(`${which} microphone that the user allows too late is given back`, async () => {
    const microphone = new Microphone(true);
    if (which === "another") await microphone.open(context);
    ask();
    const opening = which === "another" ? microphone.use("abc") : microphone.open(context);
    microphone.close();
    allow?.();
    assert.equal((await opening) ?? null, null);
    assert.deepEqual([trackOf(microphone).name, trackOf(microphone).stopped], ["late", true]);
    assert.equal(microphone.level, 0);
  });
}

test("one that cannot be opened leaves the old one in use", async () => {
  const microphone = new Microphone(true);
  await microphone.open(context);
  const first = trackOf(microphone);
  const refuse = () => Promise.reject(Object.assign(new Error("why"), { name: "NotFoundError" }));
  Object.assign(navigator.mediaDevices, { getUserMedia: refuse });
  await assert.rejects(microphone.use("abc"), { code: "no_microphone" });
  assert.deepEqual([trackOf(microphone), first.stopped, microphone.level], [first, false, 1]);
});
