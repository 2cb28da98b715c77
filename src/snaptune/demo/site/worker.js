/**
 * Runs the model, so that the page never waits for it.
 * @import { Answer, Assets, Device, FromWorker, ToWorker } from './types.js'
 * @import { InferenceSession } from 'onnxruntime-web'
 */
import { download } from './download.js';
import { read, toRgb } from './pixels.js';

/** @type {typeof import('onnxruntime-web')} */
let ort;
/** @type {InferenceSession} */
let session;
let queue = Promise.resolve();

/** The runtime failed, and not the picture. */
class BrokenError extends Error {}

/** @param {FromWorker} message */
function say(message) {
  postMessage(message);
}

/** @param {Assets} assets @param {number} threads */
async function load(assets, threads) {
  const [runtime, model] = await Promise.all([fetchPart('runtime', assets), fetchPart('model', assets)]);
  say({ type: 'starting' });
  ort = await import(assets.script);
  ort.env.logLevel = 'error';
  ort.env.wasm.wasmBinary = runtime.buffer;
  ort.env.wasm.numThreads = threads;
  session = await start(model, assets.device);
  await run(new Uint8Array(3), 1, 1); // the first run is slow, and would fail here if the model cannot run
  say({ type: 'ready', threads: ort.env.wasm.numThreads });
}

/** @param {'runtime' | 'model'} part @param {Assets} assets */
function fetchPart(part, assets) {
  const file = part === 'runtime' ? assets.wasm : assets.model;
  return download(file, (loaded, kept) => say({ type: 'progress', part, loaded, total: file.bytes, kept }));
}

/** @param {Uint8Array} model @param {Device} device */
async function start(model, device) {
  try {
    return await ort.InferenceSession.create(model, { executionProviders: [device] });
  } catch (error) {
    throw new Error(`The model cannot be started: ${textOf(error)}`);
  }
}

/** @param {Uint8Array} rgb @param {number} width @param {number} height */
async function run(rgb, width, height) {
  const image = new ort.Tensor('uint8', rgb, [height, width, 3]);
  try {
    const { probs } = await session.run({ image });
    const probabilities = Array.from(/** @type {Float32Array} */ (probs.data));
    probs.dispose(); // a graphics card's memory is given back by nobody else
    return probabilities;
  } catch (error) {
    throw new BrokenError(`The model failed: ${textOf(error)}`);
  } finally {
    image.dispose();
  }
}

/** @param {Blob | ImageBitmap} picture @returns {Promise<Answer>} */
async function classify(picture) {
  const began = performance.now();
  const { data, width, height } = await read(picture);
  const wasRead = performance.now();
  const rgb = toRgb(data);
  const prepared = performance.now();
  const probabilities = await run(rgb, width, height);
  const done = performance.now();
  return { probabilities, times: { read: wasRead - began, prepare: prepared - wasRead, model: done - prepared } };
}

/**
 * One picture after the other: the model takes no second one while it works.
 * @param {number} id @param {Blob | ImageBitmap} picture
 */
async function answer(id, picture) {
  try {
    say({ type: 'answer', id, ...(await classify(picture)) });
  } catch (error) {
    say({ type: 'refused', id, message: textOf(error), broken: error instanceof BrokenError });
  }
}

/** @param {unknown} error */
function textOf(error) {
  return error instanceof Error ? error.message : String(error);
}

addEventListener('message', (/** @type {MessageEvent<ToWorker>} */ { data }) => {
  if (data.type === 'load') {
    load(data.assets, data.threads).catch((error) => say({ type: 'failed', message: textOf(error) }));
  } else {
    queue = queue.then(() => answer(data.id, data.picture));
  }
});
