/**
 * Cameras: listing them, opening one, and holding the one that a session uses.
 *
 * @module
 */

import { CameraError } from "./errors.js";

/** What a session asks of a camera, where it is not told otherwise. */
export const CAMERA_CONSTRAINTS = Object.freeze({
  facingMode: "user",
  width: { ideal: 640 },
  height: { ideal: 480 },
  frameRate: { ideal: 30 },
});

/**
 * The cameras. Labels are empty until the user has allowed one.
 *
 * @returns {Promise<{id: string, label: string}[]>}
 */
export async function listCameras() {
  if (!navigator.mediaDevices) return [];
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices
    .filter((device) => device.kind === "videoinput" && device.deviceId !== "")
    .map((device) => ({ id: device.deviceId, label: device.label }));
}

/**
 * Open a camera.
 *
 * @param {MediaTrackConstraints} [constraints] added to {@link CAMERA_CONSTRAINTS}
 * @param {string} [deviceId] of one in particular
 * @returns {Promise<MediaStream>}
 * @throws {CameraError} `insecure_context`, `camera_refused`, `no_camera` or `camera_busy`
 */
export async function openCamera(constraints = {}, deviceId) {
  if (!navigator.mediaDevices?.getUserMedia) throw missingApi();
  /** @type {MediaTrackConstraints} */
  const video = { ...CAMERA_CONSTRAINTS, ...constraints };
  if (deviceId) {
    video.deviceId = { exact: deviceId };
    delete video.facingMode;
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ video });
  } catch (error) {
    throw cameraError(error);
  }
}

function missingApi() {
  return globalThis.isSecureContext === false
    ? new CameraError("insecure_context", "Browsers give the camera only to pages on https:// or localhost.")
    : new CameraError("no_camera", "This browser offers no camera.");
}

/**
 * Tell the failures of `getUserMedia` apart.
 *
 * @param {unknown} error
 * @returns {CameraError}
 */
export function cameraError(error) {
  const name = error instanceof Error ? error.name : "";
  const facts = { name, reason: error instanceof Error ? error.message : String(error) };
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return new CameraError("camera_refused", "The camera was not allowed.", facts);
    case "NotFoundError":
      return new CameraError("no_camera", "No camera was found.", facts);
    case "OverconstrainedError":
      return new CameraError("no_camera", "No camera can do what this page asks of it.", facts);
  }
  return new CameraError("camera_busy", "The camera could not be opened; another program may use it.", facts);
}

/** The camera of one session. */
export class Camera {
  #wanted;
  /** @type {MediaStream | null} */ #stream = null;
  #owned = true;
  #on = true;

  /** @param {boolean | MediaTrackConstraints | MediaStream} wanted how to open it, or a stream to send instead */
  constructor(wanted) {
    this.#wanted = wanted;
  }

  get stream() {
    return this.#stream;
  }

  get track() {
    return this.#stream?.getVideoTracks()[0] ?? null;
  }

  /**
   * Open it, or another one instead.
   *
   * @param {string} [deviceId]
   * @throws {CameraError} none is in use then
   */
  async open(deviceId) {
    const wanted = this.#wanted;
    if (wanted === false) return;
    const owned = !(wanted instanceof MediaStream);
    // Phones open one camera at a time.
    if (owned && this.#stream) this.close();
    this.#stream = owned ? await openCamera(wanted === true ? {} : wanted, deviceId) : wanted;
    this.#owned = owned;
    this.show(this.#on);
  }

  /** @param {boolean} on whether the picture is sent; black otherwise */
  show(on) {
    this.#on = on;
    if (this.track) this.track.enabled = on;
  }

  close() {
    if (this.#owned) for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
  }
}
