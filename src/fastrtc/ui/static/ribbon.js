/**
 * The last seconds of both voices as bars: yours upwards, the reply downwards.
 *
 * @module
 */

const BAR = 4;
const GAP = 3;
const BARS_PER_S = 16;

export class Ribbon {
  #canvas;
  #context;
  /** @type {{input: number, output: number}[]} */ #history = [];
  #peak = { input: 0, output: 0 };
  #lastBar = 0;
  #still = matchMedia("(prefers-reduced-motion: reduce)");

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  clear() {
    this.#history = [];
    this.draw();
  }

  /**
   * @param {{input: number, output: number}} levels 0 to 1
   * @param {number} nowMs
   */
  add(levels, nowMs) {
    this.#peak.input = Math.max(this.#peak.input, levels.input);
    this.#peak.output = Math.max(this.#peak.output, levels.output);
    if (nowMs - this.#lastBar < 1000 / BARS_PER_S) return;
    this.#lastBar = nowMs;
    this.#history.push(this.#peak);
    this.#peak = { input: 0, output: 0 };
    this.draw();
  }

  draw() {
    const { width, height } = this.#canvas.getBoundingClientRect();
    const ratio = devicePixelRatio || 1;
    if (this.#canvas.width !== Math.round(width * ratio)) this.#canvas.width = Math.round(width * ratio);
    if (this.#canvas.height !== Math.round(height * ratio)) this.#canvas.height = Math.round(height * ratio);
    this.#context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#context.clearRect(0, 0, width, height);
    const style = getComputedStyle(this.#canvas);
    const colours = {
      you: style.getPropertyValue("--you"),
      reply: style.getPropertyValue("--reply"),
      rest: style.getPropertyValue("--line-strong"),
    };
    if (this.#still.matches) this.#drawMeters(width, height, colours);
    else this.#drawHistory(width, height, colours);
  }

  /** @param {number} width @param {number} height @param {Record<"you" | "reply" | "rest", string>} colours */
  #drawHistory(width, height, colours) {
    const count = Math.floor((width + GAP) / (BAR + GAP));
    this.#history.splice(0, this.#history.length - count);
    const middle = height / 2;
    for (let i = 0; i < count; i++) {
      const bar = this.#history[this.#history.length - count + i] ?? { input: 0, output: 0 };
      const x = i * (BAR + GAP);
      this.#bar(x, middle - 1.5, -bar.input * (middle - 4), bar.input > 0.02 ? colours.you : colours.rest);
      this.#bar(x, middle + 1.5, bar.output * (middle - 4), bar.output > 0.02 ? colours.reply : colours.rest);
    }
  }

  /** @param {number} x @param {number} y @param {number} length signed @param {string} colour */
  #bar(x, y, length, colour) {
    const size = Math.max(Math.abs(length), 2);
    this.#context.fillStyle = colour;
    this.#context.beginPath();
    this.#context.roundRect(x, length < 0 || Object.is(length, -0) ? y - size : y, BAR, size, BAR / 2);
    this.#context.fill();
  }

  /** Without motion: one bar for each voice. @param {number} width @param {number} height
   *  @param {Record<"you" | "reply" | "rest", string>} colours */
  #drawMeters(width, height, colours) {
    const last = this.#history.at(-1) ?? { input: 0, output: 0 };
    this.#history.splice(0, this.#history.length - 1);
    for (const [y, level, colour] of /** @type {[number, number, string][]} */ ([
      [height / 4, last.input, colours.you],
      [(height * 3) / 4, last.output, colours.reply],
    ])) {
      this.#context.fillStyle = colours.rest;
      this.#context.fillRect(0, y - 1, width, 2);
      this.#context.fillStyle = colour;
      this.#context.fillRect(0, y - 4, width * level, 8);
    }
  }
}
