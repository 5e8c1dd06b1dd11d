/**
 * A session over one WebSocket: mu-law both ways. For networks that block UDP.
 *
 * @module
 */

import { ClientError, TransportError, refusal } from "./errors.js";
import { decodeMulaw, encodeMulaw, fromBase64, toBase64 } from "./g711.js";
import { build, parseSocketMessage } from "./messages.js";
import { Packetizer } from "./packetizer.js";
import { Resampler } from "./resampler.js";
import { readToken } from "./signaling.js";
import { Deferred } from "./transport.js";

const PING_MS = 5000;
const SILENT_MS = 15_000;
/** A server of the original FastRTC never answers the hello; after this long its default rates are taken. */
const HELLO_MS = 2000;
/** After this long without audio the rest that the resampler holds back is played: the reply is over. */
const FLUSH_MS = 60;
/** Bytes that may wait in the socket before microphone audio is dropped: about a second. */
const BACKLOG_BYTES = 64_000;

/**
 * @typedef {import("./transport.js").Transport} Transport
 *
 * @typedef {object} WebSocketOptions
 * @property {URL} url of `websocket/offer`
 * @property {string} id
 * @property {import("./signaling.js").Token} [token]
 * @property {AudioContext} context
 * @property {MediaStreamTrack | null} track microphone; null to listen only
 * @property {boolean} play whether the reply is played
 * @property {number} connectTimeoutMs
 * @property {number} [inputRateHz] for servers that do not tell: what the handler takes
 * @property {number} [outputRateHz] for servers that do not tell: what the handler gives
 */

/** @implements {Transport} */
export class WebSocketTransport {
  /** @type {"websocket"} */ kind = "websocket";
  #options;
  #events;
  #socket;
  /** @type {Deferred<void>} */ #connected = new Deferred();
  /** @type {Deferred<{input: number, output: number}>} */ #rates = new Deferred();
  /** @type {Resampler | null} */ #down = null;
  /** @type {Resampler | null} */ #up = null;
  /** @type {MediaStreamAudioSourceNode | null} */ #source = null;
  /** @type {AudioWorkletNode | null} */ #capture = null;
  /** @type {AudioWorkletNode | null} */ #playback = null;
  #destination;
  /** @type {Packetizer | null} */ #packetizer = null;
  #closed = false;
  /** Whether the server understands this client's own messages; the original FastRTC breaks off at them. */
  #understood = false;
  #lastHeard = 0;
  #pingSent = 0;
  /** @type {number | null} */ #roundTripMs = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #keepAlive;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #flushing;

  /**
   * @param {WebSocketOptions} options
   * @param {import("./transport.js").TransportEvents} events
   */
  constructor(options, events) {
    this.#options = options;
    this.#events = events;
    this.#destination = options.context.createMediaStreamDestination();
    this.outputStream = this.#destination.stream;
    const url = new URL(options.url);
    url.protocol = url.protocol.replace("http", "ws");
    this.#socket = new WebSocket(url);
    this.#socket.onopen = () => void this.#start(options);
    this.#socket.onmessage = ({ data }) => this.#onFrame(data);
    this.#socket.onclose = ({ code, reason }) => this.#lose(reason || `the server closed the connection (${code})`);
  }

  /** @param {WebSocketOptions} options */
  async #start({ id, token }) {
    try {
      this.#write(build.socketStart(id, await readToken(token)));
      this.#connected.resolve();
    } catch (error) {
      this.#fail(/** @type {ClientError} */ (error));
    }
  }

  async open() {
    const { context, connectTimeoutMs } = this.#options;
    const modules = Promise.all([
      context.audioWorklet.addModule(new URL("./capture-worklet.js", import.meta.url)),
      context.audioWorklet.addModule(new URL("./playback-worklet.js", import.meta.url)),
    ]);
    modules.catch(() => {});
    await this.#connected.within(
      connectTimeoutMs,
      () => new TransportError("server_unreachable", "The server did not take the WebSocket connection."),
    );
    const assumed = { input: this.#options.inputRateHz ?? 48_000, output: this.#options.outputRateHz ?? 24_000 };
    const timer = setTimeout(() => this.#rates.resolve(assumed), HELLO_MS);
    const rates = await this.#rates.promise.finally(() => clearTimeout(timer));
    await modules;
    if (this.#closed) throw new TransportError("connection_lost", "Closed while connecting.");
    this.#startPlayback(rates.output);
    this.#startCapture(rates.input);
    this.#lastHeard = performance.now();
    this.#keepAlive = setInterval(() => this.#ping(), PING_MS);
  }

  /** @param {number} rateHz */
  #startPlayback(rateHz) {
    const { context, play } = this.#options;
    this.#up = new Resampler(rateHz, context.sampleRate);
    this.#playback = new AudioWorkletNode(context, "fastrtc-playback", { numberOfInputs: 0, outputChannelCount: [1] });
    this.#playback.connect(this.#destination);
    if (play) this.#playback.connect(context.destination);
    this.#playback.port.onmessage = ({ data }) => {
      if (data.turn > 0) this.send(build.playout(data.turn, data.playedMs));
    };
  }

  /** @param {number} rateHz */
  #startCapture(rateHz) {
    const { context, track } = this.#options;
    if (!track) return;
    this.#packetizer = new Packetizer(Math.round(rateHz / 50));
    this.#down = new Resampler(context.sampleRate, rateHz);
    this.#capture = new AudioWorkletNode(context, "fastrtc-capture", { numberOfOutputs: 1 });
    this.#capture.port.onmessage = ({ data }) => this.#onCaptured(data);
    // The node has to lead somewhere to be run; its output is silence.
    this.#capture.connect(context.destination);
    this.#connectMicrophone(track);
  }

  /** @param {MediaStreamTrack} track */
  #connectMicrophone(track) {
    if (!this.#capture) return;
    this.#source?.disconnect();
    this.#source = this.#options.context.createMediaStreamSource(new MediaStream([track]));
    this.#source.connect(this.#capture);
  }

  /** @param {Float32Array} samples */
  #onCaptured(samples) {
    if (this.#closed || !this.#down || !this.#packetizer || this.#socket.bufferedAmount > BACKLOG_BYTES) return;
    for (const packet of this.#packetizer.push(this.#down.process(samples))) {
      this.#write(build.socketMedia(toBase64(encodeMulaw(packet))));
    }
  }

  /** @param {unknown} data */
  #onFrame(data) {
    this.#lastHeard = performance.now();
    if (typeof data !== "string") return;
    try {
      this.#onMessage(parseSocketMessage(data));
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      this.#events.onMessage({ type: "unknown", raw: data });
    }
  }

  /** @param {import("./messages.js").SocketMessage} message */
  #onMessage(message) {
    switch (message.event) {
      case "media":
        this.#onMedia(message.payload);
        break;
      case "clear":
        this.#playback?.port.postMessage({ type: "clear" });
        clearTimeout(this.#flushing);
        this.#up?.reset();
        break;
      case "ping":
        this.#write(build.socketPong());
        break;
      case "pong":
        this.#roundTripMs = performance.now() - this.#pingSent;
        break;
      case "stop":
        this.#lose("the server stopped the stream");
        break;
      case "refused":
        this.#fail(refusal(message.error, message.meta));
        break;
      case "message":
        if (message.message.type === "hello") {
          const { input_sample_rate: input, output_sample_rate: output } = message.message.data;
          this.#understood = true;
          this.#rates.resolve({ input, output });
        }
        this.#events.onMessage(message.message);
    }
  }

  /** @param {string} payload */
  #onMedia(payload) {
    if (!this.#up || !this.#playback) return;
    this.#push(this.#up.process(decodeMulaw(fromBase64(payload))), false);
    clearTimeout(this.#flushing);
    this.#flushing = setTimeout(() => this.#up && this.#push(this.#up.flush(), true), FLUSH_MS);
  }

  /** @param {Float32Array<ArrayBuffer>} samples @param {boolean} isTail */
  #push(samples, isTail) {
    this.#playback?.port.postMessage({ type: "push", samples, isTail }, [samples.buffer]);
  }

  #ping() {
    if (performance.now() - this.#lastHeard > SILENT_MS) {
      this.#lose("the server stopped answering");
      return;
    }
    this.#pingSent = performance.now();
    this.#write(build.socketPing());
  }

  /** @param {Error} error */
  #fail(error) {
    this.#connected.reject(error);
    this.#rates.reject(error);
    this.close();
  }

  /** @param {string} reason */
  #lose(reason) {
    if (this.#closed) return;
    this.#fail(new TransportError("server_unreachable", `The WebSocket was not opened: ${reason}.`));
    this.#events.onLost(reason);
  }

  /** @param {string} text */
  send(text) {
    if (this.#understood) this.#write(text);
  }

  /** @param {string} frame */
  #write(frame) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(frame);
  }

  /** @param {MediaStreamTrack} track */
  async replaceTrack(track) {
    if (track.kind === "audio") this.#connectMicrophone(track);
  }

  /** @param {number} turn */
  startTurn(turn) {
    this.#playback?.port.postMessage({ type: "turn", turn });
  }

  /** TCP has no other path: a connection that breaks is made anew. */
  async restartIce() {}

  async roundTripMs() {
    return this.#roundTripMs;
  }

  close() {
    if (this.#closed) return;
    this.#write(build.socketStop());
    this.#closed = true;
    clearInterval(this.#keepAlive);
    clearTimeout(this.#flushing);
    this.#socket.onclose = null;
    this.#socket.close();
    this.#source?.disconnect();
    this.#capture?.disconnect();
    this.#playback?.disconnect();
  }
}
