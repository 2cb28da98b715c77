/**
 * Where the page's files are. Normally they lie beside it; a page in one file carries them inside itself, as
 * base64 in script elements.
 * @import { Asset, Assets, Device, FileEntry, Manifest } from './types.js'
 */

/** Whether this page carries everything inside itself. */
export const inOneFile = document.querySelector('script[data-file]') !== null;

/**
 * The address of one of the page's own files. Inside one file it is a data address: from disk, browsers start
 * module workers from nothing else.
 * @param {string} file
 */
export function assetUrl(file) {
  const inside = document.querySelector(`script[data-file="${CSS.escape(file)}"]`);
  if (!inside) return new URL(file, document.baseURI).href;
  return `data:${inside.getAttribute('data-type')};base64,${inside.textContent}`;
}

/**
 * What a worker needs to run the model.
 * @param {Manifest} manifest @param {Device} device @returns {Assets}
 */
export function engineAssets({ model, runtime }, device) {
  const files = device === 'webgpu' ? runtime.webgpu : runtime;
  if (!files) throw new Error('This page does not carry the runtime for WebGPU.');
  return { device, script: assetUrl(files.script.file), wasm: asset(files.wasm), model: asset(model) };
}

/**
 * What the worker needs to fetch a file and to check it.
 * @param {FileEntry} entry @returns {Asset}
 */
function asset(entry) {
  return { ...entry, url: assetUrl(entry.file) };
}

/**
 * @param {string} file
 * @returns {Promise<Response>} never one that failed
 */
export async function fetchAsset(file) {
  const response = await fetch(assetUrl(file)).catch(() => null);
  if (response?.ok) return response;
  throw new Error(`${file} could not be fetched${response ? ` (the server answered ${response.status})` : ''}.`);
}
