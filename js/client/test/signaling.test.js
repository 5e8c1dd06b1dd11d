import assert from "node:assert/strict";
import { test } from "node:test";

import { ClientError, worthAnotherTransport } from "../src/errors.js";
import { Signaling } from "../src/signaling.js";

const URL_ = new URL("http://localhost/voice/webrtc/offer");

/** @param {(body: any) => Response | Promise<Response>} answer */
function server(answer) {
  /** @type {any[]} */
  const seen = [];
  /** @type {typeof globalThis.fetch} */
  const post = async (_url, init) => {
    const body = JSON.parse(String(init?.body));
    seen.push(body);
    return answer(body);
  };
  return { seen, signaling: new Signaling(URL_, "id", { fetch: post }) };
}

/** @param {Response | Error} answer */
async function failure(answer) {
  const { signaling } = server(() => {
    if (answer instanceof Error) throw answer;
    return answer;
  });
  const error = await signaling.offer("v=0").catch((/** @type {unknown} */ reason) => reason);
  assert.ok(error instanceof ClientError);
  return error;
}

test("the answer's description is returned", async () => {
  const { seen, signaling } = server(() => Response.json({ sdp: "v=0 answer", type: "answer" }));
  assert.equal(await signaling.offer("v=0"), "v=0 answer");
  assert.deepEqual(seen, [{ sdp: "v=0", type: "offer", webrtc_id: "id" }]);
});

test("each failure has its own code, and says whether another transport may do", async () => {
  const failed = (/** @type {object} */ meta) => Response.json({ status: "failed", meta });
  /** @type {[Response | Error, string, boolean][]} */
  const cases = [
    [failed({ error: "concurrency_limit_reached", limit: 2 }), "server_full", false],
    [failed({ error: "connection_already_exists" }), "already_connected", true],
    [failed({ error: "something_new" }), "refused", true],
    [new Response("", { status: 401 }), "unauthorized", false],
    [new Response("", { status: 404 }), "refused", true],
    [new Response("<html>"), "refused", true],
    [Response.json({ type: "answer" }), "refused", true],
    [new TypeError("fetch failed"), "server_unreachable", false],
  ];
  for (const [answer, code, another] of cases) {
    const error = await failure(answer);
    assert.equal(error.code, code);
    assert.equal(worthAnotherTransport(error), another, code);
  }
});

test("a full server tells its limit", async () => {
  const error = await failure(Response.json({ status: "failed", meta: { error: "concurrency_limit_reached", limit: 2 } }));
  assert.equal(error.detail.limit, 2);
});

test("candidates wait for the answer, keep their order, and survive a refusal", async () => {
  /** @type {(value?: unknown) => void} */
  let last = () => {};
  const done = new Promise((resolve) => {
    last = resolve;
  });
  const { seen, signaling } = server((/** @type {any} */ body) => {
    if (body.candidate?.candidate === "candidate:3") last();
    return Response.json({ status: "failed", meta: { error: "invalid_candidate_format" } });
  });
  signaling.candidate({ candidate: "candidate:1" });
  signaling.candidate({ candidate: "" });
  signaling.candidate({ candidate: "candidate:2" });
  assert.deepEqual(seen, []);
  signaling.flushCandidates();
  signaling.candidate({ candidate: "candidate:3" });
  await done;
  assert.deepEqual(seen.map((/** @type {any} */ body) => body.candidate.candidate), ["candidate:1", "candidate:2", "candidate:3"]);
});
