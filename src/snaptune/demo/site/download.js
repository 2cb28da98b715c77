/**
 * Fetching the large files, with progress and a check of every byte.
 * @import { Asset } from './types.js'
 */

const GZIP = [0x1f, 0x8b];

/**
 * The bytes of a file, inflated where it is gzip. Throws with the file's name where it is missing or damaged.
 * @param {Asset} asset
 * @param {(loaded: number, kept: boolean) => void} onProgress
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function download(asset, onProgress) {
  const response = await fetch(asset.url).catch(() => null);
  if (!response?.ok || !response.body) {
    throw new Error(`${asset.file} could not be fetched${response ? ` (the server answered ${response.status})` : ''}.`);
  }
  const kept = response.headers.has('x-kept');
  const bytes = await collect(response.body, (loaded) => onProgress(loaded, kept));
  await check(asset, bytes);
  return GZIP.every((byte, index) => bytes[index] === byte) ? inflate(bytes) : bytes;
}

/**
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} stream
 * @param {(loaded: number) => void} onProgress
 */
async function collect(stream, onProgress) {
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const chunks = [];
  let loaded = 0;
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    chunks.push(part.value);
    loaded += part.value.length;
    onProgress(loaded);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/** @param {Uint8Array<ArrayBuffer>} bytes */
async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * Compare with the manifest. Browsers hash only on https and localhost; elsewhere the length must do.
 * @param {Asset} asset @param {Uint8Array<ArrayBuffer>} bytes
 */
async function check(asset, bytes) {
  const whole = bytes.length === asset.bytes && (!crypto.subtle || (await sha256(bytes)) === asset.sha256);
  if (!whole) {
    throw new Error(`${asset.file} is damaged or from another build: copy the demo's folder again, whole.`);
  }
}

/** @param {Uint8Array<ArrayBuffer>} bytes */
async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
