/**
 * A session over WebRTC: microphone and camera up, reply down, messages on the data channel "text".
 *
 * @module
 */

import { ClientError, TransportError, describeIceErrors } from "./errors.js";
import { build, parseMessage } from "./messages.js";
import { NetworkWatch } from "./network-watch.js";
import { Signaling } from "./signaling.js";
import { Deferred } from "./transport.js";

/** How long a "disconnected" connection may heal by itself before ICE is restarted. */
const HEAL_MS = 2000;
/** How long a restart may take to find a path, and how often it is tried while the server cannot be reached. */
const PATH_MS = 4000;
const RESTARTS = 5;
const RETRY_MS = 1000;

/**
 * @typedef {import("./transport.js").Transport} Transport
 *
 * @typedef {object} WebRTCOptions
 * @property {URL} url of `webrtc/offer`
 * @property {string} id
 * @property {("audio" | "video")[]} kinds of media
 * @property {MediaStreamTrack | null} track microphone; null to listen only
 * @property {MediaStreamTrack | null} camera null to watch only
 * @property {boolean} receive whether the server sends media
 * @property {Partial<RTCRtpSendParameters>} [rtpParams] for the sender of video
 * @property {boolean} play whether it is played
 * @property {RTCConfiguration} [rtcConfiguration]
 * @property {number} connectTimeoutMs from the offer until media flows
 * @property {import("./signaling.js").SignalingOptions} [signaling]
 */

const NO_WAY = "WebRTC found no way to the server; its UDP packets may be blocked.";

/** @implements {Transport} */
export class WebRTCTransport {
  /** @type {"webrtc"} */ kind = "webrtc";
  outputStream = new MediaStream();
  #options;
  #events;
  #connection;
  #channel;
  #signaling;
  /** @type {Deferred<void>} */ #opened = new Deferred();
  #player = new Audio();
  #closed = false;
  #restarting = false;
  #answered = false;
  /** @type {{url: string, code: number, text: string}[]} what STUN and TURN servers failed with */ #iceErrors = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #healing;
  /** @type {NetworkWatch | undefined} */ #network;

  /**
   * @param {WebRTCOptions} options
   * @param {import("./transport.js").TransportEvents} events
   */
  constructor(options, events) {
    if (typeof RTCPeerConnection === "undefined") {
      throw new TransportError("not_connected", "This browser has no WebRTC.", { cause: "unavailable" });
    }
    this.#options = options;
    this.#events = events;
    this.#connection = new RTCPeerConnection(options.rtcConfiguration);
    this.#channel = this.#connection.createDataChannel("text");
    this.#signaling = new Signaling(options.url, options.id, options.signaling);
    this.#addMedia();
    this.#listen();
  }

  #addMedia() {
    const { kinds, receive } = this.#options;
    for (const kind of kinds) {
      const track = kind === "audio" ? this.#options.track : this.#options.camera;
      const direction = track ? (receive ? "sendrecv" : "sendonly") : "recvonly";
      this.#connection.addTransceiver(track ?? kind, { direction, streams: track ? [new MediaStream([track])] : [] });
    }
  }

  #listen() {
    const connection = this.#connection;
    connection.ontrack = ({ track }) => this.outputStream.addTrack(track);
    connection.onicecandidate = ({ candidate }) => candidate && this.#signaling.candidate(candidate.toJSON());
    connection.onicecandidateerror = ({ url, errorCode, errorText }) => {
      this.#iceErrors.push({ url, code: errorCode, text: errorText });
    };
    connection.onconnectionstatechange = () => this.#onConnectionState();
    this.#channel.onopen = () => {
      this.#channel.send(build.hello());
      this.#opened.resolve();
    };
    this.#channel.onclose = () => this.#lose("the server closed the connection");
    this.#channel.onmessage = ({ data }) => this.#onText(data);
  }

  async open() {
    const opened = this.#opened.within(this.#options.connectTimeoutMs, () => this.#noWay("timeout"));
    // Both: a busy browser can report the open channel before it has brought the tracks of the answer.
    await Promise.all([this.#negotiate(), opened]);
    if (!this.#closed) this.#network = new NetworkWatch(() => void this.restartIce());
    await this.#limitVideo();
    if (this.#options.receive) await this.#play();
    // The session has been told of nothing that happened meanwhile: it was still connecting.
    if (this.#closed) throw new TransportError("connection_lost", "Closed while connecting.");
  }

  /** @param {RTCOfferOptions} [options] */
  async #negotiate(options) {
    const connection = this.#connection;
    const offer = await connection.createOffer(options);
    await connection.setLocalDescription(offer);
    const sdp = await this.#signaling.offer(connection.localDescription?.sdp ?? "");
    if (this.#closed) throw new TransportError("connection_lost", "Closed while connecting.");
    this.#answered = true;
    await connection.setRemoteDescription({ type: "answer", sdp });
    this.#signaling.flushCandidates();
    void this.#signaling.followCandidates((candidate) => connection.addIceCandidate(candidate).catch(() => {}));
  }

  /** @param {"timeout" | "failed"} cause */
  #noWay(cause) {
    const detail = { cause, iceErrors: this.#iceErrors };
    if (!this.#answered) return new TransportError("server_unreachable", "The server did not answer in time.", detail);
    return new TransportError("not_connected", [NO_WAY, ...describeIceErrors(this.#iceErrors)].join(" "), detail);
  }

  async #limitVideo() {
    const { rtpParams } = this.#options;
    const sender = this.#senderOf("video");
    if (!rtpParams || !sender?.track) return;
    const parameters = sender.getParameters();
    const { encodings, ...others } = rtpParams;
    Object.assign(parameters, others);
    parameters.encodings.forEach((encoding, index) => Object.assign(encoding, encodings?.[index]));
    await sender.setParameters(parameters).catch((error) => console.warn("fastrtc: rtpParams were refused", error));
  }

  /** @param {string} kind */
  #senderOf(kind) {
    return this.#connection.getTransceivers().find(({ receiver }) => receiver.track.kind === kind)?.sender;
  }

  /** Chromium decodes a remote track only while an element plays it, whatever else listens. */
  async #play() {
    const sound = this.outputStream.getAudioTracks();
    if (sound.length === 0) return;
    this.#player.muted = !this.#options.play;
    this.#player.srcObject = new MediaStream(sound);
    await this.#player.play().catch(() => {});
  }

  #onConnectionState() {
    const state = this.#connection.connectionState;
    clearTimeout(this.#healing);
    const isKnown = state === "connected" || state === "disconnected" || state === "failed";
    if (isKnown && this.#channel.readyState === "open") this.#events.onReach(state === "connected");
    if (state === "failed") {
      this.#opened.reject(this.#noWay("failed"));
      void this.restartIce();
    } else if (state === "disconnected") {
      this.#healing = setTimeout(() => void this.restartIce(), HEAL_MS);
    } else if (state === "closed") {
      this.#lose("the connection was closed");
    }
  }

  /** Look for a new path under the same session; a server that cannot do that refuses, and the session starts anew. */
  async restartIce() {
    if (this.#closed || this.#restarting || this.#channel.readyState !== "open") return;
    this.#restarting = true;
    let found = false;
    for (let attempt = 0; attempt < RESTARTS && !found && !this.#closed; attempt++) {
      try {
        await this.#negotiate({ iceRestart: true });
        found = await this.#isConnectedWithin(PATH_MS);
      } catch (error) {
        // Without a network the server cannot be asked either; any other refusal is final.
        if (!(error instanceof ClientError) || error.code !== "server_unreachable") break;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    this.#restarting = false;
    if (found || this.#closed) return;
    if (this.#connection.connectionState !== "connected") this.#lose("the network path was lost");
    else await this.#connection.setLocalDescription({ type: "rollback" }).catch(() => {});
  }

  /** @param {number} ms */
  async #isConnectedWithin(ms) {
    const end = performance.now() + ms;
    while (this.#connection.connectionState !== "connected" && performance.now() < end && !this.#closed) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return this.#connection.connectionState === "connected";
  }

  /** @param {unknown} data */
  #onText(data) {
    if (typeof data !== "string") return;
    try {
      this.#events.onMessage(parseMessage(data));
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      this.#events.onMessage({ type: "unknown", raw: data });
    }
  }

  /** @param {string} reason */
  #lose(reason) {
    if (this.#closed) return;
    this.#opened.reject(new TransportError("not_connected", `Not connected: ${reason}.`, { cause: "closed" }));
    this.close();
    this.#events.onLost(reason);
  }

  /** @param {string} text */
  send(text) {
    if (this.#channel.readyState === "open") this.#channel.send(text);
  }

  /** @param {MediaStreamTrack} track */
  async replaceTrack(track) {
    await this.#senderOf(track.kind)?.replaceTrack(track);
  }

  /** The server itself knows what it has sent over WebRTC. */
  startTurn() {}

  async roundTripMs() {
    for (const report of (await this.#connection.getStats()).values()) {
      if (report.type === "candidate-pair" && report.nominated && report.currentRoundTripTime !== undefined) {
        return report.currentRoundTripTime * 1000;
      }
    }
    return null;
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#healing);
    this.#network?.close();
    this.#signaling.close();
    this.#opened.reject(new TransportError("connection_lost", "Closed while connecting."));
    this.#player.srcObject = null;
    this.#connection.close();
  }
}
