/**
 * The built-in page: connects its elements with a session of the browser client.
 *
 * Every session is announced by the event `fastrtc:session` on the document, with the `Session` as its detail.
 *
 * @module
 */

import { MAX_TURNS, MicrophoneError, Session, listCameras, listMicrophones } from "../client/index.js";
import { LogView } from "./log-view.js";
import { Ribbon } from "./ribbon.js";
import { ACTION_LABELS, endNotice, errorNotice, fallbackNotice, milliseconds, stateWords } from "./words.js";

/**
 * @typedef {import("./words.js").Notice} Notice
 * @typedef {object} PageConfig what the server tells in config.json
 * @property {string} title
 * @property {string} subtitle
 * @property {"audio" | "video" | "audio-video"} modality
 * @property {"send-receive" | "send" | "receive"} mode
 * @property {string} base
 * @property {RTCConfiguration | null} rtc_configuration
 * @property {MediaTrackConstraints & {audio?: MediaTrackConstraints, video?: MediaTrackConstraints}} track_constraints
 * @property {Partial<RTCRtpSendParameters>} rtp_params
 * @property {number | null} time_limit_s
 * @property {{text_input: boolean, captions: boolean, stop_words: string[]}} features
 */

const TRANSPORTS = { webrtc: "WebRTC", websocket: "WebSocket" };

/** @template {HTMLElement} T @param {string} id @param {new () => T} type @returns {T} */
function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no element #${id}`);
  return found;
}

const ui = {
  title: element("title", HTMLElement),
  subtitle: element("subtitle", HTMLElement),
  link: element("link", HTMLElement),
  linkText: element("link-text", HTMLElement),
  notice: element("notice", HTMLElement),
  noticeTitle: element("notice-title", HTMLElement),
  noticeBody: element("notice-body", HTMLElement),
  noticeActions: element("notice-actions", HTMLElement),
  orb: element("orb", HTMLElement),
  mic: element("mic", HTMLButtonElement),
  state: element("state", HTMLElement),
  hint: element("hint", HTMLElement),
  keys: element("keys", HTMLElement),
  caption: element("caption", HTMLElement),
  captionText: element("caption-text", HTMLElement),
  ribbon: element("ribbon", HTMLCanvasElement),
  device: element("device", HTMLElement),
  deviceSelect: element("device-select", HTMLSelectElement),
  pictures: element("pictures", HTMLElement),
  replyVideo: element("reply-video", HTMLVideoElement),
  ownVideo: element("own-video", HTMLVideoElement),
  camera: element("camera", HTMLElement),
  cameraSelect: element("camera-select", HTMLSelectElement),
  cameraOff: element("camera-off", HTMLButtonElement),
  liveButtons: element("live-buttons", HTMLElement),
  mute: element("mute", HTMLButtonElement),
  stopReply: element("stop-reply", HTMLButtonElement),
  end: element("end", HTMLButtonElement),
  type: element("type", HTMLFormElement),
  text: element("text", HTMLInputElement),
  send: element("send", HTMLButtonElement),
};

class Page {
  #config;
  /** @type {Session | null} */ #session = null;
  #withMicrophone = true;
  #failed = false;
  /** @type {import("../client/index.js").Turn[]} turns of sessions that are over */ #past = [];
  #sessions = 0;
  #awake = false;
  #ribbon = new Ribbon(ui.ribbon);
  #log = new LogView({
    list: element("turns", HTMLElement),
    empty: element("empty", HTMLElement),
    summary: element("log-summary", HTMLElement),
    scroll: element("turns-scroll", HTMLElement),
  });

  /** @param {PageConfig} config */
  constructor(config) {
    this.#config = config;
    document.title = config.title;
    ui.title.textContent = config.title;
    ui.subtitle.textContent = config.subtitle;
    ui.subtitle.hidden = !config.subtitle;
    ui.type.hidden = !config.features.text_input;
    document.body.dataset.modality = config.modality;
    document.body.dataset.mode = config.mode;
    ui.caption.hidden = !config.features.captions;
    this.#listen();
    this.#show();
    void this.#listDevices();
    if (!isSecureContext) this.#notify(errorNotice(new MicrophoneError("insecure_context", "")));
  }

  get #live() {
    return this.#session !== null && this.#session.activity !== "ended";
  }

  get #hasSound() {
    return this.#config.modality !== "video";
  }

  get #hasCamera() {
    return this.#config.modality !== "audio" && this.#config.mode !== "receive";
  }

  #listen() {
    ui.mic.addEventListener("click", () => (this.#live ? this.#toggleMute() : void this.#start(true)));
    ui.mute.addEventListener("click", () => this.#toggleMute());
    ui.stopReply.addEventListener("click", () => this.#session?.stopReply());
    ui.end.addEventListener("click", () => this.#session?.close());
    for (const video of [ui.replyVideo, ui.ownVideo]) video.addEventListener("resize", () => this.#showShape());
    ui.cameraOff.addEventListener("click", () => this.#toggleCamera());
    ui.cameraSelect.addEventListener("change", () => void this.#chooseCamera());
    ui.deviceSelect.addEventListener("change", () => void this.#chooseDevice());
    ui.text.addEventListener("input", () => this.#show());
    ui.type.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#sendText();
    });
    addEventListener("keydown", (event) => this.#onKey(event));
    addEventListener("pagehide", () => this.#session?.close());
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.#listDevices());
  }

  /** @param {boolean} microphone false: type only */
  async #start(microphone) {
    if (this.#live) return;
    this.#notify(null);
    this.#withMicrophone = microphone;
    this.#failed = false;
    if (ui.cameraOff.getAttribute("aria-pressed") === "true") this.#toggleCamera();
    const prefix = `${++this.#sessions}:`;
    this.#past = this.#past.concat(this.#turnsOf(this.#session, `${this.#sessions - 1}:`)).slice(-MAX_TURNS);
    const session = new Session({
      base: new URL(this.#config.base, document.baseURI),
      transport: wantedTransport(),
      mode: this.#config.mode,
      modality: this.#config.modality,
      ...this.#constraints(microphone),
      deviceId: ui.deviceSelect.value || undefined,
      cameraId: ui.cameraSelect.value || undefined,
      rtpParams: this.#config.rtp_params,
      rtcConfiguration: this.#config.rtc_configuration ?? undefined,
      // Behind the "#" it reaches no server's log.
      token: new URLSearchParams(location.hash.slice(1)).get("token") ?? undefined,
    });
    this.#session = session;
    this.#follow(session, prefix);
    document.dispatchEvent(new CustomEvent("fastrtc:session", { detail: session }));
    this.#caption({ text: "", final: true });
    ui.caption.hidden = !this.#config.features.captions;
    this.#setAwake(false);
    this.#ribbon.clear();
    this.#animate(session);
    // A failure is told by the session's `ended` event, which follows it in any case.
    await session.open().catch(() => {});
    void this.#listDevices();
  }

  /** A single modality's constraints stand alone, as FastRTC has it. @param {boolean} microphone */
  #constraints(microphone) {
    const { modality, track_constraints: given } = this.#config;
    const both = modality === "audio-video";
    return { audio: microphone ? (both ? (given.audio ?? {}) : given) : false, video: both ? (given.video ?? {}) : given };
  }

  /** @param {Session} session @param {string} prefix */
  #follow(session, prefix) {
    session.on("activity", () => this.#show());
    session.on("connected", () => this.#watch(ui.replyVideo, session.outputStream));
    session.on("turns", () => this.#log.show(this.#past.concat(this.#turnsOf(session, prefix)).slice(-MAX_TURNS)));
    session.on("connected", ({ fallback }) => {
      this.#notify(fallback ? fallbackNotice(fallback) : null);
      this.#watchLink(session);
    });
    session.on("transcript", (transcript) => this.#caption(transcript));
    session.on("stopword", () => this.#setAwake(true));
    session.on("log", (data) => data === "stopword_timeout" && this.#setAwake(false));
    session.on("reconnecting", ({ attempt }) => {
      ui.hint.textContent = `The server does not answer. Trying again (${attempt} of 5).`;
    });
    session.on("problem", (message) => this.#notify({ kind: "error", title: "The function reported an error", body: message, actions: ["dismiss"] }));
    session.on("notice", (message) => this.#notify({ kind: "warning", title: "A word from the function", body: message, actions: ["dismiss"] }));
    session.on("event", (event) => {
      if (event.name === "turn_committed" || event.name === "session_started") this.#setAwake(false);
      if (event.name === "handler_failed" && event.turn === null) {
        this.#notify({ kind: "error", title: "The function failed", body: event.message, actions: ["dismiss"] });
      }
    });
    session.on("ended", ({ reason, message, error }) => this.#onEnded(reason, message, error));
  }

  /** @type {WeakMap<import("../client/index.js").Turn, import("../client/index.js").Turn>} */
  #named = new WeakMap();

  /** Turns as no other session of this page has them, in key and number. @param {Session | null} session @param {string} prefix */
  #turnsOf(session, prefix) {
    const before = this.#past.at(-1)?.index ?? 0;
    return (session?.turns ?? []).map((turn) => {
      const named = this.#named.get(turn) ?? { ...turn, key: prefix + turn.key, index: before + turn.index };
      this.#named.set(turn, named);
      return named;
    });
  }

  /** @param {"closed" | "server" | "lost" | "failed"} reason @param {string} message @param {import("../client/index.js").ClientError | null} error */
  #onEnded(reason, message, error) {
    this.#failed = error !== null;
    if (error) this.#notify(errorNotice(error));
    else if (reason === "server") this.#notify(endNotice(message, this.#config.time_limit_s));
    else this.#notify(null);
    this.#show();
    if (document.activeElement === document.body) ui.mic.focus({ preventScroll: true });
  }

  /** @param {{text: string, final: boolean}} transcript */
  #caption({ text, final }) {
    ui.caption.hidden = false;
    ui.caption.toggleAttribute("data-partial", !final);
    // The recogniser ends every guess like a sentence.
    ui.captionText.textContent = final ? text : text.replace(/[.,?!]+$/, "");
  }

  /** @param {boolean} awake whether a stop word was heard, and what comes is for the function */
  #setAwake(awake) {
    if (this.#awake === awake) return;
    this.#awake = awake;
    this.#show();
  }

  #toggleMute() {
    const session = this.#session;
    if (!session || !this.#hasSound || !this.#withMicrophone || session.activity === "connecting") return;
    session.mute(!session.muted);
    this.#show();
  }

  #sendText() {
    const text = ui.text.value.trim();
    if (!text || !this.#canType) return;
    this.#session?.sendText(text);
    ui.text.value = "";
    this.#show();
  }

  get #canType() {
    const activity = this.#session?.activity ?? "idle";
    return !["idle", "connecting", "reconnecting", "ended"].includes(activity);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const target = event.target instanceof HTMLElement ? event.target : document.body;
    if (event.key === "Escape" && this.#live) {
      this.#session?.stopReply();
    } else if (event.key === " " && !event.repeat && !target.closest("input, select, button, textarea, [tabindex]")) {
      event.preventDefault();
      ui.mic.click();
    }
  }

  #show() {
    const session = this.#session;
    const activity = session?.activity ?? "idle";
    const muted = session?.muted ?? false;
    const live = this.#live;
    document.body.dataset.activity = activity;
    document.body.toggleAttribute("data-muted", live && (muted || !this.#withMicrophone));
    const { modality, mode } = this.#config;
    const { state, hint } = stateWords(activity, {
      muted,
      microphone: this.#withMicrophone,
      failed: this.#failed,
      modality,
      mode,
      stopWords: this.#config.features.stop_words,
      awake: this.#awake,
    });
    document.body.toggleAttribute("data-awake", live && this.#awake);
    if (ui.state.textContent !== state) ui.state.textContent = state;
    this.#showPictures(session, live);
    ui.hint.textContent = hint;
    const start = this.#hasSound ? "Start talking" : "Start the video";
    ui.mic.setAttribute("aria-label", live ? (muted ? "Unmute the microphone" : "Mute the microphone") : start);
    ui.mic.disabled = live && !this.#withMicrophone;
    ui.liveButtons.hidden = !live;
    ui.keys.hidden = !live;
    ui.mute.disabled = !this.#withMicrophone;
    ui.mute.setAttribute("aria-pressed", String(muted));
    ui.mute.textContent = muted ? "Unmute" : "Mute";
    ui.stopReply.disabled = !["thinking", "replying", "held"].includes(activity);
    ui.link.hidden = !live || (session?.transport ?? null) === null;
    ui.text.disabled = !this.#canType;
    ui.send.disabled = !this.#canType || ui.text.value.trim() === "";
  }

  /** @param {Session | null} session @param {boolean} live */
  #showPictures(session, live) {
    ui.pictures.hidden = !live || this.#config.modality === "audio";
    this.#watch(ui.ownVideo, live ? (session?.cameraStream ?? null) : null);
    if (!live) this.#watch(ui.replyVideo, null);
    ui.cameraOff.hidden = !live || !this.#hasCamera;
    ui.mute.hidden = !this.#hasSound;
    ui.stopReply.hidden = !this.#hasSound;
  }

  /** @param {HTMLVideoElement} element @param {MediaStream | null} stream */
  #watch(element, stream) {
    const watched = stream?.getVideoTracks().length ? stream : null;
    element.hidden = watched === null;
    if (element.srcObject !== watched) element.srcObject = watched;
    this.#showShape();
  }

  /** The frame has the shape of the large picture, which may change at any time. */
  #showShape() {
    const { videoWidth, videoHeight } = ui.replyVideo.hidden ? ui.ownVideo : ui.replyVideo;
    if (videoWidth && videoHeight) ui.pictures.style.setProperty("--ratio", (videoWidth / videoHeight).toFixed(4));
  }

  #toggleCamera() {
    const off = ui.cameraOff.getAttribute("aria-pressed") !== "true";
    this.#session?.showCamera(!off);
    ui.cameraOff.setAttribute("aria-pressed", String(off));
    ui.cameraOff.textContent = off ? "Camera on" : "Camera off";
    document.body.toggleAttribute("data-camera-off", off);
  }

  async #chooseCamera() {
    if (!this.#live) return;
    try {
      await this.#session?.useCamera(ui.cameraSelect.value);
    } catch (error) {
      this.#notify(errorNotice(/** @type {import("../client/index.js").ClientError} */ (error)));
    }
    this.#show();
  }

  /** @param {Session} session */
  #watchLink(session) {
    const name = session.transport ? TRANSPORTS[session.transport] : "";
    ui.linkText.textContent = name;
    const timer = setInterval(async () => {
      if (this.#session !== session || session.activity === "ended") return clearInterval(timer);
      const ms = await session.roundTripMs();
      if (session.transport) ui.linkText.textContent = TRANSPORTS[session.transport] + (ms === null ? "" : ` · ${milliseconds(ms)}`);
    }, 2000);
    this.#show();
  }

  /** @param {Session} session */
  #animate(session) {
    const [reply, you] = /** @type {NodeListOf<HTMLElement>} */ (ui.orb.querySelectorAll(".halo"));
    const smooth = { input: 0, output: 0 };
    const frame = (/** @type {number} */ now) => {
      const over = this.#session !== session || session.activity === "ended";
      const levels = over ? { input: 0, output: 0 } : session.levels;
      smooth.input = over ? 0 : Math.max(levels.input, smooth.input * 0.88);
      smooth.output = over ? 0 : Math.max(levels.output, smooth.output * 0.88);
      you.style.setProperty("--scale", (0.9 + smooth.input * 0.5).toFixed(3));
      reply.style.setProperty("--scale", (0.9 + smooth.output * 0.66).toFixed(3));
      if (over) return;
      this.#ribbon.add(levels, now);
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  async #listDevices() {
    await this.#listMicrophones();
    if (!this.#hasCamera) return;
    const cameras = (await listCameras()).filter(({ label }) => label);
    ui.camera.hidden = cameras.length < 2;
    const chosen = ui.cameraSelect.value || this.#session?.cameraStream?.getVideoTracks()[0]?.getSettings().deviceId;
    ui.cameraSelect.replaceChildren(...cameras.map(({ id, label }) => new Option(label, id, false, id === chosen)));
  }

  async #listMicrophones() {
    if (!this.#hasSound) return;
    const microphones = (await listMicrophones()).filter(({ label }) => label);
    ui.device.hidden = microphones.length === 0;
    const chosen = ui.deviceSelect.value || this.#session?.inputStream?.getAudioTracks()[0]?.getSettings().deviceId;
    ui.deviceSelect.replaceChildren(...microphones.map(({ id, label }) => new Option(label, id, false, id === chosen)));
  }

  async #chooseDevice() {
    if (!this.#live || !this.#withMicrophone) return;
    try {
      await this.#session?.useMicrophone(ui.deviceSelect.value);
    } catch (error) {
      this.#notify(errorNotice(/** @type {import("../client/index.js").ClientError} */ (error)));
    }
  }

  /** @param {Notice | null} notice */
  #notify(notice) {
    ui.notice.hidden = notice === null;
    if (!notice) return;
    ui.notice.dataset.kind = notice.kind;
    ui.notice.setAttribute("role", notice.kind === "info" ? "status" : "alert");
    ui.noticeTitle.textContent = notice.title;
    ui.noticeBody.textContent = notice.body;
    const typing = this.#config.features.text_input && this.#hasSound;
    const actions = notice.actions.filter((action) => action !== "type" || typing);
    ui.noticeActions.replaceChildren(...actions.map((action, index) => this.#action(action, index === 0)));
  }

  /** @param {Notice["actions"][number]} action @param {boolean} primary */
  #action(action, primary) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = primary && action !== "dismiss" ? "button button-primary" : "button";
    button.textContent = ACTION_LABELS[action];
    button.addEventListener("click", () => {
      if (action === "dismiss") this.#notify(null);
      else void this.#start(action === "retry").then(() => action === "type" && ui.text.focus());
    });
    return button;
  }
}

/** `?transport=websocket` or `?transport=webrtc` forces one. */
function wantedTransport() {
  const wanted = new URLSearchParams(location.search).get("transport");
  return wanted === "websocket" || wanted === "webrtc" ? wanted : "auto";
}

async function main() {
  try {
    const response = await fetch("config.json");
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    new Page(await response.json());
  } catch (error) {
    ui.state.textContent = "The server does not answer";
    ui.hint.textContent = `This page could not read its configuration (${error instanceof Error ? error.message : error}). Reload it to try again.`;
    ui.mic.disabled = true;
  }
}

void main();
