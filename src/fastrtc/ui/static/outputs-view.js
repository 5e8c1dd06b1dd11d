/**
 * Shows additional outputs: text, chat messages, pictures, and any other JSON.
 *
 * @module
 */

/**
 * @param {unknown} value
 * @returns {HTMLElement[]}
 */
export function outputElements(value) {
  if (typeof value === "string") return [value.startsWith("data:image/") ? picture(value) : text(value)];
  if (Array.isArray(value) && value.length > 0 && value.every(isMessage)) return value.map(message);
  if (isMessage(value)) return [message(value)];
  return [box("output output-json", JSON.stringify(value, null, 2) ?? "null")];
}

/** @param {string} className @param {string} content */
function box(className, content) {
  const element = document.createElement("div");
  element.className = className;
  element.textContent = content;
  return element;
}

/** @param {string} content */
const text = (content) => box("output", content);

/** @param {string} source */
function picture(source) {
  const frame = box("output output-image", "");
  const image = document.createElement("img");
  image.alt = "Picture sent by the function";
  image.src = source;
  frame.append(image);
  return frame;
}

/**
 * @param {unknown} value
 * @returns {value is {role: string, content: string}}
 */
function isMessage(value) {
  const message = /** @type {{role?: unknown, content?: unknown} | null} */ (value);
  return typeof message === "object" && typeof message?.role === "string" && typeof message.content === "string";
}

/** @param {{role: string, content: string}} message */
function message({ role, content }) {
  const element = text(` ${content}`);
  const who = document.createElement("b");
  who.textContent = role;
  element.prepend(who);
  return element;
}
