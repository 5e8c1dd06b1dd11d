/**
 * The list of turns. Elements are kept by key and changed in place, so that the page does not flicker or lose its scroll.
 *
 * @module
 */

import { outputElements } from "./outputs-view.js";
import { milliseconds, saidWords, statusWords } from "./words.js";

/** @typedef {import("../client/index.js").Turn} Turn */

const PARTS = /** @type {const} */ ([
  ["decision", "decision"],
  ["call", "call"],
  ["first_yield", "first audio"],
  ["playout", "on its way"],
]);

export class LogView {
  #list;
  #empty;
  #summary;
  #scroll;
  /** @type {Map<string, {turn: Turn, element: HTMLElement}>} */ #shown = new Map();
  /** @type {readonly Turn[] | null} what is to be drawn with the next frame */ #due = null;

  /** @param {{list: HTMLElement, empty: HTMLElement, summary: HTMLElement, scroll: HTMLElement}} elements */
  constructor({ list, empty, summary, scroll }) {
    this.#list = list;
    this.#empty = empty;
    this.#summary = summary;
    this.#scroll = scroll;
  }

  /** @param {readonly Turn[]} turns of all sessions of this page, with keys that differ; drawn once a frame */
  show(turns) {
    if (!this.#due) requestAnimationFrame(() => this.#draw(this.#due ?? []));
    this.#due = turns;
  }

  /** @param {readonly Turn[]} turns */
  #draw(turns) {
    this.#due = null;
    const { scrollTop, scrollHeight, clientHeight } = this.#scroll;
    const followed = scrollHeight - clientHeight - scrollTop < 40;
    this.#empty.hidden = turns.length > 0;
    for (const turn of turns) this.#showTurn(turn);
    this.#forget(turns);
    if (followed && turns.length > 0) this.#scroll.scrollTop = this.#scroll.scrollHeight;
    const waits = turns.flatMap((turn) => turn.latencyMs?.total ?? []);
    this.#summary.textContent = waits.length > 0 ? `median wait ${milliseconds(median(waits))}` : "";
  }

  /** @param {Turn} turn */
  #showTurn(turn) {
    const known = this.#shown.get(turn.key);
    if (known?.turn === turn) return;
    const element = known?.element ?? document.createElement("li");
    element.className = "turn";
    element.dataset.status = turn.status;
    element.replaceChildren(...turnParts(turn));
    this.#shown.set(turn.key, { turn, element });
    if (!known) this.#list.append(element);
  }

  /** Take away what is no longer among the turns: the oldest of a long conversation. @param {readonly Turn[]} turns */
  #forget(turns) {
    if (this.#shown.size === turns.length) return;
    const keys = new Set(turns.map(({ key }) => key));
    for (const [key, { element }] of this.#shown) {
      if (keys.has(key)) continue;
      element.remove();
      this.#shown.delete(key);
    }
  }
}

/** @param {Turn} turn */
function turnParts(turn) {
  const head = make("div", "turn-head", [make("span", "turn-number", `${turn.index}`), make("span", "turn-said", saidWords(turn))]);
  if (turn.latencyMs?.total !== undefined) head.append(total(turn.latencyMs.total));
  const parts = [head, make("p", "turn-status", statusWords(turn))];
  if (turn.error) parts.push(make("p", "turn-error", turn.error));
  if (turn.latencyMs) parts.push(latency(turn.latencyMs));
  if (turn.outputs.length > 0) parts.push(make("div", "outputs", turn.outputs.flat().flatMap(outputElements)));
  return parts;
}

/** @param {number} ms */
function total(ms) {
  const element = make("span", "turn-total", `${Math.round(ms)} `);
  element.append(make("small", "", "ms"));
  element.title = "From the end of your speech to the first sound of the reply";
  return element;
}

/** @param {import("../client/index.js").LatencyParts} parts */
function latency(parts) {
  const bar = make("div", "latency-bar", "");
  bar.setAttribute("aria-hidden", "true");
  const legend = make("ul", "parts", "");
  for (const [part, label] of PARTS) {
    const ms = parts[part];
    if (ms === undefined || ms <= 0) continue;
    const segment = make("span", `part-${part}`, "");
    segment.style.flexGrow = String(ms);
    bar.append(segment);
    legend.append(make("li", `part part-${part}`, `${label} ${milliseconds(ms)}`));
  }
  return make("div", "latency", [bar, legend]);
}

/** @param {string} tag @param {string} className @param {string | HTMLElement[]} content */
function make(tag, className, content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (typeof content === "string") element.textContent = content;
  else element.append(...content);
  return element;
}

/** @param {number[]} values not empty */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
