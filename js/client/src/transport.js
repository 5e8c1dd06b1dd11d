/**
 * What a session needs from a transport, and what it tells the session.
 *
 * @module
 */

/**
 * @typedef {import("./messages.js").ServerMessage} ServerMessage
 *
 * @typedef {object} TransportEvents what a transport tells its session
 * @property {(message: ServerMessage) => void} onMessage
 * @property {(reachable: boolean) => void} onReach the path to the server broke, or is back; it may be back by itself
 * @property {(reason: string) => void} onLost the connection broke; called at most once, never after `close()`
 *
 * @typedef {object} Transport
 * @property {"webrtc" | "websocket"} kind
 * @property {MediaStream} outputStream what the server says; the same object for the transport's whole life
 * @property {() => Promise<void>} open resolves when audio and messages can flow
 * @property {(text: string) => void} send
 * @property {(track: MediaStreamTrack) => Promise<void>} replaceTrack use another microphone, or camera, from now on
 * @property {(turn: number) => void} startTurn audio that arrives from now on is the reply of this turn
 * @property {() => Promise<void>} restartIce look for a new path to the server, because the network has changed
 * @property {() => Promise<number | null>} roundTripMs null where it is not known
 * @property {() => void} close
 */

/**
 * A promise that can be settled from outside, or by time.
 *
 * @template T
 */
export class Deferred {
  /** @type {(value: T) => void} */ resolve = () => {};
  /** @type {(error: unknown) => void} */ reject = () => {};

  constructor() {
    /** @type {Promise<T>} */
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.promise.catch(() => {});
  }

  /**
   * @param {number} ms
   * @param {() => Error} error made when the time is over
   * @returns {Promise<T>}
   */
  within(ms, error) {
    const timer = setTimeout(() => this.reject(error()), ms);
    return this.promise.finally(() => clearTimeout(timer));
  }
}
