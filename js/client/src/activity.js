/**
 * What a session is doing, as one word. Pure.
 *
 * @module
 */

/**
 * @typedef {import("./messages.js").SessionEvent} SessionEvent
 *
 * @typedef {"idle" | "connecting" | "listening" | "speaking" | "paused" | "thinking" | "replying" | "held"
 *   | "interrupted" | "reconnecting" | "ended"} Activity
 *
 * `paused`: the user fell silent, the turn may go on. `held`: the reply waits until it is clear whether a sound of the
 * user was an interruption. `interrupted`: it was, and the user still speaks.
 */

/** @type {Record<string, (activity: Activity) => Activity>} */
const AFTER = {
  session_started: () => "listening",
  user_started_speaking: (now) => (now === "replying" || now === "held" || now === "interrupted" ? now : "speaking"),
  user_stopped_speaking: (now) => (now === "speaking" || now === "interrupted" ? "paused" : now),
  turn_discarded: (now) => (now === "speaking" || now === "paused" || now === "interrupted" ? "listening" : now),
  turn_committed: () => "thinking",
  reply_started: () => "thinking",
  first_audio: () => "replying",
  reply_held: () => "held",
  reply_resumed: () => "replying",
  reply_interrupted: () => "interrupted",
  playback_finished: (now) => (now === "replying" || now === "held" || now === "thinking" ? "listening" : now),
  handler_failed: (now) => (now === "thinking" || now === "replying" ? "listening" : now),
};

/**
 * The activity after an event of the session.
 *
 * @param {Activity} activity
 * @param {SessionEvent} event
 * @returns {Activity}
 */
export function afterEvent(activity, event) {
  if (activity === "ended" || activity === "reconnecting") return activity;
  if (event.name === "reply_interrupted" && event.reason !== "user") return "listening";
  return AFTER[event.name]?.(activity) ?? activity;
}

/** @type {Record<string, Activity>} */
const AFTER_LOG = { started_talking: "speaking", pause_detected: "thinking", response_starting: "replying" };

/**
 * The same from the `log` messages, which is all that a server without events sends.
 *
 * @param {Activity} activity
 * @param {unknown} data of the `log` message
 * @returns {Activity}
 */
export function afterLog(activity, data) {
  if (activity === "ended" || activity === "reconnecting") return activity;
  return typeof data === "string" ? (AFTER_LOG[data] ?? activity) : activity;
}
