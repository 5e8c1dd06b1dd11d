/**
 * The Gradio component: connects a session of the browser client with the page around it.
 *
 * Gradio's events do the rest: `tick` sends the inputs, `state_change` shows the additional outputs, `submit` is a
 * typed turn; `error`, `warning` and `info` are Gradio's own and show toasts. Every session is announced by the event
 * `fastrtc:session` on the document, with the `Session` as its detail.
 *
 * @module
 */

import { Session, listMicrophones } from "../../client/index.js";
import { endNotice, errorNotice, fallbackNotice } from "../words.js";
import { View } from "./view.js";

/**
 * @typedef {import("../../client/index.js").ClientError} ClientError
 *
 * @typedef {object} Looks the component's properties
 * @property {"send-receive" | "send" | "receive"} mode
 * @property {"audio" | "video" | "audio-video"} modality
 * @property {"wave" | "textbox"} variant
 * @property {boolean} mirror_webcam
 * @property {Partial<RTCRtpSendParameters>} rtp_params
 * @property {string | null} icon
 * @property {string | null} icon_button_color
 * @property {string | null} pulse_color
 * @property {number | null} icon_radius
 * @property {{start: string, stop: string, waiting: string}} button_labels
 * @property {{height: string, width: string}} size
 * @property {boolean} full_screen
 * @property {boolean} framed
 * @property {string} caption
 *
 * @typedef {{webrtc_id: string, textbox: string} | string | null} Value
 *
 * @typedef {object} Place what Gradio gives the component's script
 * @property {HTMLElement} element
 * @property {Looks & {value: Value}} props
 * @property {(event: string, detail?: unknown) => void} trigger
 * @property {(name: string, call: () => void) => void} watch
 * @property {URL} base where the stream's endpoints are
 */

/** Given by the server as the component's value, it starts a stream that is only received. */
const START = "start_webrtc_stream";

/** @param {Place} place */
export async function show(place) {
  const response = await fetch(new URL("static/gradio/component.css", place.base));
  const sheet = await new CSSStyleSheet().replace(await response.text());
  const root = place.element.shadowRoot ?? place.element.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = [sheet];
  root.replaceChildren();
  // Gradio sets HTML components in from their neighbours, even without padding.
  place.element.parentElement?.style.setProperty("padding", "0");
  new Component(root, place);
}

class Component {
  #place;
  #view;
  /** @type {Session | null} */ #session = null;
  #microphone = true;
  #failed = false;
  /** @type {string[]} typed before there was a session */ #waiting = [];
  /** @type {string | undefined} */ #deviceId;

  /**
   * @param {ShadowRoot} root
   * @param {Place} place
   */
  constructor(root, place) {
    this.#place = place;
    this.#view = new View(root, place.props, {
      toggle: () => (this.#live && this.#microphone ? this.#session?.close() : void this.#talk()),
      end: () => this.#session?.close(),
      mute: () => this.#mute(),
      type: (text) => this.#type(text),
      choose: (deviceId) => void this.#choose(deviceId),
      act: (action) => this.#act(action),
    });
    place.watch("value", () => this.#valueFromServer());
    // Gradio removes the element when the component is hidden or its page is left; the microphone must not stay open.
    new MutationObserver((_, observer) => {
      if (place.element.isConnected) return;
      observer.disconnect();
      this.#session?.close();
    }).observe(document.body, { childList: true, subtree: true });
    // Whoever leaves says so: the server need not find out by itself before somebody else may have the place.
    addEventListener("pagehide", () => this.#session?.close());
    this.#show();
  }

  get #live() {
    return !["idle", "ended"].includes(this.#session?.activity ?? "idle");
  }

  /** Talk; a session without a microphone is replaced by one that has it. */
  async #talk() {
    this.#session?.close();
    await this.#start(true);
  }

  /** @param {boolean} microphone */
  async #start(microphone) {
    const { base, props } = this.#place;
    this.#view.notify(null);
    this.#microphone = microphone || props.mode === "receive";
    this.#failed = false;
    const config = await this.#config();
    if (!config || this.#live) return;
    const session = new Session({
      base,
      mode: props.mode,
      modality: props.modality,
      ...constraints(props.modality, config.track_constraints ?? {}, microphone),
      deviceId: this.#deviceId,
      rtpParams: props.rtp_params,
      rtcConfiguration: config.rtc_configuration ?? undefined,
      transport: wantedTransport(),
    });
    this.#session = session;
    this.#follow(session, config);
    document.dispatchEvent(new CustomEvent("fastrtc:session", { detail: session }));
    // How it failed is told by the event "ended".
    await session.open().catch(() => {});
  }

  /** Asked for anew before each session: TURN credentials do not last. */
  async #config() {
    try {
      const response = await fetch(new URL("config.json", this.#place.base));
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      return await response.json();
    } catch (error) {
      this.#failed = true;
      const body = `The stream's configuration could not be read (${error instanceof Error ? error.message : error}).`;
      this.#view.notify({ kind: "error", title: "The server does not answer", body, actions: ["retry"] });
      this.#show();
      return null;
    }
  }

  /**
   * @param {Session} session
   * @param {{time_limit_s: number | null}} config
   */
  #follow(session, config) {
    const { trigger } = this.#place;
    let started = false;
    session.on("activity", () => this.#show());
    session.on("connected", ({ fallback }) => {
      this.#name(session);
      if (fallback) this.#view.notify(fallbackNotice(fallback));
      if (!started) trigger("start_recording");
      started = true;
      for (const text of this.#waiting.splice(0)) this.#submit(text);
      this.#show();
      void this.#listDevices();
    });
    session.on("sendinput", () => {
      // The handler may ask before this side knows that it is connected.
      this.#name(session);
      trigger("tick");
    });
    session.on("fetchoutput", () => {
      this.#name(session);
      trigger("state_change");
    });
    session.on("problem", (message) => trigger("error", message));
    session.on("notice", (message) => trigger("warning", message));
    session.on("ended", ({ reason, message, error }) => {
      if (this.#session !== session) return;
      this.#failed = error !== null;
      if (error) this.#view.notify(errorNotice(error));
      else this.#view.notify(reason === "server" ? endNotice(message, config.time_limit_s) : null);
      if (started) trigger("stop_recording");
      this.#show();
    });
    this.#animate(session);
    this.#show();
  }

  /** Tell Gradio which session this component's value is; a fallback or reconnection has another. @param {Session} session */
  #name(session) {
    const { props } = this.#place;
    const named = typeof props.value === "object" ? props.value?.webrtc_id : null;
    if (named !== session.id) props.value = { webrtc_id: session.id, textbox: "" };
  }

  #show() {
    const live = this.#live;
    this.#view.pictures(live ? (this.#session?.outputStream ?? null) : null, live ? (this.#session?.cameraStream ?? null) : null);
    this.#view.show({
      activity: this.#session?.activity ?? "idle",
      muted: live && (this.#session?.muted ?? false),
      microphone: this.#microphone,
      failed: this.#failed,
    });
  }

  #mute() {
    this.#session?.mute(!this.#session.muted);
    this.#show();
  }

  /** @param {string} text */
  #type(text) {
    if (this.#session?.transport) {
      this.#submit(text);
      return;
    }
    this.#waiting.push(text);
    if (!this.#live) void this.#start(false);
  }

  /** A typed turn: the text goes with the other inputs, as part of this component's value. @param {string} text */
  #submit(text) {
    const { props, trigger } = this.#place;
    const webrtc_id = this.#session?.id ?? "";
    props.value = { webrtc_id, textbox: text };
    trigger("submit");
    props.value = { webrtc_id, textbox: "" };
  }

  #valueFromServer() {
    const { props } = this.#place;
    if (props.value !== START) return;
    props.value = this.#live ? { webrtc_id: this.#session?.id ?? "", textbox: "" } : null;
    if (!this.#live) void this.#start(false);
  }

  /** @param {import("../words.js").Notice["actions"][number]} action */
  #act(action) {
    this.#view.notify(null);
    if (action === "retry") void this.#talk();
    if (action === "type") this.#view.focusText();
  }

  async #listDevices() {
    const { mode, modality } = this.#place.props;
    if (!this.#microphone || mode === "receive" || modality === "video") return;
    const microphones = (await listMicrophones()).filter(({ label }) => label);
    this.#view.devices(microphones, this.#session?.inputStream?.getAudioTracks()[0]?.getSettings().deviceId);
    this.#show();
  }

  /** @param {string} deviceId */
  async #choose(deviceId) {
    this.#deviceId = deviceId;
    try {
      await this.#session?.useMicrophone(deviceId);
    } catch (error) {
      this.#view.notify(errorNotice(/** @type {ClientError} */ (error)));
    }
  }

  /** @param {Session} session */
  #animate(session) {
    const frame = (/** @type {number} */ now) => {
      if (this.#session !== session || session.activity === "ended") return;
      this.#view.levels(session.levels, now);
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }
}

/**
 * A single modality's constraints stand alone, as FastRTC has it.
 *
 * @param {Looks["modality"]} modality
 * @param {MediaTrackConstraints & {audio?: MediaTrackConstraints, video?: MediaTrackConstraints}} given
 * @param {boolean} microphone
 */
function constraints(modality, given, microphone) {
  const both = modality === "audio-video";
  return { audio: microphone ? (both ? (given.audio ?? {}) : given) : false, video: both ? (given.video ?? {}) : given };
}

/** `?transport=websocket` or `?transport=webrtc` in the page's address forces one. */
function wantedTransport() {
  const wanted = new URLSearchParams(location.search).get("transport");
  return wanted === "websocket" || wanted === "webrtc" ? wanted : "auto";
}
