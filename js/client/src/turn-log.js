/**
 * Folds the events of a session into a list of turns. Pure.
 *
 * @module
 */

/**
 * @typedef {import("./messages.js").SessionEvent} SessionEvent
 * @typedef {import("./messages.js").LatencyParts} LatencyParts
 *
 * @typedef {object} Turn
 * @property {string} key unlike any other turn's, over reconnections too
 * @property {number} turn the server's number
 * @property {number} index counts the turns of this log from 1, over reconnections too
 * @property {string} reason why the turn was taken to be over: `silence`, `complete`, `text`, `greeting`, ...
 * @property {number} spokenS length of what the user said
 * @property {string | null} text what was typed, for a turn of text
 * @property {string | null} transcript what was said, where the server recognises it
 * @property {"thinking" | "replying" | "held" | "interrupted" | "done" | "failed" | "lost"} status
 * @property {LatencyParts | null} latencyMs
 * @property {number | null} heardS how much of the reply was heard, once it is over
 * @property {unknown[][]} outputs additional outputs, in order; the newest `MAX_OUTPUTS`
 * @property {string | null} error
 *
 * @typedef {object} TurnLog
 * @property {readonly Turn[]} turns the newest `MAX_TURNS`
 * @property {number} connection counts the server sessions that this log spans
 * @property {readonly number[]} onsets where the user began to speak since the last turn, in seconds
 * @property {readonly string[]} typed texts that were sent and whose turn has not begun
 */

/** What is kept of a call that does not end. */
export const MAX_TURNS = 200;
export const MAX_OUTPUTS = 100;
const MAX_WAITING = 100;

/** @type {TurnLog} */
export const EMPTY_LOG = Object.freeze({ turns: [], connection: 0, onsets: [], typed: [] });

/**
 * @param {TurnLog} log
 * @param {SessionEvent} event
 * @returns {TurnLog}
 */
export function withEvent(log, event) {
  switch (event.name) {
    case "session_started":
      // What was typed since the end of the connection before was sent over this one, and may have overtaken this event.
      return { ...log, turns: withoutUnfinished(log.turns), connection: log.connection + 1, onsets: [] };
    case "user_started_speaking":
      return { ...log, onsets: newest([...log.onsets, event.onset_s], MAX_WAITING) };
    case "turn_discarded":
      return { ...log, onsets: [] };
    case "turn_committed":
      return begin(log, event);
    case "user_transcript":
      return event.final && event.turn !== null ? change(log, event.turn, { transcript: event.text }) : log;
    case "first_audio":
      return change(log, event.turn, { status: "replying", latencyMs: event.latency_ms });
    case "playback_started":
      return change(log, event.turn, { latencyMs: event.latency_ms });
    case "reply_held":
      return change(log, event.turn, { status: "held" });
    case "reply_resumed":
      return change(log, event.turn, { status: "replying" });
    case "reply_interrupted":
      return change(log, event.turn, { status: "interrupted", heardS: event.heard_s });
    case "playback_finished":
      return finish(log, event.turn, event.heard_s);
    case "handler_failed":
      return event.turn === null ? log : change(log, event.turn, { status: "failed", error: event.message });
  }
  return log;
}

/**
 * The connection is over: what was still going on over it will not go on, and what was typed will not be answered.
 *
 * @param {TurnLog} log
 * @returns {TurnLog}
 */
export function withEnd(log) {
  const turns = withoutUnfinished(log.turns);
  return turns === log.turns && log.typed.length === 0 ? log : { ...log, turns, typed: [] };
}

/**
 * @param {readonly Turn[]} turns
 * @returns {readonly Turn[]}
 */
function withoutUnfinished(turns) {
  if (!turns.some(isUnfinished)) return turns;
  return turns.map((turn) => (isUnfinished(turn) ? { ...turn, status: "lost" } : turn));
}

/** @param {Turn} turn */
const isUnfinished = ({ status }) => status === "thinking" || status === "replying" || status === "held";

/**
 * @param {TurnLog} log
 * @param {Extract<SessionEvent, {name: "turn_committed"}>} event
 * @returns {TurnLog}
 */
function begin(log, event) {
  const isText = event.reason === "text";
  // The turn's audio begins a little before the first sound.
  const onset = log.onsets.find((at) => at >= event.start_s) ?? event.start_s;
  /** @type {Turn} */
  const turn = {
    key: `${log.connection}:${event.turn}`,
    turn: event.turn,
    index: (log.turns.at(-1)?.index ?? 0) + 1,
    reason: event.reason,
    spokenS: isText || event.reason === "greeting" ? 0 : Math.max(0, event.end_s - onset),
    text: isText ? (log.typed[0] ?? "") : null,
    transcript: null,
    status: "thinking",
    latencyMs: null,
    heardS: null,
    outputs: [],
    error: null,
  };
  const turns = newest([...log.turns, turn], MAX_TURNS);
  return { ...log, turns, onsets: [], typed: isText ? log.typed.slice(1) : log.typed };
}

/**
 * @template T
 * @param {T[]} all
 * @param {number} most
 */
function newest(all, most) {
  return all.length > most ? all.slice(-most) : all;
}

/**
 * All that was said before a failure has been played, too: the turn stays a failed one.
 *
 * @param {TurnLog} log
 * @param {number} number
 * @param {number} heardS
 */
function finish(log, number, heardS) {
  const failed = log.turns.some((turn) => turn.key === `${log.connection}:${number}` && turn.status === "failed");
  return change(log, number, failed ? { heardS } : { heardS, status: "done" });
}

/**
 * @param {TurnLog} log
 * @param {number} number
 * @param {Partial<Turn>} changes
 * @returns {TurnLog}
 */
function change(log, number, changes) {
  const key = `${log.connection}:${number}`;
  return { ...log, turns: log.turns.map((turn) => (turn.key === key ? { ...turn, ...changes } : turn)) };
}

/**
 * Additional outputs belong to the turn that is being answered; before the first turn there is none to add them to.
 *
 * @param {TurnLog} log
 * @param {unknown[]} output
 * @returns {TurnLog}
 */
export function withOutput(log, output) {
  const last = log.turns.at(-1);
  if (!last) return log;
  const outputs = newest([...last.outputs, output], MAX_OUTPUTS);
  return { ...log, turns: [...log.turns.slice(0, -1), { ...last, outputs }] };
}

/**
 * A text was sent; the next turn of text is its.
 *
 * @param {TurnLog} log
 * @param {string} text
 * @returns {TurnLog}
 */
export function withTyped(log, text) {
  return { ...log, typed: newest([...log.typed, text], MAX_WAITING) };
}
