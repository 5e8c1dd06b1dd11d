import assert from "node:assert/strict";
import { test } from "node:test";

import { TransportError } from "../src/errors.js";
import { WebRTCTransport } from "../src/webrtc.js";

const globals = /** @type {Record<string, unknown>} */ (globalThis);

/** Lets go of the sound when it is told to, as browsers do before the first of it has come. */
class Player {
  /** @type {() => void} */ #abort = () => {};

  /** @param {unknown} source */
  set srcObject(source) {
    if (source === null) this.#abort();
  }

  play() {
    return new Promise((_, reject) => (this.#abort = () => reject(new Error("AbortError"))));
  }
}

/** Its sound has come. */
class SoundingPlayer {
  srcObject = null;

  async play() {}
}

class Connection {
  channel = { readyState: "connecting", send: () => {}, onopen: () => {}, onclose: () => {} };
  localDescription = { sdp: "v=0" };
  connectionState = "new";
  onconnectionstatechange = () => {};
  /** @type {({track}: {track: unknown}) => void} */ ontrack = () => {};

  createDataChannel() {
    return this.channel;
  }

  addTransceiver() {}

  async createOffer() {}

  async setLocalDescription() {}

  /** @type {Promise<void>} */ busy = Promise.resolve();

  /** The server answers, and everything is up; a busy browser brings the track of the answer late. */
  async setRemoteDescription() {
    this.connectionState = "connected";
    this.channel.readyState = "open";
    this.channel.onopen();
    await this.busy;
    this.ontrack({ track: { kind: "audio" } });
  }

  getTransceivers() {
    return [];
  }

  close() {}
}

class Stream {
  /** @param {unknown[]} tracks */
  constructor(tracks = []) {
    this.tracks = [...tracks];
  }

  /** @param {unknown} track */
  addTrack(track) {
    this.tracks.push(track);
  }

  getAudioTracks() {
    return this.tracks;
  }
}

/**
 * A transport whose channel is up; with the usual player it waits for the first sound.
 * @param {{ busy?: Promise<void>, player?: unknown }} [options]
 */
async function opening({ busy = Promise.resolve(), player = Player } = {}) {
  const connection = new Connection();
  connection.busy = busy;
  Object.assign(globals, { MediaStream: Stream, Audio: player });
  globals.RTCPeerConnection = function RTCPeerConnection() {
    return connection;
  };
  /** @type {string[]} */
  const lost = [];
  /** @type {boolean[]} */
  const reached = [];
  const answer = async () => Response.json({ sdp: "v=0", type: "answer" });
  const transport = new WebRTCTransport(
    {
      url: new URL("http://localhost/webrtc/offer"),
      id: "id",
      kinds: ["audio"],
      track: null,
      camera: null,
      receive: true,
      play: true,
      connectTimeoutMs: 5000,
      signaling: { fetch: answer },
    },
    { onMessage: () => {}, onReach: (reachable) => reached.push(reachable), onLost: (reason) => lost.push(reason) },
  );
  const opened = transport.open().then(
    () => null,
    (/** @type {unknown} */ error) => error,
  );
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(connection.channel.readyState, "open");
  return { connection, transport, opened, lost, reached };
}

test("who closes it before the first sound has come has not opened it", async () => {
  const { transport, opened, lost } = await opening();
  transport.close();
  assert.ok((await opened) instanceof TransportError);
  assert.deepEqual(lost, []);
});

test("nor has a server opened it that goes away before that", async () => {
  const { connection, opened } = await opening();
  connection.channel.onclose();
  assert.ok((await opened) instanceof TransportError);
});

test("it is open when the reply's track is there, though the channel may open before", async () => {
  /** @type {() => void} */
  let free = () => {};
  const busy = new Promise((/** @type {(value: void) => void} */ resolve) => (free = resolve));
  const { transport, opened } = await opening({ busy, player: SoundingPlayer });
  let tracks = -1;
  const counted = opened.then(() => (tracks = transport.outputStream.getAudioTracks().length));
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(tracks, -1);
  free();
  await counted;
  assert.equal(tracks, 1);
});

test("a path that breaks and comes back is told of", async () => {
  const { connection, transport, reached } = await opening();
  for (const state of ["disconnected", "connected"]) {
    connection.connectionState = state;
    connection.onconnectionstatechange();
  }
  assert.deepEqual(reached, [false, true]);
  transport.close();
});
