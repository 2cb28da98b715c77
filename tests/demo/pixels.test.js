import assert from 'node:assert/strict';
import test from 'node:test';

import { read, toRgb } from '../../src/snaptune/demo/site/pixels.js';

/** What `read` did, in order, with stand-ins for the browser's decoder and canvas. */
async function recorded(picture) {
  const calls = [];
  globalThis.createImageBitmap = async (blob, options) => {
    calls.push(['decode', options]);
    return { width: 2, height: 1, close: () => calls.push(['close']) };
  };
  globalThis.OffscreenCanvas = class {
    constructor(width, height) {
      Object.assign(this, { width, height });
    }
    getContext(kind, options) {
      calls.push(['canvas', options]);
      return {
        canvas: this,
        fillRect: (...box) => calls.push(['fill', ...box]),
        drawImage: (_, ...place) => calls.push(['draw', ...place]),
        getImageData: (...box) => calls.push(['read', ...box]),
      };
    }
  };
  await read(picture);
  return calls;
}

test('a file is decoded upright, without colour conversion, on white, and never resized', async () => {
  assert.deepEqual(await recorded(new Blob(['a file'])), [
    // Browsers differ in what they do where orientation is left out or 'none'; only this one is the same everywhere.
    ['decode', { colorSpaceConversion: 'none', imageOrientation: 'from-image', premultiplyAlpha: 'none' }],
    ['canvas', { willReadFrequently: true }],
    ['fill', 0, 0, 2, 1],
    ['draw', 0, 0],
    ['close'],
    ['read', 0, 0, 2, 1],
  ]);
});

test('the fourth of every four bytes is dropped', () => {
  assert.deepEqual([...toRgb(Uint8ClampedArray.of(1, 2, 3, 255, 4, 5, 6, 0))], [1, 2, 3, 4, 5, 6]);
});
