/**
 * Names for sessions that no other client has.
 *
 * @module
 */

/** @returns {string} of 122 random bits; pages that are not on https have no `randomUUID` */
export function newId() {
  return crypto.randomUUID?.() ?? Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("-");
}
