/**
 * What the page says: one place for its sentences. Pure.
 *
 * @module
 */

/** @typedef {import("../client/index.js").ClientError} ClientError */

/**
 * @typedef {object} Notice
 * @property {"info" | "warning" | "error"} kind
 * @property {string} title
 * @property {string} body
 * @property {("retry" | "type" | "dismiss")[]} actions
 */

/** @type {Record<string, [state: string, hint: string]>} */
const ACTIVITY = {
  idle: ["Ready when you are", "Press the microphone and talk."],
  connecting: ["Connecting", "Allow the microphone if your browser asks."],
  listening: ["Listening", "Speak, then pause. The reply comes by itself."],
  speaking: ["You are speaking", "Pause when you have finished."],
  paused: ["You paused", "Go on, or wait for the reply."],
  thinking: ["Thinking", "The function is preparing its reply."],
  replying: ["Replying", "You can interrupt at any time: just speak."],
  held: ["Holding the reply", "Was that for me? It goes on if you stay silent."],
  interrupted: ["Interrupted", "The reply has stopped. Go ahead."],
  reconnecting: ["Reconnecting", "The server does not answer. Trying again."],
  ended: ["Ended", "Press the microphone to start again."],
};

/** @type {Record<string, [state: string, hint: string]>} */
const VIDEO = {
  idle: ["Ready when you are", "Press the camera to start."],
  connecting: ["Connecting", "Allow the camera if your browser asks."],
  listening: ["Live", "What the function makes of your camera comes back here."],
  ended: ["Ended", "Press the camera to start again."],
};

/** @type {Record<string, Record<string, string>>} */
const VIDEO_HINTS = {
  send: { listening: "The function sees your camera." },
  receive: { idle: "Press the camera to watch.", connecting: "The video is about to begin.", listening: "The function shows you this." },
};

/**
 * The one state of the page, and what one can do in it.
 *
 * @param {import("../client/index.js").Activity} activity
 * @param {{muted: boolean, microphone: boolean, failed: boolean, modality?: string, mode?: string, stopWords?: string[],
 *   awake?: boolean}} session
 * @returns {{state: string, hint: string}}
 */
export function stateWords(activity, { muted, microphone, failed, modality = "audio", mode = "", stopWords = [], awake = false }) {
  if (modality === "video") return videoWords(activity, failed, mode);
  const [state, hint] = ACTIVITY[activity];
  if (activity === "ended" && failed) return { state: "Not connected", hint: "Press the microphone to try again." };
  if (activity !== "listening") return { state, hint };
  if (!microphone) return { state: "Ready for text", hint: "Type a turn; the reply is spoken." };
  if (muted) return { state: "Muted", hint: "Nobody hears you. Press the microphone to speak." };
  if (awake) return { state: "Go ahead", hint: "Say what you want, then pause." };
  if (stopWords.length > 0) return { state: `Say ${either(stopWords)}`, hint: "Then say what you want, and pause." };
  return { state, hint };
}

/** @param {string[]} words */
function either(words) {
  const quoted = words.map((word) => `“${word}”`);
  return quoted.length > 1 ? `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}` : quoted[0];
}

/**
 * @param {import("../client/index.js").Activity} activity
 * @param {boolean} failed
 * @param {string} mode
 * @returns {{state: string, hint: string}}
 */
function videoWords(activity, failed, mode) {
  if (activity === "ended" && failed) return { state: "Not connected", hint: "Press the camera to try again." };
  const [state, hint] = VIDEO[activity] ?? (activity === "reconnecting" ? ACTIVITY[activity] : VIDEO.listening);
  return { state, hint: VIDEO_HINTS[mode]?.[activity] ?? hint };
}

/**
 * What to tell about a session that could not begin, or broke.
 *
 * @param {ClientError} error
 * @returns {Notice}
 */
export function errorNotice(error) {
  const limit = Number(error.detail.limit);
  /** @type {Record<string, Notice>} */
  const notices = {
    microphone_refused: {
      kind: "error",
      title: "The microphone is blocked",
      body: "Allow it for this page in the browser's address bar, then try again.",
      actions: ["retry", "type"],
    },
    no_microphone: {
      kind: "error",
      title: "No microphone was found",
      body: "Connect one and try again, or type instead.",
      actions: ["retry", "type"],
    },
    microphone_busy: {
      kind: "error",
      title: "The microphone could not be opened",
      body: "Another program may be using it.",
      actions: ["retry", "type"],
    },
    camera_refused: {
      kind: "error",
      title: "The camera is blocked",
      body: "Allow it for this page in the browser's address bar, then try again.",
      actions: ["retry"],
    },
    no_camera: { kind: "error", title: "No camera was found", body: `${error.message} Connect another and try again.`, actions: ["retry"] },
    camera_busy: {
      kind: "error",
      title: "The camera could not be opened",
      body: "Another program may be using it.",
      actions: ["retry"],
    },
    insecure_context: {
      kind: "error",
      title: "This page needs https",
      body: "Browsers give the microphone only to pages on https:// or localhost. Open this page there, or type instead.",
      actions: ["type"],
    },
    server_full: {
      kind: "warning",
      title: "The server is full",
      body: fullBody(limit),
      actions: ["retry"],
    },
    server_draining: {
      kind: "warning",
      title: "The server is about to stop",
      body: "It finishes the conversations that run and takes no new ones. Try again in a moment.",
      actions: ["retry"],
    },
    unauthorized: { kind: "error", title: "You are not signed in", body: "The server did not let you in.", actions: ["retry"] },
    server_unreachable: {
      kind: "error",
      title: "The server does not answer",
      body: "It may have been stopped, or your network is down.",
      actions: ["retry"],
    },
    connection_lost: {
      kind: "error",
      title: "The connection was lost",
      body: "The server did not come back. What was said so far stays in the log.",
      actions: ["retry"],
    },
  };
  return notices[error.code] ?? { kind: "error", title: "No connection", body: error.message, actions: ["retry"] };
}

/** @param {number} limit */
function fullBody(limit) {
  if (limit === 1) return "Its only place is taken. Try again in a moment.";
  return limit > 1 ? `All ${limit} places are taken. Try again in a moment.` : "All places are taken. Try again in a moment.";
}

/**
 * What to tell when WebRTC did not work and the WebSocket took over.
 *
 * @param {ClientError} error of WebRTC
 * @returns {Notice}
 */
export function fallbackNotice(error) {
  const blocked = error.code === "not_connected" && error.detail.cause !== "unavailable";
  return {
    kind: "info",
    title: blocked ? "UDP seems to be blocked on this network" : "WebRTC is not available here",
    body: "Sound goes over a WebSocket instead. It works, with a little more delay.",
    actions: ["dismiss"],
  };
}

/**
 * What to tell when the server ended the session.
 *
 * @param {string} message of the server
 * @param {number | null} timeLimitS
 * @returns {Notice | null}
 */
export function endNotice(message, timeLimitS) {
  if (message === "idle_timeout") {
    const body = "Nobody has spoken for a while, so the server ended the session.";
    return { kind: "info", title: "It was quiet", body, actions: ["retry"] };
  }
  if (/time.?(limit|out|is up)/i.test(message)) {
    const limit = timeLimitS ? `Sessions on this server last at most ${duration(timeLimitS)}.` : "Sessions on this server are limited.";
    return { kind: "info", title: "Time is up", body: limit, actions: ["retry"] };
  }
  const words = message.replaceAll("_", " ");
  return words ? { kind: "info", title: "The server ended the session", body: words, actions: ["retry"] } : null;
}

/** @param {number} seconds */
function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} seconds`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} minutes` : `${Math.round(minutes / 6) / 10} hours`;
}

export const ACTION_LABELS = { retry: "Try again", type: "Type instead", dismiss: "OK" };

/** @param {number} seconds */
export const seconds = (seconds) => `${seconds.toFixed(1)} s`;

/** @param {number} ms */
export const milliseconds = (ms) => `${Math.ceil(ms)} ms`;

/**
 * @param {import("../client/index.js").Turn} turn
 * @returns {string}
 */
export function saidWords(turn) {
  if (turn.text !== null) return turn.text ? `“${turn.text}”` : "You typed a turn";
  if (turn.transcript) return `“${turn.transcript}”`;
  if (turn.reason === "greeting") return "Greeting";
  return `You spoke for ${seconds(turn.spokenS)}`;
}

/**
 * @param {import("../client/index.js").Turn} turn
 * @returns {string}
 */
export function statusWords(turn) {
  const heard = turn.heardS === null ? "" : seconds(turn.heardS);
  switch (turn.status) {
    case "thinking":
      return "Thinking";
    case "replying":
      return "Replying";
    case "held":
      return "Reply on hold";
    case "interrupted":
      return turn.heardS ? `Interrupted after ${heard} of the reply` : "Interrupted before the reply";
    case "failed":
      return "The function failed";
    case "lost":
      return "Cut off";
  }
  return turn.heardS ? `Replied for ${heard}` : "No spoken reply";
}
