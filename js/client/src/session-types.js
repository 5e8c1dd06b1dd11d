/**
 * What a Session takes and what it tells: types only.
 *
 * @module
 */

/**
 * @typedef {import("./activity.js").Activity} Activity
 * @typedef {import("./errors.js").ClientError} ClientError
 * @typedef {import("./messages.js").ServerMessage} ServerMessage
 * @typedef {import("./messages.js").SessionEvent} SessionEvent
 *
 * @typedef {object} SessionOptions
 * @property {string | URL} [base] where the stream is mounted; default: the page's own address
 * @property {"auto" | "webrtc" | "websocket"} [transport] `auto`: WebRTC, and WebSocket where that does not connect
 * @property {string} [id] of the session; default: random. A reconnection or fallback gets another
 * @property {boolean | MediaTrackConstraints | MediaStream} [audio] microphone (default), how to open it, a stream to
 *   send instead, or false: send silence and type
 * @property {string} [deviceId] of one microphone in particular
 * @property {"audio" | "video" | "audio-video"} [modality] default: audio. Video goes over WebRTC only
 * @property {boolean | MediaTrackConstraints | MediaStream} [video] camera (default, where the modality has video), how
 *   to open it, a stream to send instead, or false: none
 * @property {string} [cameraId] of one camera in particular
 * @property {Partial<RTCRtpSendParameters>} [rtpParams] for the sender of video: `degradationPreference`, and
 *   `encodings` with, for example, `maxBitrate`
 * @property {"send-receive" | "send" | "receive"} [mode] which way the media go
 * @property {boolean} [play] whether the reply is played; default true
 * @property {RTCConfiguration} [rtcConfiguration]
 * @property {number} [connectTimeoutMs] until another transport is tried; default 5000
 * @property {boolean} [reconnect] whether a broken connection is made anew; default true
 * @property {unknown[] | (() => unknown[])} [inputs] answer to the server's `send_input`
 * @property {Record<string, string>} [headers] of the HTTP requests, for example `Authorization`
 * @property {import("./signaling.js").Token} [token] for a server that asks who may enter; a function is asked for each
 *   connection
 * @property {number} [inputRateHz] for WebSocket servers that do not tell their rate
 * @property {number} [outputRateHz] for WebSocket servers that do not tell their rate
 *
 * @typedef {object} SessionEvents what a Session dispatches, as `CustomEvent` with this `detail`
 * @property {{activity: Activity, previous: Activity}} activity
 * @property {{transport: "webrtc" | "websocket", fallback: ClientError | null}} connected
 * @property {{attempt: number, reason: string}} reconnecting
 * @property {SessionEvent} event
 * @property {import("./turn-log.js").TurnLog} turns
 * @property {unknown[]} output additional outputs of the handler
 * @property {null} fetchoutput outputs wait on the app's own endpoint (servers of the original FastRTC)
 * @property {null} sendinput the handler waits for its inputs; without `inputs` call `sendInput`
 * @property {unknown} stopword a stop word was heard: what the user says next is for the handler
 * @property {import("./messages.js").Transcript} transcript what the user says, live, where the handler has `captions`
 * @property {unknown} log
 * @property {string} notice a warning of the handler
 * @property {string} problem an error of the handler; the session goes on
 * @property {ServerMessage} message every message, as it came
 * @property {{reason: "closed" | "server" | "lost" | "failed", message: string, error: ClientError | null}} ended
 */

export {};
