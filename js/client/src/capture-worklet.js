/**
 * AudioWorklet: cuts what the microphone gives into 20 ms frames for the main thread.
 *
 * Worklet files import nothing: not every browser resolves imports there.
 *
 * @module
 */

export class CaptureProcessor extends AudioWorkletProcessor {
  #frame = new Float32Array(Math.round(sampleRate / 50));
  #filled = 0;

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const channels = inputs[0];
    const length = channels[0]?.length ?? 0;
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      this.#frame[this.#filled++] = sum / channels.length;
      if (this.#filled === this.#frame.length) this.#send();
    }
    return true;
  }

  #send() {
    this.port.postMessage(this.#frame, [this.#frame.buffer]);
    this.#frame = new Float32Array(Math.round(sampleRate / 50));
    this.#filled = 0;
  }
}

registerProcessor("fastrtc-capture", CaptureProcessor);
