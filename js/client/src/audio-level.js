/**
 * How loud a stream is, for meters.
 *
 * @module
 */

const FLOOR_DB = -60;
const CEILING_DB = -9;

/**
 * Loudness on the scale of a meter.
 *
 * @param {Float32Array} samples in [-1, 1)
 * @returns {number} 0 (at or below -60 dBFS) to 1 (at or above -9 dBFS RMS, as loud as speech gets)
 */
export function meterLevel(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  if (sum === 0) return 0;
  const db = 10 * Math.log10(sum / samples.length);
  return Math.min(1, Math.max(0, (db - FLOOR_DB) / (CEILING_DB - FLOOR_DB)));
}

/** Reads the level of a MediaStream whenever asked. */
export class LevelMeter {
  #analyser;
  #source;
  #samples;

  /**
   * @param {AudioContext} context
   * @param {MediaStream} stream with an audio track
   */
  constructor(context, stream) {
    this.#analyser = context.createAnalyser();
    this.#analyser.fftSize = 1024;
    this.#source = context.createMediaStreamSource(stream);
    this.#source.connect(this.#analyser);
    this.#samples = new Float32Array(this.#analyser.fftSize);
  }

  /** @returns {number} level of the last 20 ms or so, 0 to 1 */
  read() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return meterLevel(this.#samples);
  }

  close() {
    this.#source.disconnect();
  }
}
