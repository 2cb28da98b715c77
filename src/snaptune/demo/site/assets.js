/**
 * Where the page's files are. Normally they lie beside it; a page in one file carries them inside itself, as
 * base64 in script elements.
 * @import { FileEntry, Asset } from './types.js'
 */

/** @type {Map<string, Promise<string>>} */
const unpacked = new Map();

/**
 * The address of one of the page's own files.
 * @param {string} file @returns {Promise<string>}
 */
export async function assetUrl(file) {
  const inside = document.querySelector(`script[data-file="${CSS.escape(file)}"]`);
  if (!inside) return new URL(file, document.baseURI).href;
  const known = unpacked.get(file) ?? unpack(inside);
  unpacked.set(file, known);
  return known;
}

/** @param {Element} element */
async function unpack(element) {
  const type = element.getAttribute('data-type') ?? '';
  const response = await fetch(`data:${type};base64,${element.textContent}`);
  return URL.createObjectURL(await response.blob());
}

/**
 * What the worker needs to fetch a file and to check it.
 * @param {FileEntry} entry @returns {Promise<Asset>}
 */
export async function asset(entry) {
  return { ...entry, url: await assetUrl(entry.file) };
}

/**
 * @param {string} file
 * @returns {Promise<Response>} never one that failed
 */
export async function fetchAsset(file) {
  const response = await fetch(await assetUrl(file)).catch(() => null);
  if (response?.ok) return response;
  throw new Error(`${file} could not be fetched${response ? ` (the server answered ${response.status})` : ''}.`);
}
