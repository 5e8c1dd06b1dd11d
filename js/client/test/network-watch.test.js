import assert from "node:assert/strict";
import { test } from "node:test";

import { NetworkWatch } from "../src/network-watch.js";

class Network extends EventTarget {
  /** @type {string | undefined} */ type;
  addresses = "192.0.2.7";
  changes = 0;

  /** @param {string} [type] */
  constructor(type) {
    super();
    this.type = type;
    this.watch = new NetworkWatch(() => (this.changes += 1), {
      connection: this,
      addresses: async () => this.addresses,
    });
  }

  async tell() {
    this.dispatchEvent(new Event("change"));
    await new Promise((resolve) => setTimeout(resolve, 1));
    return this.changes;
  }
}

test("a new estimate of the bandwidth is no change", async () => {
  const network = new Network();
  assert.equal(await network.tell(), 0);
  assert.equal(await network.tell(), 0);
});

test("another address is a change, once", async () => {
  const network = new Network();
  await network.tell();
  network.addresses = "198.51.100.4";
  assert.equal(await network.tell(), 1);
  assert.equal(await network.tell(), 1);
});

test("another type is a change, once", async () => {
  const network = new Network("wifi");
  network.type = "cellular";
  network.addresses = "198.51.100.4";
  assert.equal(await network.tell(), 1);
  assert.equal(await network.tell(), 1);
});

test("without a network there is nowhere to go, and it is not forgotten which one there was", async () => {
  const network = new Network();
  network.addresses = "";
  assert.equal(await network.tell(), 0);
  network.addresses = "192.0.2.7";
  assert.equal(await network.tell(), 0);
  network.addresses = "198.51.100.4";
  assert.equal(await network.tell(), 1);
});

test("nobody is told after the end", async () => {
  const network = new Network("wifi");
  network.type = "cellular";
  network.watch.close();
  assert.equal(await network.tell(), 0);
});
