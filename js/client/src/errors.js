/**
 * Everything that can go wrong, as one small tree. `code` is for programs, `message` for people.
 *
 * @module
 */

/**
 * @typedef {"server_full" | "server_draining" | "unauthorized" | "already_connected" | "refused" | "server_unreachable"
 *   | "not_connected" | "connection_lost" | "bad_message" | "unsupported"
 *   | "microphone_refused" | "no_microphone" | "microphone_busy" | "insecure_context"
 *   | "camera_refused" | "no_camera" | "camera_busy"} ErrorCode
 */

/** Base of the errors that this client throws and reports. */
export class ClientError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {string} message
   * @param {Record<string, unknown>} [detail] facts beside the message, for example `limit`
   */
  constructor(code, message, detail = {}) {
    super(message);
    this.name = new.target.name;
    this.code = code;
    this.detail = detail;
  }
}

/** The server refused an offer or a candidate, or could not be asked. */
export class SignalingError extends ClientError {}

/** There was a server, but no connection came about, or it broke. */
export class TransportError extends ClientError {}

/** The microphone cannot be used. */
export class MicrophoneError extends ClientError {}

/** The camera cannot be used. */
export class CameraError extends ClientError {}

/** Codes after which another transport would fare no better. */
const FINAL = new Set(["server_full", "server_draining", "unauthorized", "server_unreachable", "unsupported"]);

/**
 * Whether another transport may still succeed.
 *
 * @param {unknown} error
 */
export function worthAnotherTransport(error) {
  return error instanceof ClientError && !FINAL.has(error.code);
}

/**
 * The error for a refusal of the server.
 *
 * @param {string} serverCode `meta.error` of the answer
 * @param {Record<string, unknown>} [detail] the rest of `meta`
 */
export function refusal(serverCode, detail = {}) {
  const facts = { ...detail, serverCode };
  if (serverCode === "concurrency_limit_reached") {
    return new SignalingError("server_full", "All places on this server are taken.", facts);
  }
  if (serverCode === "server_draining") {
    return new SignalingError("server_draining", "This server is about to stop and takes no new conversations.", facts);
  }
  if (serverCode === "connection_already_exists") {
    return new SignalingError("already_connected", "A connection with this id exists already.", facts);
  }
  if (serverCode === "unauthorized" || serverCode === "forbidden") {
    return new SignalingError("unauthorized", "The server did not let this client in.", facts);
  }
  return new SignalingError("refused", `The server refused the connection: ${serverCode}.`, facts);
}

/** Of `RTCPeerConnectionIceErrorEvent.errorCode` (W3C WebRTC, section 4.8.2, and RFC 8656): what it means to people. */
const ICE_ERRORS = new Map([
  [401, "refused the user name or password"],
  [403, "forbids the connection"],
  [438, "calls the password expired"],
  [486, "has no room for more of this user's connections"],
  [508, "has no free ports"],
  [701, "cannot be reached"],
]);

/**
 * What STUN and TURN servers failed with, a sentence for each server.
 *
 * @param {{url: string, code: number}[]} errors
 */
export function describeIceErrors(errors) {
  const worst = new Map(errors.map(({ url, code }) => [url, code]));
  return [...worst].map(([url, code]) => `${url} ${ICE_ERRORS.get(code) ?? `failed (${code})`}.`);
}
