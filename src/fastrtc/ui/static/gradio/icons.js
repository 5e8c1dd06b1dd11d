/**
 * The pictures on the buttons.
 *
 * @module
 */

const SHAPES = {
  microphone:
    '<rect x="9" y="3" width="6" height="11" rx="3"/><path d="M5.5 11.5a6.5 6.5 0 0 0 13 0"/><path d="M12 18v3"/>',
  muted:
    '<path d="M9 9v2a3 3 0 0 0 4.6 2.5"/><path d="M15 11V6a3 3 0 0 0-5.9-.8"/><path d="M5.5 11.5a6.5 6.5 0 0 0 9.7 5.7"/><path d="M18.5 11.5a6.5 6.5 0 0 1-.6 2.7"/><path d="M12 18v3"/><path d="m4 3 16 18"/>',
  camera: '<rect x="3" y="6.5" width="12.5" height="11" rx="2.5"/><path d="m15.5 10.8 5.5-3v8.4l-5.5-3"/>',
  stop: '<rect x="7" y="7" width="10" height="10" rx="2" fill="currentColor" stroke="none"/>',
  play: '<path d="M9 6.5v11l9-5.5z" fill="currentColor"/>',
  send: '<path d="M12 19V5"/><path d="m6 11 6-6 6 6"/>',
  waiting: '<path class="turning" d="M12 3.5a8.5 8.5 0 1 0 8.5 8.5"/>',
};

/**
 * @param {keyof typeof SHAPES} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const holder = document.createElement("template");
  holder.innerHTML =
    '<svg viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.9"' +
    ` stroke-linecap="round" stroke-linejoin="round">${SHAPES[name]}</svg>`;
  return /** @type {SVGElement} */ (holder.content.firstElementChild);
}
