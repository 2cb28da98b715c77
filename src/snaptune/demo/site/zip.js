/** Writes zip files, stored without compression: what they hold is compressed already. */

/** @typedef {{name: string, bytes: Uint8Array<ArrayBuffer>}} Entry */

const UTF8_NAMES = 0x0800;
const VERSION = 20;
const FIRST_DAY = 0x21; // 1 January 1980: the same pictures give the same file

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** The CRC-32 that zip files carry. @param {Uint8Array} bytes */
export function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/**
 * A zip of the entries, in their order; fewer than 65,536 of them and 4 GB.
 * @param {Entry[]} entries @returns {Blob}
 */
export function zip(entries) {
  const files = [];
  const directory = [];
  let offset = 0;
  for (const { name, bytes } of entries) {
    const encoded = new TextEncoder().encode(name);
    const facts = factsOf(encoded, bytes);
    files.push(header(0x04034b50, [...facts]), encoded, bytes);
    directory.push(header(0x02014b50, [[2, VERSION], ...facts, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]]), encoded);
    offset += 30 + encoded.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const counts = [[2, 0], [2, 0], [2, entries.length], [2, entries.length], [4, size], [4, offset], [2, 0]];
  return new Blob([...files, ...directory, header(0x06054b50, counts)], { type: 'application/zip' });
}

/**
 * The fields that a file's own header shares with its line in the directory, each as [bytes, value].
 * @param {Uint8Array} name @param {Uint8Array} bytes @returns {number[][]}
 */
function factsOf(name, bytes) {
  const size = bytes.length;
  const time = [[2, 0], [2, FIRST_DAY]];
  return [[2, VERSION], [2, UTF8_NAMES], [2, 0], ...time, [4, crc32(bytes)], [4, size], [4, size], [2, name.length], [2, 0]];
}

/** @param {number} signature @param {number[][]} fields each as [bytes, value], little-endian */
function header(signature, fields) {
  const all = [[4, signature], ...fields];
  const view = new DataView(new ArrayBuffer(all.reduce((sum, [width]) => sum + width, 0)));
  let at = 0;
  for (const [width, value] of all) {
    if (width === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += width;
  }
  return new Uint8Array(view.buffer);
}
