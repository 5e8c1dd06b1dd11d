/**
 * Stateful sample-rate conversion: a polyphase windowed-sinc filter.
 *
 * The browser could be asked for an AudioContext at the server's rate, but Firefox refuses to connect a microphone to
 * one, and input and output rates may differ.
 *
 * @module
 */

const HALF_WIDTH = 16;
const KAISER_BETA = 8;
const PASSBAND = 0.92;

export class Resampler {
  /** @type {Float32Array} */ #phases;
  /** @type {Float32Array} */ #history;
  #taps;
  #up;
  #down;
  /** Where the next output lies, in 1/up of an input sample, counted from the first sample of the history. */
  #position = 0;

  /**
   * @param {number} fromHz
   * @param {number} toHz
   */
  constructor(fromHz, toHz) {
    const divisor = gcd(fromHz, toHz);
    this.#up = toHz / divisor;
    this.#down = fromHz / divisor;
    const stretch = Math.max(1, fromHz / toHz);
    const half = Math.ceil(HALF_WIDTH * stretch);
    this.#taps = 2 * half;
    this.#phases = designPhases(this.#up, half, (PASSBAND * 0.5) / stretch);
    this.#history = new Float32Array(half - 1);
  }

  /** Forget the past, as at the start. */
  reset() {
    this.#history = new Float32Array(this.#taps / 2 - 1);
    this.#position = 0;
  }

  /**
   * The stream pauses: give out what still waits, and start anew.
   *
   * @returns {Float32Array<ArrayBuffer>}
   */
  flush() {
    const rest = this.process(new Float32Array(this.#taps / 2));
    this.reset();
    return rest;
  }

  /**
   * Convert the next samples of the stream. Over time exactly `toHz / fromHz` samples come out per sample that goes in;
   * the last half filter width of input waits for the next call.
   *
   * @param {Float32Array} samples
   * @returns {Float32Array<ArrayBuffer>}
   */
  process(samples) {
    const taps = this.#taps;
    const input = new Float32Array(this.#history.length + samples.length);
    input.set(this.#history);
    input.set(samples, this.#history.length);
    const ready = (input.length - taps + 1) * this.#up - this.#position;
    const output = new Float32Array(Math.max(0, Math.ceil(ready / this.#down)));
    let position = this.#position;
    for (let i = 0; i < output.length; i++) {
      const start = Math.floor(position / this.#up);
      const phase = (position % this.#up) * taps;
      let sum = 0;
      for (let k = 0; k < taps; k++) sum += input[start + k] * this.#phases[phase + k];
      output[i] = sum;
      position += this.#down;
    }
    const consumed = Math.min(Math.floor(position / this.#up), input.length);
    this.#history = input.slice(consumed);
    this.#position = position - consumed * this.#up;
    return output;
  }
}

/** @param {number} a @param {number} b @returns {number} */
function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}

/**
 * @param {number} up number of phases
 * @param {number} half half filter length in input samples
 * @param {number} cutoff in cycles per input sample
 */
function designPhases(up, half, cutoff) {
  const taps = 2 * half;
  const phases = new Float32Array(up * taps);
  for (let phase = 0; phase < up; phase++) {
    const row = phases.subarray(phase * taps, (phase + 1) * taps);
    let sum = 0;
    for (let k = 0; k < taps; k++) {
      const t = k - (half - 1) - phase / up;
      const window = besselI0(KAISER_BETA * Math.sqrt(Math.max(0, 1 - (t / half) ** 2)));
      const angle = 2 * Math.PI * cutoff * t;
      row[k] = window * (t === 0 ? 1 : Math.sin(angle) / angle);
      sum += row[k];
    }
    for (let k = 0; k < taps; k++) row[k] /= sum;
  }
  return phases;
}

/** @param {number} x @returns {number} modified Bessel function of the first kind, order 0 */
function besselI0(x) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-9; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
