/**
 * Speak to a Python function from a browser: the client of fastrtc.
 *
 *     import { connect } from "@fastrtc/client";
 *     button.onclick = async () => {
 *       const session = await connect({ base: "https://example.org/voice/" });
 *       session.on("activity", ({ activity }) => console.log(activity));
 *     };
 *
 * @module
 */

/**
 * @typedef {import("./activity.js").Activity} Activity
 * @typedef {import("./session.js").SessionOptions} SessionOptions
 * @typedef {import("./turn-log.js").Turn} Turn
 * @typedef {import("./messages.js").SessionEvent} SessionEvent
 * @typedef {import("./messages.js").LatencyParts} LatencyParts
 */

import { Session } from "./session.js";

export { Session };
export { CameraError, ClientError, MicrophoneError, SignalingError, TransportError } from "./errors.js";
export { listCameras, openCamera } from "./camera.js";
export { listMicrophones, openMicrophone } from "./devices.js";
export { LevelMeter, meterLevel } from "./audio-level.js";
export { afterEvent, afterLog } from "./activity.js";
export { EMPTY_LOG, MAX_TURNS, withEnd, withEvent, withOutput, withTyped } from "./turn-log.js";
export { build, parseMessage, parseSocketMessage } from "./messages.js";

/**
 * Open a session in one call. To follow it from the very beginning, make a `Session`, listen, and `open()` it.
 *
 * @param {SessionOptions} [options]
 * @returns {Promise<Session>} once it is connected
 * @throws {ClientError}
 */
export async function connect(options = {}) {
  const session = new Session(options);
  await session.open();
  return session;
}
