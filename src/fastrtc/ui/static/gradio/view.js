/**
 * The component's elements, and how they look in each state.
 *
 * @module
 */

import { ACTION_LABELS } from "../words.js";
import { Bars } from "./bars.js";
import { icon } from "./icons.js";
import { buttonLabel, phrases } from "./phrases.js";

/**
 * @typedef {import("../../client/index.js").Activity} Activity
 * @typedef {import("../words.js").Notice} Notice
 * @typedef {import("./component.js").Looks} Looks
 *
 * @typedef {object} Actions what the elements do
 * @property {() => void} toggle start or stop
 * @property {() => void} end
 * @property {() => void} mute
 * @property {(text: string) => void} type
 * @property {(deviceId: string) => void} choose
 * @property {(action: Notice["actions"][number]) => void} act on a notice
 *
 * @typedef {object} Shown
 * @property {Activity} activity
 * @property {boolean} muted
 * @property {boolean} microphone whether the session has one
 * @property {boolean} failed
 */

const WIDE_WAVE = 25;
const SMALL_WAVE = 9;

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} name class
 * @param {(Node | string)[]} content
 * @returns {HTMLElementTagNameMap[K]}
 */
function make(tag, name, ...content) {
  const made = document.createElement(tag);
  made.className = name;
  made.append(...content);
  return made;
}

/**
 * @param {string} name
 * @param {() => void} action
 */
function button(name, action) {
  const made = make("button", name);
  made.type = "button";
  made.addEventListener("click", action);
  return made;
}

export class View {
  #looks;
  #actions;
  #stage = make("section", "stage");
  #main;
  #mute;
  #end;
  #send;
  #state = make("p", "state");
  #hint = make("p", "hint");
  #device = make("select", "device");
  #notice = make("div", "notice");
  #waveHolder = make("div", "wave");
  #text = make("textarea", "text");
  #rings = [make("span", "ring"), make("span", "ring")];
  #reply = make("video", "reply");
  #own = make("video", "own");
  #wave;

  /**
   * @param {ShadowRoot} root
   * @param {Looks} looks
   * @param {Actions} actions
   */
  constructor(root, looks, actions) {
    this.#looks = looks;
    this.#actions = actions;
    const typing = looks.variant === "textbox" && looks.modality === "audio";
    this.#main = button(looks.icon && !typing && looks.modality === "audio" ? "main pictured" : "main", actions.toggle);
    this.#mute = button("round mute", actions.mute);
    this.#end = button("round end", actions.end);
    this.#end.append(icon("stop"));
    this.#end.setAttribute("aria-label", looks.button_labels.stop || "Stop");
    this.#send = button("round send", () => this.#submit());
    this.#send.append(icon("send"));
    this.#send.setAttribute("aria-label", "Send");
    this.#state.setAttribute("role", "status");
    this.#device.setAttribute("aria-label", "Microphone");
    this.#device.addEventListener("change", () => actions.choose(this.#device.value));
    this.#waveHolder.setAttribute("aria-hidden", "true");
    this.#wave = new Bars(this.#waveHolder, looks.full_screen && !typing ? WIDE_WAVE : SMALL_WAVE);
    this.#prepareText();
    for (const video of [this.#reply, this.#own]) this.#prepareVideo(video);
    this.#own.toggleAttribute("data-mirrored", looks.mirror_webcam);
    this.#stage.dataset.variant = looks.modality !== "audio" ? "video" : typing ? "textbox" : looks.icon ? "icon" : "wave";
    this.#stage.dataset.size = looks.full_screen && !typing && looks.modality === "audio" ? "tall" : "compact";
    this.#stage.toggleAttribute("data-full-screen", looks.full_screen);
    this.#stage.toggleAttribute("data-framed", looks.framed);
    this.#stage.setAttribute("aria-label", looks.caption || "Voice");
    this.#style();
    this.#stage.append(...this.#layout(typing));
    if (looks.caption) this.#stage.prepend(make("span", "caption", looks.caption));
    root.append(this.#stage);
  }

  /** @param {boolean} typing */
  #layout(typing) {
    const texts = make("div", "texts", this.#state, this.#hint);
    const extras = make("div", "extras", this.#mute, this.#device, this.#end);
    if (this.#looks.modality !== "audio") {
      const screen = make("div", "screen", icon("camera"), this.#reply, this.#own);
      return [screen, make("div", "row", this.#main, texts, extras), this.#notice];
    }
    if (typing) {
      const line = make("div", "line", this.#waveHolder, texts, extras);
      return [this.#notice, make("div", "composer", this.#text, this.#main, this.#send), line];
    }
    const face = this.#looks.icon ? make("div", "face", ...this.#rings, this.#main) : this.#waveHolder;
    if (this.#looks.full_screen) {
      const controls = this.#looks.icon ? [extras] : [this.#main, extras];
      return [face, texts, this.#notice, make("div", "controls", ...controls)];
    }
    const row = this.#looks.icon ? [face, texts, extras] : [this.#main, face, texts, extras];
    return [make("div", "row", ...row), this.#notice];
  }

  #style() {
    const { icon_button_color, pulse_color, icon_radius, size } = this.#looks;
    const style = this.#stage.style;
    if (icon_button_color) style.setProperty("--button", icon_button_color);
    if (pulse_color) style.setProperty("--pulse", pulse_color);
    if (typeof icon_radius === "number") style.setProperty("--radius", `${icon_radius}%`);
    if (size.height) style.setProperty("min-height", size.height);
    if (size.width) style.setProperty("width", size.width);
  }

  /** The session plays the sound. @param {HTMLVideoElement} video */
  #prepareVideo(video) {
    video.autoplay = video.muted = video.playsInline = true;
    video.hidden = true;
    video.addEventListener("resize", () => {
      if (video === this.#own && !this.#reply.hidden) return;
      const ratio = video.videoWidth / video.videoHeight;
      if (ratio > 0) this.#stage.style.setProperty("--ratio", ratio.toFixed(4));
    });
  }

  /**
   * @param {MediaStream | null} reply
   * @param {MediaStream | null} own
   */
  pictures(reply, own) {
    const { modality, mode } = this.#looks;
    // A picture that comes back changed needs no other one of the same camera beside it.
    const inset = modality === "audio-video" || mode === "send";
    for (const [video, stream] of /** @type {const} */ ([[this.#reply, reply], [this.#own, inset ? own : null]])) {
      const shown = stream?.getVideoTracks().length ? stream : null;
      video.hidden = shown === null;
      if (video.srcObject !== shown) video.srcObject = shown;
    }
  }

  #prepareText() {
    this.#text.rows = 1;
    this.#text.placeholder = "Type a message";
    this.#text.setAttribute("aria-label", "Message");
    this.#text.addEventListener("input", () => this.#fit());
    this.#text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
  }

  #fit() {
    this.#text.style.height = "auto";
    this.#text.style.height = `${this.#text.scrollHeight}px`;
    this.#send.disabled = this.#text.value.trim() === "";
  }

  #submit() {
    const text = this.#text.value.trim();
    if (!text) return;
    this.#text.value = "";
    this.#fit();
    this.#actions.type(text);
  }

  focusText() {
    this.#text.focus();
  }

  /** @param {Shown} shown */
  show({ activity, muted, microphone, failed }) {
    const { mode, modality, variant, button_labels } = this.#looks;
    const over = activity === "idle" || activity === "ended";
    const waiting = activity === "connecting" || activity === "reconnecting";
    const typing = variant === "textbox" && modality === "audio";
    this.#stage.dataset.activity = activity;
    this.#stage.toggleAttribute("data-live", !over && !waiting);
    this.#stage.toggleAttribute("data-muted", muted);
    const { state, hint } = phrases(activity, { mode, modality, typing, muted, microphone, failed });
    if (this.#state.textContent !== state) this.#state.textContent = state;
    this.#hint.textContent = hint;
    // A session that is only typed may get a microphone at any time.
    const talks = !over && (microphone || !typing);
    this.#showMain(buttonLabel(talks ? activity : "idle", mode, modality, button_labels), talks, waiting);
    const mutable = !over && !waiting && microphone && mode !== "receive" && modality !== "video";
    this.#mute.hidden = !mutable;
    this.#mute.replaceChildren(icon(muted ? "muted" : "microphone"));
    this.#mute.setAttribute("aria-pressed", String(muted));
    this.#mute.setAttribute("aria-label", muted ? "Unmute" : "Mute");
    // Elsewhere the main button says that it stops.
    this.#end.hidden = over || waiting || (microphone && this.#stage.dataset.variant !== "icon");
    this.#device.hidden = !mutable || this.#device.options.length < 2;
    this.#send.disabled = this.#text.value.trim() === "";
    if (over) this.levels({ input: 0, output: 0 }, 0);
  }

  /**
   * @param {string} label
   * @param {boolean} running
   * @param {boolean} waiting
   */
  #showMain(label, running, waiting) {
    const { mode, modality, icon: picture } = this.#looks;
    const start = mode === "receive" ? "play" : modality === "audio" ? "microphone" : "camera";
    const shape = waiting ? "waiting" : running ? "stop" : start;
    this.#main.toggleAttribute("data-running", running);
    if (picture && this.#stage.dataset.variant === "icon") {
      const image = make("img", "picture");
      image.src = picture;
      image.alt = "";
      this.#main.replaceChildren(image, ...(waiting ? [icon("waiting")] : []));
      this.#main.setAttribute("aria-label", label);
      return;
    }
    this.#main.replaceChildren(icon(shape), make("span", "label", label));
    this.#main.setAttribute("aria-label", label);
  }

  /**
   * @param {{input: number, output: number}} levels
   * @param {number} nowMs 0: still
   */
  levels({ input, output }, nowMs) {
    if (nowMs === 0) this.#wave.rest();
    else this.#wave.add(Math.max(input, output), nowMs);
    this.#stage.style.setProperty("--loud", Math.max(input, output).toFixed(3));
  }

  /**
   * @param {{id: string, label: string}[]} microphones
   * @param {string | undefined} chosen
   */
  devices(microphones, chosen) {
    const options = microphones.map(({ id, label }) => new Option(label, id, false, id === chosen));
    this.#device.replaceChildren(...options);
  }

  /** @param {Notice | null} notice */
  notify(notice) {
    this.#notice.replaceChildren();
    if (!notice) return;
    this.#notice.dataset.kind = notice.kind;
    this.#notice.setAttribute("role", notice.kind === "info" ? "status" : "alert");
    const typing = this.#looks.variant === "textbox";
    const actions = notice.actions.filter((action) => action !== "type" || typing);
    this.#notice.append(make("strong", "notice-title", notice.title), make("p", "notice-body", notice.body));
    const buttons = actions.map((action) => {
      const made = button("small", () => this.#actions.act(action));
      made.textContent = ACTION_LABELS[action];
      return made;
    });
    this.#notice.append(make("div", "notice-actions", ...buttons));
  }
}
