/** The pictures that the user labelled, and the zip that they go home in. */
import { zip } from './zip.js';

/** @typedef {{picture: Blob, label: string}} Labelled */

/** @type {Record<string, string>} */
const SUFFIXES = { 'image/jpeg': 'jpg', 'image/svg+xml': 'svg' };

/**
 * A zip of pictures/0001.jpg… and labels.csv with file, label and group.
 * @param {Labelled[]} collection @param {string} group keeps these pictures on one side of every later split
 */
export async function toZip(collection, group) {
  const files = collection.map(({ picture, label }, index) => ({ name: fileName(picture, index), picture, label }));
  const rows = [['file', 'label', 'group'], ...files.map(({ name, label }) => [name, label, group])];
  const pictures = files.map(async ({ name, picture }) => ({ name, bytes: await bytesOf(picture) }));
  return zip([{ name: 'labels.csv', bytes: new TextEncoder().encode(csv(rows)) }, ...(await Promise.all(pictures))]);
}

/** @param {Blob} picture @param {number} index */
function fileName(picture, index) {
  const suffix = SUFFIXES[picture.type] ?? (picture.type.split('/')[1] || 'jpg');
  return `pictures/${String(index + 1).padStart(4, '0')}.${suffix}`;
}

/** @param {Blob} picture */
async function bytesOf(picture) {
  return new Uint8Array(await picture.arrayBuffer());
}

/** @param {string[][]} rows */
export function csv(rows) {
  return rows.map((cells) => `${cells.map(quoted).join(',')}\r\n`).join('');
}

/** @param {string} cell */
function quoted(cell) {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

/** A name that no other visit has: the day and a few random characters. */
export function newGroup() {
  const [random] = crypto.getRandomValues(new Uint32Array(1));
  return `demo-${new Date().toISOString().slice(0, 10)}-${random.toString(16).padStart(8, '0')}`;
}
