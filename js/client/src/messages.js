/**
 * The messages between this client and the server: typed parsing, typed building, nothing else.
 *
 * Over WebRTC they travel on the data channel "text"; over a WebSocket as text frames, beside frames with `event`.
 *
 * @module
 */

import { ClientError } from "./errors.js";

export const PROTOCOL_VERSION = 1;

/**
 * @typedef {object} LatencyParts milliseconds
 * @property {number} [decision] end of speech until the turn was taken to be over
 * @property {number} [call] until the reply function was called
 * @property {number} [first_yield] until it gave its first audio
 * @property {number} [playout] until that was heard (of `playback_started`)
 * @property {number} [total]
 */

/**
 * What happens in a session; times are seconds of received audio.
 *
 * @typedef {{name: "session_started", at_s: number}
 *   | {name: "user_started_speaking", at_s: number, onset_s: number}
 *   | {name: "user_stopped_speaking", at_s: number, end_s: number}
 *   | {name: "turn_discarded", at_s: number, reason: string}
 *   | ({name: "user_transcript", at_s: number} & Transcript)
 *   | {name: "turn_committed", turn: number, at_s: number, start_s: number, end_s: number, reason: string,
 *      probability: number | null}
 *   | {name: "reply_started", turn: number, at_s: number}
 *   | {name: "first_audio", turn: number, at_s: number, latency_ms: LatencyParts}
 *   | {name: "playback_started", turn: number, at_s: number, latency_ms: LatencyParts, acknowledged: boolean}
 *   | {name: "reply_held", turn: number, at_s: number}
 *   | {name: "reply_resumed", turn: number, at_s: number}
 *   | {name: "reply_interrupted", turn: number, at_s: number, heard_s: number, reason: string}
 *   | {name: "playback_finished", turn: number, at_s: number, heard_s: number}
 *   | {name: "handler_failed", at_s: number, message: string, turn: number | null}
 *   | {name: "session_closed", at_s: number, reason: string}} SessionEvent
 */

/**
 * What the user says, as text; each replaces the one before, until one is final.
 *
 * @typedef {object} Transcript
 * @property {string} text all of it so far
 * @property {boolean} final
 * @property {number | null} turn number of the turn, of a final one; null: it came to nothing
 * @property {number} start_s where in the session's audio it starts
 * @property {number} end_s
 */

/**
 * @typedef {object} ServerHello
 * @property {number} version
 * @property {string} session_id
 * @property {number} input_sample_rate Hz, of the audio that the server wants over a WebSocket
 * @property {number} output_sample_rate Hz, of the audio that it sends there
 */

/**
 * @typedef {{type: "hello", data: ServerHello}
 *   | {type: "event", data: SessionEvent}
 *   | {type: "output", data: unknown[]}
 *   | {type: "send_input", data: unknown}
 *   | {type: "fetch_output", data: unknown}
 *   | {type: "stopword", data: unknown}
 *   | {type: "transcript", data: Transcript}
 *   | {type: "end_stream", data: unknown}
 *   | {type: "update_connection", data: unknown}
 *   | {type: "log", data: unknown}
 *   | {type: "error", message: string}
 *   | {type: "warning", message: string}
 *   | {type: "unknown", raw: unknown}} ServerMessage
 */

/**
 * @typedef {{event: "media", payload: string}
 *   | {event: "clear"} | {event: "ping"} | {event: "pong"} | {event: "stop"}
 *   | {event: "refused", error: string, meta: Record<string, unknown>}
 *   | {event: "message", message: ServerMessage}} SocketMessage
 */

/**
 * Read a message of the server.
 *
 * @param {string} text
 * @returns {ServerMessage} `unknown` for types of a later version, which a client passes over
 * @throws {ClientError} `bad_message`: not a JSON object
 */
export function parseMessage(text) {
  return messageFrom(parseObject(text));
}

/**
 * Read a text frame of the WebSocket.
 *
 * @param {string} text
 * @returns {SocketMessage}
 * @throws {ClientError} `bad_message`: not a JSON object, or audio without a payload
 */
export function parseSocketMessage(text) {
  const raw = parseObject(text);
  switch (raw.event) {
    case "media":
      return { event: "media", payload: mediaPayload(raw) };
    case "clear":
    case "ping":
    case "pong":
    case "stop":
      return { event: raw.event };
  }
  if (raw.status === "failed") {
    const meta = isObject(raw.meta) ? raw.meta : {};
    return { event: "refused", error: typeof meta.error === "string" ? meta.error : "unknown", meta };
  }
  return { event: "message", message: messageFrom(raw) };
}

/**
 * @param {string} text
 * @returns {Record<string, unknown>}
 */
function parseObject(text) {
  /** @type {unknown} */
  let raw;
  try {
    raw = JSON.parse(text);
  } catch {
    throw new ClientError("bad_message", "The server sent something that is not JSON.", { text: text.slice(0, 200) });
  }
  if (!isObject(raw)) {
    throw new ClientError("bad_message", "The server sent JSON that is not an object.", { text: text.slice(0, 200) });
  }
  return raw;
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {Record<string, unknown>} raw */
function mediaPayload(raw) {
  const media = isObject(raw.media) ? raw.media : {};
  if (typeof media.payload !== "string") {
    throw new ClientError("bad_message", "The server sent a media message without a payload.");
  }
  return media.payload;
}

/**
 * @param {Record<string, unknown>} raw
 * @returns {ServerMessage}
 */
function messageFrom(raw) {
  const { type, data } = raw;
  switch (type) {
    case "hello":
      return isHello(data) ? { type, data } : { type: "unknown", raw };
    case "event":
      return isObject(data) && typeof data.name === "string"
        ? { type, data: /** @type {SessionEvent} */ (/** @type {unknown} */ (data)) }
        : { type: "unknown", raw };
    case "output":
      return { type, data: Array.isArray(data) ? data : [data] };
    case "transcript":
      return isTranscript(data) ? { type, data } : { type: "unknown", raw };
    case "send_input":
    case "fetch_output":
    case "stopword":
    case "end_stream":
    case "update_connection":
    case "log":
      return { type, data };
    case "error":
    case "warning":
      return { type, message: typeof raw.message === "string" ? raw.message : String(data ?? "") };
  }
  return { type: "unknown", raw };
}

/**
 * @param {unknown} data
 * @returns {data is ServerHello}
 */
function isHello(data) {
  return (
    isObject(data) &&
    typeof data.input_sample_rate === "number" &&
    typeof data.output_sample_rate === "number" &&
    data.input_sample_rate > 0 &&
    data.output_sample_rate > 0
  );
}

/**
 * @param {unknown} data
 * @returns {data is Transcript}
 */
function isTranscript(data) {
  return isObject(data) && typeof data.text === "string" && typeof data.final === "boolean";
}

/** @param {Record<string, unknown>} message */
const json = (message) => JSON.stringify(message);

/** What this client says; every function gives the text to send. */
export const build = {
  hello: () => json({ type: "hello", data: { version: PROTOCOL_VERSION, events: true } }),
  /** @param {string} text a turn, typed instead of spoken */
  text: (text) => json({ type: "text", data: text }),
  /** @param {unknown[]} data arguments for the handler */
  input: (data) => json({ type: "input", data }),
  /** @param {boolean} muted */
  mute: (muted) => json({ type: "mute", data: muted }),
  triggerResponse: () => json({ type: "trigger_response" }),
  discardTurn: () => json({ type: "discard_turn" }),
  stopReply: () => json({ type: "stop_reply" }),
  /**
   * @param {number} turn
   * @param {number} playedMs how much of this turn's reply has been heard
   */
  playout: (turn, playedMs) => json({ type: "playout", data: { turn, played_ms: Math.round(playedMs * 10) / 10 } }),
  /**
   * @param {string} sdp
   * @param {string} id
   * @param {string} [token]
   */
  offer: (sdp, id, token) => json({ sdp, type: "offer", webrtc_id: id, token }),
  /**
   * @param {RTCIceCandidateInit} candidate
   * @param {string} id
   * @param {string} [token]
   */
  candidate: (candidate, id, token) => json({ type: "ice-candidate", candidate, webrtc_id: id, token }),
  /**
   * @param {string} id
   * @param {string} [token]
   */
  candidateRequest: (id, token) => json({ type: "local-candidates", webrtc_id: id, token }),
  /**
   * @param {string} id
   * @param {string} [token]
   */
  socketStart: (id, token) => json({ event: "start", websocket_id: id, hello: true, token }),
  /** @param {string} payload mu-law, base64 */
  socketMedia: (payload) => json({ event: "media", media: { payload } }),
  socketPing: () => json({ event: "ping" }),
  socketPong: () => json({ event: "pong" }),
  socketStop: () => json({ event: "stop" }),
};
