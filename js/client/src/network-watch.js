/**
 * Notices when the device changes between networks.
 *
 * Every browser says `online`. Chromium also tells of other changes (`navigator.connection`), among them each new estimate
 * of the bandwidth, and outside of phones it does not say what has changed: the device's addresses do.
 *
 * @module
 */

const GATHER_MS = 2000;

/** @typedef {EventTarget & {type?: string}} NetworkInformation */

export class NetworkWatch {
  #onChange;
  #connection;
  #addresses;
  /** @type {string | undefined} */ #type;
  /** @type {Promise<string>} */ #known = Promise.resolve("");
  #closed = false;

  /**
   * @param {() => void} onChange another network is used now
   * @param {object} [device]
   * @param {NetworkInformation | null} [device.connection]
   * @param {() => Promise<string>} [device.addresses] of the device, in one text; empty: unknown
   */
  constructor(onChange, { connection = networkInformation(), addresses = localAddresses } = {}) {
    this.#onChange = onChange;
    this.#connection = connection;
    this.#addresses = addresses;
    globalThis.addEventListener?.("online", this.#online);
    if (!connection) return;
    this.#type = connection.type;
    this.#known = addresses();
    connection.addEventListener("change", this.#changed);
  }

  #online = () => this.#onChange();

  #changed = () => {
    const type = this.#connection?.type;
    const isOther = type !== this.#type;
    this.#type = type;
    if (isOther) this.#onChange();
    this.#known = this.#known.then(async (before) => {
      const now = await this.#addresses();
      if (!isOther && !this.#closed && now && before && now !== before) this.#onChange();
      return now || before;
    });
  };

  close() {
    this.#closed = true;
    globalThis.removeEventListener?.("online", this.#online);
    this.#connection?.removeEventListener("change", this.#changed);
  }
}

/** @returns {NetworkInformation | null} */
function networkInformation() {
  return /** @type {{connection?: NetworkInformation}} */ (globalThis.navigator)?.connection ?? null;
}

/** The names that stand for them where a page may not see them do as well: they last as long as the page. */
async function localAddresses() {
  const probe = new RTCPeerConnection();
  try {
    /** @type {Set<string>} */
    const found = new Set();
    const gathered = new Promise((resolve) => {
      setTimeout(resolve, GATHER_MS);
      probe.onicecandidate = ({ candidate }) => (candidate ? found.add(candidate.address ?? "") : resolve(null));
    });
    probe.createDataChannel("");
    await probe.setLocalDescription();
    await gathered;
    return [...found].sort().join(" ");
  } catch {
    return "";
  } finally {
    probe.close();
  }
}
