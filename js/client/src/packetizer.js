/**
 * How much microphone audio goes into one message.
 *
 * What a message costs its server hardly depends on its length. While nobody makes a sound, ten 20 ms frames travel
 * together; at the first louder frame everything that waits is sent at once, and for two seconds after the last one
 * each frame goes out alone, so that neither the start of a word nor the end of a turn comes late.
 *
 * @module
 */

const FRAMES_PER_QUIET_PACKET = 10;
const HANGOVER_FRAMES = 100;
/** A frame counts as louder from this many times the level of the background (9.5 dB). */
const ABOVE_BACKGROUND = 3;
/** Below -80 dBFS nothing is a sound. */
const LEAST_LEVEL = 1e-4;
/** The background follows a quieter frame at once and a louder one by 4 dB a second. */
const RISE_PER_FRAME = 1.01;

export class Packetizer {
  #frame;
  #filled = 0;
  /** @type {Float32Array[]} */ #waiting = [];
  #background = Infinity;
  #hangover = HANGOVER_FRAMES;

  /** @param {number} frameSamples samples of 20 ms */
  constructor(frameSamples) {
    this.#frame = new Float32Array(frameSamples);
  }

  /**
   * @param {Float32Array} samples
   * @returns {Float32Array[]} the packets that are due, each a whole number of frames
   */
  push(samples) {
    /** @type {Float32Array[]} */
    const due = [];
    for (let at = 0; at < samples.length; ) {
      const part = samples.subarray(at, at + this.#frame.length - this.#filled);
      this.#frame.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === this.#frame.length) {
        this.#weigh(this.#frame);
        this.#waiting.push(this.#frame);
        this.#frame = new Float32Array(this.#frame.length);
        this.#filled = 0;
        if (this.#hangover > 0 || this.#waiting.length === FRAMES_PER_QUIET_PACKET) due.push(this.#pack());
      }
    }
    return due;
  }

  /** @param {Float32Array} frame */
  #weigh(frame) {
    const level = Math.sqrt(frame.reduce((sum, sample) => sum + sample * sample, 0) / frame.length);
    this.#background = Math.min(level, this.#background * RISE_PER_FRAME);
    const isSound = level > Math.max(LEAST_LEVEL, ABOVE_BACKGROUND * this.#background);
    this.#hangover = isSound ? HANGOVER_FRAMES : Math.max(0, this.#hangover - 1);
  }

  #pack() {
    const packet = new Float32Array(this.#waiting.length * this.#frame.length);
    this.#waiting.forEach((frame, i) => packet.set(frame, i * frame.length));
    this.#waiting = [];
    return packet;
  }
}
