/**
 * Microphones: listing them, opening one, and saying clearly why that failed.
 *
 * @module
 */

import { MicrophoneError } from "./errors.js";

/** What speech wants from a microphone; a site may override each. */
export const SPEECH_CONSTRAINTS = Object.freeze({
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
});

/**
 * The microphones. Labels are empty until the user has allowed one.
 *
 * @returns {Promise<{id: string, label: string}[]>}
 */
export async function listMicrophones() {
  if (!navigator.mediaDevices) return [];
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices
    .filter((device) => device.kind === "audioinput" && device.deviceId !== "")
    .map((device) => ({ id: device.deviceId, label: device.label }));
}

/**
 * Open a microphone.
 *
 * @param {MediaTrackConstraints} [constraints] added to {@link SPEECH_CONSTRAINTS}
 * @param {string} [deviceId] of one in particular
 * @returns {Promise<MediaStream>}
 * @throws {MicrophoneError} `insecure_context`, `microphone_refused`, `no_microphone` or `microphone_busy`
 */
export async function openMicrophone(constraints = {}, deviceId) {
  if (!navigator.mediaDevices?.getUserMedia) throw missingApi();
  /** @type {MediaTrackConstraints} */
  const audio = { ...SPEECH_CONSTRAINTS, ...constraints };
  if (deviceId) audio.deviceId = { exact: deviceId };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw microphoneError(error);
  }
}

function missingApi() {
  return globalThis.isSecureContext === false
    ? new MicrophoneError(
        "insecure_context",
        "Browsers give the microphone only to pages on https:// or localhost.",
      )
    : new MicrophoneError("no_microphone", "This browser offers no microphone.");
}

/**
 * Tell the failures of `getUserMedia` apart.
 *
 * @param {unknown} error
 * @returns {MicrophoneError}
 */
export function microphoneError(error) {
  const name = error instanceof Error ? error.name : "";
  const facts = { name, reason: error instanceof Error ? error.message : String(error) };
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return new MicrophoneError("microphone_refused", "The microphone was not allowed.", facts);
    case "NotFoundError":
    case "OverconstrainedError":
      return new MicrophoneError("no_microphone", "No microphone was found.", facts);
  }
  return new MicrophoneError("microphone_busy", "The microphone could not be opened; another program may use it.", facts);
}
