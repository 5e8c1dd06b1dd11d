/**
 * The wave: bars that show how loud it was, the present in the middle and the past towards both ends.
 *
 * @module
 */

const STEP_MS = 45;
const REST = 0.06;

export class Bars {
  #bars;
  #middle;
  /** @type {number[]} */ #levels;
  #peak = 0;
  #last = 0;

  /**
   * @param {HTMLElement} holder
   * @param {number} count odd
   */
  constructor(holder, count) {
    this.#bars = Array.from({ length: count }, () => document.createElement("i"));
    this.#middle = (count - 1) / 2;
    this.#levels = new Array(this.#middle + 1).fill(0);
    holder.replaceChildren(...this.#bars);
    this.#draw();
  }

  /**
   * @param {number} level 0 to 1
   * @param {number} nowMs
   */
  add(level, nowMs) {
    this.#peak = Math.max(this.#peak * 0.8, level);
    if (nowMs - this.#last < STEP_MS) return;
    this.#last = nowMs;
    this.#levels.pop();
    this.#levels.unshift(this.#peak);
    this.#draw();
  }

  rest() {
    this.#levels.fill(0);
    this.#peak = 0;
    this.#draw();
  }

  #draw() {
    this.#bars.forEach((bar, index) => {
      const away = Math.abs(index - this.#middle);
      const fade = Math.cos((away / (this.#middle + 1)) * (Math.PI / 2));
      bar.style.transform = `scaleY(${(REST + (1 - REST) * this.#levels[away] * (0.35 + 0.65 * fade)).toFixed(3)})`;
    });
  }
}
