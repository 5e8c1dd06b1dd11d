/**
 * AudioWorklet: plays what came over the WebSocket, from a jitter buffer that can be emptied at once.
 *
 * Worklet files import nothing: not every browser resolves imports there.
 *
 * @module
 */

/**
 * A queue of samples that evens out uneven arrival.
 *
 * It waits until `target` samples are there (or the first has waited that long), then plays. If it runs dry and more
 * arrives soon after, arrival was less even than thought and the target grows; a reply without a gap lets it shrink.
 */
export class PlaybackBuffer {
  /** @type {{samples: Float32Array, turn: number}[]} */ #chunks = [];
  #offset = 0;
  #queued = 0;
  #playing = false;
  #waited = 0;
  #drySince = Infinity;
  #gaps = 0;
  #turn = 0;
  #fade = new Float32Array(0);
  #rate;
  #target;

  /** @param {number} rate Hz */
  constructor(rate) {
    this.#rate = rate;
    this.#target = 0.06 * rate;
    /** Turn whose audio was played last, and how much of it. */
    this.played = { turn: 0, samples: 0 };
  }

  get queuedMs() {
    return (this.#queued / this.#rate) * 1000;
  }

  get targetMs() {
    return (this.#target / this.#rate) * 1000;
  }

  /** Nothing is queued and nothing has been played for 100 ms. */
  get idle() {
    return this.#queued === 0 && this.#drySince > 0.1 * this.#rate;
  }

  /** @param {number} turn to which all audio belongs that is pushed from now on */
  startTurn(turn) {
    this.#turn = turn;
  }

  /**
   * @param {Float32Array} samples
   * @param {boolean} [isTail] the last few samples of a reply, which come late on purpose
   */
  push(samples, isTail = false) {
    if (this.#queued > 120 * this.#rate || samples.length === 0) return;
    if (!isTail) this.#learn();
    this.#drySince = Infinity;
    this.#chunks.push({ samples, turn: this.#turn });
    this.#queued += samples.length;
  }

  /** Adapt the target to how evenly audio arrives. */
  #learn() {
    if (this.#drySince < 0.2 * this.#rate) {
      this.#gaps += 1;
      this.#target = Math.min(this.#target * 1.5, 0.4 * this.#rate);
    } else if (this.#queued === 0 && !this.#playing) {
      if (this.#gaps === 0) this.#target = Math.max(this.#target * 0.9, 0.04 * this.#rate);
      this.#gaps = 0;
    }
  }

  /** Drop all that is queued. What sounds right now fades out over 128 samples, which avoids a click. */
  clear() {
    const head = this.#chunks[0];
    if (this.#playing && head) {
      this.#fade = head.samples.slice(this.#offset, this.#offset + 128);
      for (let i = 0; i < this.#fade.length; i++) this.#fade[i] *= 1 - (i + 1) / this.#fade.length;
    }
    this.#chunks = [];
    this.#offset = 0;
    this.#queued = 0;
    this.#playing = false;
    this.#waited = 0;
    this.#drySince = Infinity;
    this.#gaps = 0;
  }

  /** @param {Float32Array} output filled with what is to be heard next */
  pull(output) {
    output.fill(0);
    const fading = Math.min(this.#fade.length, output.length);
    output.set(this.#fade.subarray(0, fading));
    this.#fade = this.#fade.slice(fading);
    if (!this.#playing && !this.#mayStart(output.length)) return;
    let at = 0;
    while (at < output.length && this.#chunks.length > 0) at += this.#take(output, at);
    if (at < output.length) {
      this.#playing = false;
      this.#waited = 0;
      this.#drySince = output.length - at;
    }
  }

  /** @param {number} length */
  #mayStart(length) {
    if (this.#queued === 0) {
      this.#drySince += length;
      return false;
    }
    this.#waited += length;
    this.#playing = this.#queued >= this.#target || this.#waited > this.#target;
    return this.#playing;
  }

  /**
   * @param {Float32Array} output
   * @param {number} at
   */
  #take(output, at) {
    const { samples, turn } = this.#chunks[0];
    const count = Math.min(output.length - at, samples.length - this.#offset);
    output.set(samples.subarray(this.#offset, this.#offset + count), at);
    this.#offset += count;
    this.#queued -= count;
    if (turn !== this.played.turn) this.played = { turn, samples: 0 };
    this.played.samples += count;
    if (this.#offset === samples.length) {
      this.#chunks.shift();
      this.#offset = 0;
    }
    return count;
  }
}

export class PlaybackProcessor extends AudioWorkletProcessor {
  #buffer = new PlaybackBuffer(sampleRate);
  #told = { turn: 0, samples: 0 };
  #sinceReport = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data.type === "push") this.#buffer.push(data.samples, data.isTail);
      else if (data.type === "turn") this.#buffer.startTurn(data.turn);
      else if (data.type === "clear") {
        this.#buffer.clear();
        this.#report();
      }
    };
  }

  /**
   * @param {Float32Array[][]} _inputs
   * @param {Float32Array[][]} outputs
   */
  process(_inputs, outputs) {
    const [first, ...others] = outputs[0];
    this.#buffer.pull(first);
    for (const other of others) other.set(first);
    this.#sinceReport += first.length;
    if (this.#sinceReport >= 0.1 * sampleRate) this.#report();
    return true;
  }

  #report() {
    this.#sinceReport = 0;
    const { turn, samples } = this.#buffer.played;
    if (turn === this.#told.turn && samples === this.#told.samples) return;
    this.#told = { turn, samples };
    this.port.postMessage({ turn, playedMs: (samples / sampleRate) * 1000 });
  }
}

registerProcessor("fastrtc-playback", PlaybackProcessor);
