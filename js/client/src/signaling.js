/**
 * The HTTP side of WebRTC: the offer and the candidates that trickle after it.
 *
 * @module
 */

import { ClientError, SignalingError, refusal } from "./errors.js";
import { build } from "./messages.js";

/**
 * @typedef {object} SignalingOptions
 * @property {Record<string, string>} [headers] sent with every request, for example `Authorization`
 * @property {typeof fetch} [fetch] used instead of the browser's
 * @property {Token} [token] for a server that asks who may enter
 * @property {number} [timeoutMs] for one request
 *
 * @typedef {string | (() => string | Promise<string>)} Token a session token, or what gets a fresh one
 */

/**
 * @param {Token} [token]
 * @returns {Promise<string | undefined>}
 * @throws {SignalingError} there is none to be had
 */
export async function readToken(token) {
  try {
    return typeof token === "function" ? await token() : token;
  } catch (error) {
    throw new SignalingError("unauthorized", "There is no token to enter with.", { reason: String(error) });
  }
}

export class Signaling {
  #url;
  #id;
  #headers;
  #fetch;
  #timeoutMs;
  #givenToken;
  /** @type {string | undefined} the last offer's: by it the server knows whose candidates these are */ #token;
  /** @type {RTCIceCandidateInit[] | null} candidates that wait for the answer */ #waiting = [];
  /** @type {Promise<void>} */ #last = Promise.resolve();
  /** Whether the server still looks for candidates of its own. */ #more = false;

  /**
   * @param {URL} url of `webrtc/offer`
   * @param {string} id of the connection
   * @param {SignalingOptions} [options]
   */
  constructor(url, id, { headers = {}, fetch = globalThis.fetch, timeoutMs = 15_000, token } = {}) {
    this.#url = url;
    this.#id = id;
    this.#headers = headers;
    this.#fetch = fetch.bind(globalThis);
    this.#timeoutMs = timeoutMs;
    this.#givenToken = token;
  }

  /**
   * @param {string} sdp
   * @returns {Promise<string>} the answer's SDP
   * @throws {SignalingError}
   */
  async offer(sdp) {
    this.#waiting ??= [];
    this.#token = await readToken(this.#givenToken);
    const answer = await this.#post(build.offer(sdp, this.#id, this.#token));
    if (typeof answer.sdp !== "string") {
      throw new SignalingError("refused", "The server's answer has no session description.");
    }
    this.#more = answer.more_candidates === true;
    return answer.sdp;
  }

  /**
   * Ask for the candidates that the server found after its answer, until it has no more.
   *
   * @param {(candidate: RTCIceCandidateInit) => Promise<void>} take
   */
  async followCandidates(take) {
    try {
      while (this.#more) {
        const answer = await this.#post(build.candidateRequest(this.#id, this.#token));
        this.#more = answer.more_candidates === true;
        for (const candidate of Array.isArray(answer.candidates) ? answer.candidates : []) await take(candidate);
      }
    } catch (error) {
      if (!(error instanceof ClientError)) throw error; // others may do
    }
  }

  /** No more candidates are wanted. */
  close() {
    this.#more = false;
  }

  /** The answer has been applied: send the candidates that waited for it. */
  flushCandidates() {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const candidate of waiting) this.candidate(candidate);
  }

  /**
   * Pass a candidate on, in order, after the answer: before it the server may not know the connection yet. One that is
   * refused is no failure, others may do.
   *
   * @param {RTCIceCandidateInit} candidate
   */
  candidate(candidate) {
    if (!candidate.candidate) return;
    if (this.#waiting) {
      this.#waiting.push(candidate);
      return;
    }
    this.#last = this.#last.then(async () => {
      try {
        await this.#post(build.candidate(candidate, this.#id, this.#token));
      } catch (error) {
        if (!(error instanceof ClientError)) throw error;
      }
    });
  }

  /** @param {string} body @returns {Promise<Record<string, unknown>>} */
  async #post(body) {
    const response = await this.#send(body);
    if (response.status === 401 || response.status === 403) {
      const answer = await response.json().catch(() => null);
      throw refusal("unauthorized", { status: response.status, detail: answer?.meta?.detail });
    }
    if (!response.ok) {
      throw new SignalingError("refused", `The server answered with HTTP ${response.status}.`, {
        status: response.status,
      });
    }
    const answer = await response.json().catch(() => null);
    if (typeof answer !== "object" || answer === null) {
      throw new SignalingError("refused", "The server's answer is not JSON.");
    }
    if (answer.status === "failed") throw refusal(String(answer.meta?.error ?? "unknown"), answer.meta ?? {});
    return answer;
  }

  /** @param {string} body */
  async #send(body) {
    try {
      return await this.#fetch(this.#url, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...this.#headers },
        body,
        signal: AbortSignal.timeout(this.#timeoutMs),
      });
    } catch (error) {
      throw new SignalingError("server_unreachable", "The server cannot be reached.", { reason: String(error) });
    }
  }
}
