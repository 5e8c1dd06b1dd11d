/**
 * What the component says, where it differs from the built-in page. Pure.
 *
 * @module
 */

import { stateWords } from "../words.js";

/** @typedef {import("../../client/index.js").Activity} Activity */
/** @typedef {"send-receive" | "send" | "receive"} Mode */
/** @typedef {"audio" | "video" | "audio-video"} Modality */

/** @type {Partial<Record<Mode, Partial<Record<Activity, [state: string, hint: string]>>>>} */
const BY_MODE = {
  receive: {
    idle: ["Ready", "Start the stream to listen."],
    connecting: ["Connecting", "One moment."],
    listening: ["Playing", "You hear the stream."],
    ended: ["Stopped", "Start the stream to listen again."],
  },
  send: {
    idle: ["Ready when you are", "Press the button and talk."],
    listening: ["On air", "Your voice is being sent."],
    speaking: ["On air", "Your voice is being sent."],
    paused: ["On air", "Your voice is being sent."],
    ended: ["Stopped", "Press the button to start again."],
  },
  "send-receive": {
    idle: ["Ready when you are", "Press the button and talk."],
    ended: ["Ended", "Press the button to start again."],
  },
};

/**
 * @param {Activity} activity
 * @param {{mode: Mode, modality: Modality, typing: boolean, muted: boolean, microphone: boolean, failed: boolean}} session
 * @returns {{state: string, hint: string}}
 */
export function phrases(activity, session) {
  const { mode, modality, typing, muted, microphone, failed } = session;
  if (activity === "ended" && failed) return { state: "Not connected", hint: "" };
  if (typing && (activity === "idle" || activity === "ended")) return { state: "Type, or talk", hint: "" };
  if (modality === "video" && mode !== "receive") {
    const { state, hint } = stateWords(activity, { muted, microphone, failed, modality, mode });
    return { state, hint: activity === "idle" || activity === "ended" ? "Press the button to start." : hint };
  }
  if (activity === "listening" && muted) return { state: "Muted", hint: "Nobody hears you." };
  if (!microphone && mode !== "receive" && activity === "replying") return { state: "Replying", hint: "" };
  const own = microphone || mode === "receive" ? BY_MODE[mode]?.[activity] : undefined;
  return own ? { state: own[0], hint: own[1] } : stateWords(activity, { muted, microphone, failed });
}

/**
 * The text of the main button.
 *
 * @param {Activity} activity
 * @param {Mode} mode
 * @param {Modality} modality
 * @param {{start: string, stop: string, waiting: string}} labels of the app, empty where it has none
 */
export function buttonLabel(activity, mode, modality, labels) {
  const start = modality !== "audio" ? "Start" : mode === "receive" ? "Listen" : "Talk";
  if (activity === "idle" || activity === "ended") return labels.start || start;
  if (activity === "connecting" || activity === "reconnecting") return labels.waiting || "Connecting";
  return labels.stop || "Stop";
}
