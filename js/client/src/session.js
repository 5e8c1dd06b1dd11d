/**
 * The public face of this client: one conversation with a Python function.
 *
 * @module
 */

import { afterEvent, afterLog } from "./activity.js";
import { LevelMeter } from "./audio-level.js";
import { Camera } from "./camera.js";
import { ClientError, TransportError, worthAnotherTransport } from "./errors.js";
import { newId } from "./id.js";
import { build } from "./messages.js";
import { Microphone } from "./microphone.js";
import { EMPTY_LOG, withEnd, withEvent, withOutput, withTyped } from "./turn-log.js";
import { WebRTCTransport } from "./webrtc.js";
import { WebSocketTransport } from "./websocket.js";

const RECONNECT_MS = [500, 1000, 2000, 4000, 8000];
/** After this long without a decision the user's sound is taken to have been no turn. */
const PAUSE_MS = 1500;

/** Why a server ends a session that may go on when it is back. */
const RESTARTS = new Set(["server_shutdown", "cancelled"]);

/**
 * @typedef {import("./activity.js").Activity} Activity
 * @typedef {import("./messages.js").ServerMessage} ServerMessage
 * @typedef {import("./messages.js").SessionEvent} SessionEvent
 * @typedef {import("./transport.js").Transport} Transport
 * @typedef {import("./session-types.js").SessionOptions} SessionOptions
 * @typedef {import("./session-types.js").SessionEvents} SessionEvents
 */

export class Session extends EventTarget {
  /** @type {SessionOptions} */ #options;
  #base;
  #id;
  /** @type {Activity} */ #activity = "idle";
  #turns = EMPTY_LOG;
  #ended = false;
  #connecting = false;
  /** @type {Activity} what the session does by the time it is connected */ #first = "listening";
  /** @type {import("./messages.js").ServerHello | null} */ #hello = null;
  /** @type {Transport | null} */ #transport = null;
  /** @type {AudioContext | null} */ #context = null;
  #microphone;
  #camera;
  /** @type {LevelMeter | null} */ #outputMeter = null;
  /** @type {ClientError | null} why WebRTC is not tried again */ #fallback = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #pause;

  /** @param {SessionOptions} [options] */
  constructor(options = {}) {
    super();
    this.#options = options;
    this.#id = options.id ?? newId();
    const base = new URL(options.base ?? ".", document.baseURI);
    if (!base.pathname.endsWith("/")) base.pathname += "/";
    this.#base = base;
    this.#microphone = new Microphone(options.audio ?? true);
    this.#camera = new Camera(options.video ?? true);
  }

  /** The id that the server knows this session by. */
  get id() {
    return this.#id;
  }

  get activity() {
    return this.#activity;
  }

  get turns() {
    return this.#turns.turns;
  }

  get muted() {
    return this.#microphone.muted;
  }

  /** `null` before the session is connected. */
  get transport() {
    return this.#transport?.kind ?? null;
  }

  /** What the server said about itself; `null` before that, and for the original FastRTC. */
  get server() {
    return this.#hello;
  }

  /** What is sent, and what the server says. A fallback or reconnection brings another `outputStream`. */
  get inputStream() {
    return this.#microphone.stream;
  }

  get outputStream() {
    return this.#transport?.outputStream ?? null;
  }

  /** What the camera sees; null without one. */
  get cameraStream() {
    return this.#camera.stream;
  }

  get #kinds() {
    const { modality = "audio" } = this.#options;
    return /** @type {("audio" | "video")[]} */ (modality.split("-"));
  }

  /** How loud both sides are right now, 0 to 1, for meters. */
  get levels() {
    return { input: this.#microphone.level, output: this.#outputMeter?.read() ?? 0 };
  }

  /** @returns {Promise<number | null>} */
  async roundTripMs() {
    return (await this.#transport?.roundTripMs()) ?? null;
  }

  /** Look for a new path now; it is done by itself when the browser notices that its network has changed. */
  restartIce = async () => this.#transport?.restartIce();

  /**
   * Like `addEventListener`, with typed details.
   *
   * @template {keyof SessionEvents} K
   * @param {K} name
   * @param {(detail: SessionEvents[K]) => void} listener
   * @returns {() => void} removes the listener
   */
  on(name, listener) {
    /** @param {Event} event */
    const wrapped = (event) => listener(/** @type {CustomEvent} */ (event).detail);
    this.addEventListener(name, wrapped);
    return () => this.removeEventListener(name, wrapped);
  }

  /**
   * Open the microphone and connect. Call it from a click: browsers let a page play sound only then.
   *
   * @throws {ClientError} it failed; the session is over
   */
  async open() {
    if (this.#activity !== "idle") throw new ClientError("unsupported", "A session is opened once; make another.");
    this.#become("connecting");
    try {
      this.#context = new AudioContext({ latencyHint: "interactive" });
      this.#context.resume().catch(() => {});
      await this.#openInput();
      await this.#connect();
    } catch (error) {
      const known =
        error instanceof ClientError ? error : new TransportError("not_connected", String(error), { cause: "unknown" });
      this.#end("failed", known.message, known);
      throw known;
    }
  }

  async #openInput() {
    const { deviceId, cameraId, mode } = this.#options;
    if (mode === "receive") return;
    if (this.#kinds.includes("video")) await this.#camera.open(cameraId);
    if (this.#ended) this.#camera.close();
    if (this.#ended || !this.#kinds.includes("audio")) return;
    await this.#microphone.open(/** @type {AudioContext} */ (this.#context), deviceId);
  }

  async #connect() {
    const transport = this.#kinds.includes("audio") ? (this.#options.transport ?? "auto") : "webrtc";
    if (transport !== "websocket" && !(transport === "auto" && this.#fallback)) {
      try {
        await this.#use(() => this.#webrtc());
        return;
      } catch (error) {
        if (transport === "webrtc" || this.#ended || !worthAnotherTransport(error)) throw error;
        this.#fallback = /** @type {ClientError} */ (error);
        this.#id = newId();
      }
    }
    await this.#use(() => this.#websocket());
  }

  /** @param {() => Transport} make */
  async #use(make) {
    if (this.#ended) throw new TransportError("connection_lost", "Closed while connecting.");
    this.#hello = null;
    const transport = make();
    this.#transport = transport;
    this.#connecting = true;
    this.#first = "listening";
    try {
      await transport.open();
    } catch (error) {
      transport.close();
      this.#transport = null;
      throw error;
    } finally {
      this.#connecting = false;
    }
    this.#outputMeter?.close();
    this.#outputMeter = null;
    this.#meterOutput();
    if (this.muted) this.#tell(build.mute(true));
    this.#emit("connected", { transport: transport.kind, fallback: this.#fallback });
    this.#become(this.#first);
  }

  #meterOutput() {
    const stream = this.outputStream;
    if (this.#context && stream && stream.getAudioTracks().length > 0) {
      this.#outputMeter = new LevelMeter(this.#context, stream);
    }
  }

  #webrtc() {
    const { rtcConfiguration, connectTimeoutMs = 5000, headers, token, mode, play = true } = this.#options;
    return new WebRTCTransport(
      {
        url: new URL("webrtc/offer", this.#base),
        id: this.#id,
        kinds: this.#kinds,
        track: this.#microphone.track,
        camera: this.#camera.track,
        rtpParams: this.#options.rtpParams,
        receive: mode !== "send",
        play,
        rtcConfiguration,
        connectTimeoutMs,
        signaling: { headers, token },
      },
      this.#listener(),
    );
  }

  #websocket() {
    this.#camera.close(); // it carries sound only
    const { connectTimeoutMs = 5000, inputRateHz, outputRateHz, token, mode, play = true } = this.#options;
    return new WebSocketTransport(
      {
        url: new URL("websocket/offer", this.#base),
        id: this.#id,
        context: /** @type {AudioContext} */ (this.#context),
        track: this.#microphone.track,
        play: play && mode !== "send",
        connectTimeoutMs,
        ...{ inputRateHz, outputRateHz, token },
      },
      this.#listener(),
    );
  }

  /** @returns {import("./transport.js").TransportEvents} */
  #listener() {
    return {
      onMessage: (message) => this.#onMessage(message),
      onReach: (reachable) => this.#onReach(reachable),
      onLost: (reason) => void this.#onLost(reason),
    };
  }

  /** @param {boolean} reachable */
  #onReach(reachable) {
    if (this.#ended || this.#connecting || reachable === (this.#activity !== "reconnecting")) return;
    if (!reachable) this.#first = this.#activity;
    this.#become(reachable ? this.#first : "reconnecting");
  }

  /** @param {ServerMessage} message */
  #onMessage(message) {
    if (this.#ended) return;
    this.#emit("message", message);
    switch (message.type) {
      case "hello":
        this.#hello = message.data;
        break;
      case "event":
        this.#onEvent(message.data);
        break;
      case "output":
        this.#setTurns(withOutput(this.#turns, message.data));
        this.#emit("output", message.data);
        break;
      case "send_input":
        this.#onSendInput();
        break;
      case "fetch_output":
        this.#emit("fetchoutput", null);
        break;
      case "log":
        if (!this.#hello) this.#become(afterLog(this.#activity, message.data));
        this.#emit("log", message.data);
        break;
      case "stopword":
      case "transcript":
        this.#emit(message.type, message.data);
        break;
      case "error":
        this.#emit("problem", message.message);
        break;
      case "warning":
        this.#emit("notice", message.message);
        break;
      case "update_connection":
        if (message.data === "closed") this.#end("server", "", null);
        break;
      case "end_stream":
        this.#end("server", typeof message.data === "string" ? message.data : "", null);
    }
  }

  /** @param {SessionEvent} event */
  #onEvent(event) {
    if (event.name === "reply_started") this.#transport?.startTurn(event.turn);
    this.#setTurns(withEvent(this.#turns, event));
    this.#emit("event", event);
    if (this.#connecting || this.#activity === "reconnecting") this.#first = afterEvent(this.#first, event);
    else this.#become(afterEvent(this.#activity, event));
    if (event.name === "session_closed") this.#onClosed(event.reason);
  }

  /** @param {string} reason */
  #onClosed(reason) {
    if (!RESTARTS.has(reason)) {
      this.#end("server", reason, null);
      return;
    }
    this.#transport?.close();
    void this.#onLost(reason);
  }

  #onSendInput() {
    const { inputs } = this.#options;
    if (inputs) this.sendInput(...(typeof inputs === "function" ? inputs() : inputs));
    this.#emit("sendinput", null);
  }

  /** @param {string} reason */
  async #onLost(reason) {
    if (this.#ended || this.#connecting) return;
    const { reconnect = true } = this.#options;
    /** @type {ClientError} */
    let failure = new TransportError("connection_lost", "The connection to the server was lost.", { reason });
    this.#setTurns(withEnd(this.#turns));
    this.#become("reconnecting");
    for (let attempt = 1; reconnect && attempt <= RECONNECT_MS.length; attempt++) {
      this.#emit("reconnecting", { attempt, reason });
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS[attempt - 1]));
      if (this.#ended) return;
      this.#id = newId();
      try {
        await this.#connect();
        return;
      } catch (error) {
        if (this.#ended) return;
        // A full server may still hold the place of the connection that broke, until it notices.
        if (error instanceof ClientError && error.code === "server_full") failure = error;
        if (error instanceof ClientError && error.code === "unauthorized") {
          failure = error;
          break;
        }
      }
    }
    this.#end("lost", reason, failure);
  }

  /** @param {Activity} activity */
  #become(activity) {
    const previous = this.#activity;
    if (activity === previous) return;
    this.#activity = activity;
    clearTimeout(this.#pause);
    if (activity === "paused") this.#pause = setTimeout(() => this.#become("listening"), PAUSE_MS);
    this.#emit("activity", { activity, previous });
  }

  /** @param {import("./turn-log.js").TurnLog} turns */
  #setTurns(turns) {
    if (turns === this.#turns) return;
    this.#turns = turns;
    this.#emit("turns", turns);
  }

  /**
   * @template {keyof SessionEvents} K
   * @param {K} name
   * @param {SessionEvents[K]} detail
   */
  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** @param {string} text */
  #tell(text) {
    this.#transport?.send(text);
  }

  /** @param {boolean} muted whether silence is sent instead of the microphone */
  mute(muted) {
    this.#microphone.mute(muted);
    this.#tell(build.mute(muted));
  }

  /**
   * Use another microphone from now on.
   *
   * @param {string} deviceId
   * @throws {import("./errors.js").MicrophoneError} the old one stays in use
   */
  async useMicrophone(deviceId) {
    const track = await this.#microphone.use(deviceId);
    if (track) await this.#transport?.replaceTrack(track);
  }

  /** @param {boolean} on whether the camera's picture is sent; black otherwise */
  showCamera(on) { this.#camera.show(on); }

  /**
   * Use another camera from now on.
   *
   * @param {string} deviceId
   * @throws {import("./errors.js").CameraError} no picture is sent any more
   */
  async useCamera(deviceId) {
    if (this.#ended) return;
    await this.#camera.open(deviceId);
    if (this.#ended) this.#camera.close();
    else if (this.#camera.track) await this.#transport?.replaceTrack(this.#camera.track);
  }

  /** @param {...unknown} data arguments for the handler, as `Stream.set_input` takes them */
  sendInput(...data) { this.#tell(build.input(data)); }

  /** @param {string} text a turn, typed instead of spoken */
  sendText(text) {
    this.#setTurns(withTyped(this.#turns, text));
    this.#tell(build.text(text));
  }

  /** End the user's turn now, without waiting for a pause. */
  triggerResponse() { this.#tell(build.triggerResponse()); }

  /** Take back what the user has said since the last turn: it will not be answered. */
  discardTurn() { this.#tell(build.discardTurn()); }

  /** Silence the reply that is being given. */
  stopReply() { this.#tell(build.stopReply()); }

  /** End the session; the microphone is released at once. */
  close() { this.#end("closed", "", null); }

  /**
   * @param {SessionEvents["ended"]["reason"]} reason
   * @param {string} message
   * @param {ClientError | null} error
   */
  #end(reason, message, error) {
    if (this.#ended) return;
    this.#ended = true;
    this.#transport?.close();
    this.#microphone.close();
    this.#camera.close();
    this.#outputMeter?.close();
    this.#outputMeter = null;
    this.#context?.close().catch(() => {});
    this.#setTurns(withEnd(this.#turns));
    this.#become("ended");
    this.#emit("ended", { reason, message, error });
  }
}
