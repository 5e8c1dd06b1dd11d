/**
 * Mu-law of ITU-T G.711 and base64, as the WebSocket carries audio.
 *
 * @module
 */

const BIAS = 0x84;
const CLIP = 32635;

const DECODED = Float32Array.from({ length: 256 }, (_, code) => decodeOne(code) / 32768);

/** @param {number} code @returns {number} 16-bit sample */
function decodeOne(code) {
  const bits = ~code & 0xff;
  const exponent = (bits >> 4) & 7;
  const magnitude = (((bits & 0x0f) << 3) + BIAS) << exponent;
  return bits & 0x80 ? BIAS - magnitude : magnitude - BIAS;
}

/** @param {number} sample 16-bit @returns {number} code, 0..255 */
function encodeOne(sample) {
  const sign = sample < 0 ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(sample), CLIP) + BIAS;
  const exponent = 24 - Math.clz32(magnitude);
  const mantissa = (magnitude >> (exponent + 3)) & 0x0f;
  return ~(sign | (exponent << 4) | mantissa) & 0xff;
}

/**
 * @param {Uint8Array} codes
 * @returns {Float32Array<ArrayBuffer>} samples in [-1, 1)
 */
export function decodeMulaw(codes) {
  const samples = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) samples[i] = DECODED[codes[i]];
  return samples;
}

/**
 * @param {Float32Array} samples in [-1, 1); what is beyond is clipped
 * @returns {Uint8Array}
 */
export function encodeMulaw(samples) {
  const codes = new Uint8Array(samples.length);
  for (let i = 0; i < samples.length; i++) codes[i] = encodeOne(Math.round(samples[i] * 32768));
  return codes;
}

/**
 * @param {Uint8Array} bytes
 * @returns {string}
 */
export function toBase64(bytes) {
  let binary = "";
  for (let i = 0; i < bytes.length; i += 8192) binary += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(binary);
}

/**
 * @param {string} text
 * @returns {Uint8Array}
 */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}
