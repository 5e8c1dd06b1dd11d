/**
 * The microphone of one session: which one it is, whether it is heard, and how loud it is.
 *
 * @module
 */

import { LevelMeter } from "./audio-level.js";
import { openMicrophone } from "./devices.js";

export class Microphone {
  #wanted;
  /** @type {AudioContext | null} */ #context = null;
  /** @type {MediaStream | null} */ #stream = null;
  /** @type {LevelMeter | null} */ #meter = null;
  #owned = true;
  #muted = false;
  #closed = false;

  /** @param {boolean | MediaTrackConstraints | MediaStream} wanted how to open it, or a stream to send instead */
  constructor(wanted) {
    this.#wanted = wanted;
  }

  get stream() {
    return this.#stream;
  }

  get track() {
    return this.#stream?.getAudioTracks()[0] ?? null;
  }

  get muted() {
    return this.#muted;
  }

  /** How loud it is right now, 0 to 1. */
  get level() {
    return this.#muted ? 0 : (this.#meter?.read() ?? 0);
  }

  /**
   * Open it; silence is sent where none is wanted.
   *
   * @param {AudioContext} context
   * @param {string} [deviceId] of one in particular
   * @throws {import("./errors.js").MicrophoneError}
   */
  async open(context, deviceId) {
    const wanted = this.#wanted;
    this.#context = context;
    this.#owned = !(wanted instanceof MediaStream);
    if (wanted instanceof MediaStream) this.#take(wanted);
    else if (wanted === false) this.#take(context.createMediaStreamDestination().stream);
    else this.#take(await openMicrophone(wanted === true ? {} : wanted, deviceId));
  }

  /**
   * Use another one from now on.
   *
   * @param {string} deviceId
   * @returns {Promise<MediaStreamTrack | null>} what is to be sent now; null where nothing has changed
   * @throws {import("./errors.js").MicrophoneError} the old one stays in use
   */
  async use(deviceId) {
    if (!this.#context || this.#closed || !this.#owned) return null;
    const wanted = this.#wanted;
    const constraints = typeof wanted === "object" && !(wanted instanceof MediaStream) ? wanted : {};
    const stream = await openMicrophone(constraints, deviceId);
    this.#release();
    this.#take(stream);
    return this.#closed ? null : this.track;
  }

  /** @param {boolean} muted whether silence is sent instead of what it hears */
  mute(muted) {
    this.#muted = muted;
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = !muted;
  }

  /** For good: what is being opened is given back at once. */
  close() {
    this.#closed = true;
    this.#release();
  }

  /** @param {MediaStream} stream */
  #take(stream) {
    this.#stream = stream;
    if (this.#closed || !this.#context) {
      this.#release();
      return;
    }
    if (this.#muted) this.mute(true);
    this.#meter = new LevelMeter(this.#context, stream);
  }

  #release() {
    this.#meter?.close();
    this.#meter = null;
    if (this.#owned) for (const track of this.#stream?.getTracks() ?? []) track.stop();
  }
}
