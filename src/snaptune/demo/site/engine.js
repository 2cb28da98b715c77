/**
 * The page's end of the worker: starts it, tells how far it is, and asks it for answers.
 * @import { Answer, Assets, Device, FromWorker, ToWorker } from './types.js'
 */

/** Compiling shaders takes long, and the page works meanwhile. @type {Record<Device, number>} */
const STUCK_AFTER_S = { wasm: 45, webgpu: 120 };

/** @typedef {Extract<FromWorker, {type: 'progress'}>} Progress */
/**
 * @typedef {object} Engine
 * @property {Device} device
 * @property {number} threads how many really run
 * @property {(picture: Blob | ImageBitmap) => Promise<Answer>} classify
 * @property {() => void} stop end the worker, which gives its memory back; what was asked of it fails
 */

/** The engine failed, and not the picture. */
export class EngineError extends Error {}

/** The threads to ask for: the browser has more than one only on an isolated page. */
export function wantedThreads() {
  return crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
}

/**
 * Start the model; where several threads fail or get stuck, once more with one.
 * @param {string} script the worker's address
 * @param {Assets} assets
 * @param {(progress: Progress | null) => void} onProgress null once everything is there and the model starts
 * @returns {Promise<Engine>}
 */
export async function startEngine(script, assets, onProgress) {
  const threads = assets.device === 'wasm' ? wantedThreads() : 1; // beside a graphics card, one does the resizing
  try {
    return await startWorker(script, assets, threads, onProgress);
  } catch (error) {
    if (threads === 1) throw error;
    return startWorker(script, assets, 1, onProgress);
  }
}

/**
 * @param {string} script @param {Assets} assets @param {number} threads
 * @param {(progress: Progress | null) => void} onProgress
 * @returns {Promise<Engine>}
 */
function startWorker(script, assets, threads, onProgress) {
  const worker = new Worker(bound(script), { type: 'module' });
  return new Promise((resolve, reject) => {
    /** @param {string} message */
    const fail = (message) => {
      worker.terminate();
      reject(new Error(message));
    };
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let alarm;
    worker.onerror = () => fail('The part of this page that runs the model could not be loaded.');
    worker.onmessage = ({ data }) => {
      if (data.type === 'progress') onProgress(data);
      if (data.type === 'starting') {
        onProgress(null);
        const seconds = STUCK_AFTER_S[assets.device];
        alarm = setTimeout(() => fail(`The model did not start within ${seconds} seconds.`), 1000 * seconds);
      }
      if (data.type === 'failed' || data.type === 'ready') clearTimeout(alarm);
      if (data.type === 'failed') fail(data.message);
      if (data.type === 'ready') resolve({ device: assets.device, threads: data.threads, ...caller(worker) });
    };
    send(worker, { type: 'load', assets, threads });
  });
}

/**
 * The address of a worker that obeys the page's content-security policy. One that is loaded from a server has only
 * the policy that the server sends with it, most often none; one that starts from a blob inherits the page's.
 * @param {string} script
 */
function bound(script) {
  if (script.startsWith('data:')) return script; // inherits it too
  return URL.createObjectURL(new Blob([`import ${JSON.stringify(script)};`], { type: 'text/javascript' }));
}

/**
 * Pairs each question with its answer.
 * @param {Worker} worker @returns {Pick<Engine, 'classify' | 'stop'>}
 */
function caller(worker) {
  let last = 0;
  let stopped = false;
  /** @type {Map<number, {resolve: (answer: Answer) => void, reject: (error: Error) => void}>} */
  const waiting = new Map();
  worker.onmessage = (/** @type {MessageEvent<FromWorker>} */ { data }) => {
    if (data.type !== 'answer' && data.type !== 'refused') return;
    const asker = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.type === 'answer') asker?.resolve(data);
    else asker?.reject(data.broken ? new EngineError(data.message) : new Error(data.message));
  };
  const stop = () => {
    worker.terminate();
    stopped = true;
    for (const asker of waiting.values()) asker.reject(new EngineError('The model stopped unexpectedly. Reload the page.'));
    waiting.clear();
  };
  worker.onerror = stop;
  /** @param {Blob | ImageBitmap} picture @returns {Promise<Answer>} */
  const classify = (picture) =>
    new Promise((resolve, reject) => {
      if (stopped) return reject(new EngineError('The model stopped. Reload the page.'));
      last += 1;
      waiting.set(last, { resolve, reject });
      send(worker, { type: 'classify', id: last, picture }, picture instanceof ImageBitmap ? [picture] : []);
    });
  return { classify, stop };
}

/** @param {Worker} worker @param {ToWorker} message @param {Transferable[]} [transfer] */
function send(worker, message, transfer = []) {
  worker.postMessage(message, transfer);
}
