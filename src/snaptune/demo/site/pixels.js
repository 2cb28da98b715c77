/**
 * From a picture to the numbers that the model takes, exactly as training read it: stored colours untouched by
 * colour profiles, upright, transparency on white, and never resized here: the model does that itself.
 */

/**
 * premultiplyAlpha: without it a WebP with alpha comes out one step too dark in half of its pixels.
 * @type {ImageBitmapOptions}
 */
const AS_STORED = { colorSpaceConversion: 'none', imageOrientation: 'from-image', premultiplyAlpha: 'none' };

/** @type {OffscreenCanvasRenderingContext2D | null} */
let context = null;

/**
 * @param {Blob | ImageBitmap} picture an encoded file, or a camera frame
 * @returns {Promise<ImageData>}
 */
export async function read(picture) {
  const bitmap = picture instanceof Blob ? await decode(picture) : picture;
  const { width, height } = bitmap;
  const sheet = sized(width, height);
  sheet.fillStyle = 'white';
  sheet.fillRect(0, 0, width, height);
  sheet.drawImage(bitmap, 0, 0);
  bitmap.close();
  return sheet.getImageData(0, 0, width, height);
}

/** @param {Blob} blob */
async function decode(blob) {
  try {
    return await createImageBitmap(blob, AS_STORED);
  } catch {
    throw new Error('This browser cannot read that file as a picture. JPEG, PNG and WebP always work.');
  }
}

/**
 * The one drawing surface, kept for the next frame of the same size.
 * @param {number} width @param {number} height
 */
function sized(width, height) {
  if (context?.canvas.width !== width || context.canvas.height !== height) {
    context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  }
  if (!context) throw new Error(`This browser has no room for a picture of ${width} × ${height} pixels.`);
  return context;
}

/**
 * Drop the fourth of every four bytes.
 * @param {Uint8ClampedArray} rgba @returns {Uint8Array<ArrayBuffer>}
 */
export function toRgb(rgba) {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to] = rgba[from];
    rgb[to + 1] = rgba[from + 1];
    rgb[to + 2] = rgba[from + 2];
  }
  return rgb;
}
