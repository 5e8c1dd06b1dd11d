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

class Connection {
  channel = { readyState: "connecting", send: () => {}, onopen: () => {}, onclose: () => {} };
  localDescription = { sdp: "v=0" };
  connectionState = "new";
  /** @type {({track}: {track: unknown}) => void} */ ontrack = () => {};

  createDataChannel() {
    return this.channel;
  }

  addTransceiver() {}

  async createOffer() {}

  async setLocalDescription() {}

  /** The server answers, and everything is up. */
  async setRemoteDescription() {
    this.ontrack({ track: { kind: "audio" } });
    this.connectionState = "connected";
    this.channel.readyState = "open";
    this.channel.onopen();
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

/** A transport that is up and waits for the first sound. */
async function opening() {
  const connection = new Connection();
  Object.assign(globals, { MediaStream: Stream, Audio: Player });
  globals.RTCPeerConnection = function RTCPeerConnection() {
    return connection;
  };
  /** @type {string[]} */
  const lost = [];
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
    { onMessage: () => {}, onLost: (reason) => lost.push(reason) },
  );
  const opened = transport.open().then(
    () => null,
    (/** @type {unknown} */ error) => error,
  );
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(connection.channel.readyState, "open");
  return { connection, transport, opened, lost };
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
