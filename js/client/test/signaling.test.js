import assert from "node:assert/strict";
import { test } from "node:test";

import { ClientError, describeIceErrors, worthAnotherTransport } from "../src/errors.js";
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
    [failed({ error: "server_draining" }), "server_draining", false],
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

test("candidates of a restart wait for its answer, too", async () => {
  /** @type {(value?: unknown) => void} */
  let last = () => {};
  const done = new Promise((resolve) => {
    last = resolve;
  });
  const { seen, signaling } = server((/** @type {any} */ body) => {
    if (body.candidate) last();
    return Response.json({ sdp: "v=0 answer", type: "answer" });
  });
  await signaling.offer("v=0 first");
  signaling.flushCandidates();
  const second = signaling.offer("v=0 second");
  signaling.candidate({ candidate: "candidate:new" });
  await second;
  assert.deepEqual(seen.map((/** @type {any} */ body) => body.type), ["offer", "offer"]);
  signaling.flushCandidates();
  await done;
  assert.equal(seen[2].candidate.candidate, "candidate:new");
});

test("the server's late candidates are asked for until there are no more", async () => {
  const rounds = [
    { candidates: [{ candidate: "candidate:1", sdpMid: "0" }], more_candidates: true },
    { candidates: [], more_candidates: true },
    { candidates: [{ candidate: "candidate:2", sdpMid: "0" }], more_candidates: false },
  ];
  const { seen, signaling } = server((/** @type {any} */ body) =>
    Response.json(
      body.type === "offer"
        ? { sdp: "v=0", type: "answer", more_candidates: true }
        : { status: "success", ...rounds.shift() },
    ),
  );
  await signaling.offer("v=0");
  /** @type {string[]} */
  const taken = [];
  await signaling.followCandidates(async ({ candidate }) => {
    taken.push(candidate ?? "");
  });
  assert.deepEqual(taken, ["candidate:1", "candidate:2"]);
  assert.deepEqual(seen.slice(1), Array(3).fill({ type: "local-candidates", webrtc_id: "id" }));
});

test("a server that has no late candidates, or refuses to tell, is not asked again", async () => {
  const plain = server(() => Response.json({ sdp: "v=0", type: "answer" }));
  await plain.signaling.offer("v=0");
  await plain.signaling.followCandidates(async () => assert.fail());
  assert.equal(plain.seen.length, 1);
  const refusing = server((/** @type {any} */ body) =>
    body.type === "offer"
      ? Response.json({ sdp: "v=0", type: "answer", more_candidates: true })
      : Response.json({ status: "failed", meta: { error: "unknown_connection" } }),
  );
  await refusing.signaling.offer("v=0");
  await refusing.signaling.followCandidates(async () => assert.fail());
  assert.equal(refusing.seen.length, 2);
});

test("what STUN and TURN servers failed with is said once for each, with the last error", () => {
  assert.deepEqual(
    describeIceErrors([
      { url: "turn:a", code: 701 },
      { url: "turn:a", code: 401 },
      { url: "stun:b", code: 701 },
      { url: "stun:c", code: 600 },
    ]),
    ["turn:a refused the user name or password.", "stun:b cannot be reached.", "stun:c failed (600)."],
  );
});

test("a token goes with the offer and its candidates; a function is asked for each offer", async () => {
  /** @type {any[]} */
  const seen = [];
  /** @type {typeof globalThis.fetch} */
  const post = async (_url, init) => {
    seen.push(JSON.parse(String(init?.body)));
    return Response.json({ sdp: "v=0 answer", type: "answer" });
  };
  let made = 0;
  const signaling = new Signaling(URL_, "id", { fetch: post, token: async () => `token ${++made}` });
  signaling.candidate({ candidate: "candidate:1", sdpMid: "0" });
  await signaling.offer("v=0");
  signaling.flushCandidates();
  await signaling.offer("v=0 again");
  assert.deepEqual(seen.map(({ type, token }) => [type, token]), [
    ["offer", "token 1"],
    ["ice-candidate", "token 1"],
    ["offer", "token 2"],
  ]);
});

test("without a token there is no offer", async () => {
  const signaling = new Signaling(URL_, "id", {
    fetch: () => assert.fail("the server was asked"),
    token: () => Promise.reject(new Error("not logged in")),
  });
  const error = await signaling.offer("v=0").catch((/** @type {unknown} */ reason) => reason);
  assert.ok(error instanceof ClientError);
  assert.equal(error.code, "unauthorized");
  assert.match(String(error.detail.reason), /not logged in/);
});

test("who is not let in is told why", async () => {
  const body = { status: "failed", meta: { error: "forbidden", detail: "your trial is over" } };
  const error = await failure(Response.json(body, { status: 403 }));
  assert.equal(error.code, "unauthorized");
  assert.equal(error.detail.detail, "your trial is over");
});
