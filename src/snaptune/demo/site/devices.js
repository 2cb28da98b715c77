/**
 * Which engine answers: the processor's, until the graphics card has proved right and faster, or the user chooses.
 * Only one is kept; the other's worker is ended, because nothing else gives its memory back.
 * @import { Engine, Progress } from './engine.js'
 * @import { Answer, Choice, Device, Manifest } from './types.js'
 */
import { assetUrl, engineAssets, fetchAsset } from './assets.js';
import { megabytes } from './dom.js';
import { EngineError, startEngine } from './engine.js';
import { compare, judge, obstacle } from './gpu.js';

/** @typedef {(engine: Engine, news: string) => void} Listener told which engine answers, and about WebGPU */

/** @type {Manifest} */
let facts;
/** @type {Listener} */
let tell;
/** @type {Promise<Engine>} the one that answers */
let serving;
/** @type {Choice} */
let wanted = 'auto';
/** @type {Promise<void>} one change after the other */
let changing = Promise.resolve();

/**
 * Start on the processor.
 * @param {Manifest} given @param {(progress: Progress | null) => void} onProgress @param {Listener} listener
 */
export async function startDevices(given, onProgress, listener) {
  [facts, tell] = [given, listener];
  serving = startOn('wasm', onProgress);
  tell(await serving, '');
}

/** @param {Device} device @param {(progress: Progress | null) => void} onProgress */
function startOn(device, onProgress) {
  return startEngine(assetUrl('worker.js'), engineAssets(facts, device), onProgress);
}

/**
 * Change to what the user wants; 'auto' tries the graphics card beside the processor, where nothing speaks against it.
 * @param {Choice} choice
 */
export function choose(choice) {
  wanted = choice;
  changing = changing.catch(() => {}).then(() => (choice === wanted ? change(choice) : undefined));
  return changing;
}

/** @param {Choice} choice */
async function change(choice) {
  if (choice === 'webgpu' && (await serving).device === 'webgpu') return;
  await useProcessor('');
  if (choice === 'wasm') return tell(await serving, 'The processor was chosen.');
  const reason = await obstacle(navigator, facts.runtime, choice === 'auto');
  if (reason) return tell(await serving, `WebGPU is not used: ${reason}.`);
  await tryGraphics(choice);
}

/** @param {string} news */
async function useProcessor(news) {
  const before = await serving;
  if (before.device === 'wasm') return;
  serving = startOn('wasm', () => {});
  before.stop();
  tell(await serving, news);
}

/** @param {Choice} choice */
async function tryGraphics(choice) {
  const processor = await serving;
  /** @type {Engine | null} */
  let graphics = null;
  try {
    graphics = await startOn('webgpu', (progress) => tell(processor, trying(progress)));
    const { keep, why } = judge(await compare(processor, graphics, await firstSample()), facts.tolerance, choice === 'auto');
    if (!keep || choice !== wanted) return tell(processor, why);
    serving = Promise.resolve(graphics);
    tell(graphics, why);
  } catch (error) {
    tell(processor, `WebGPU was tried and failed: ${textOf(error)}`);
  } finally {
    const other = (await serving) === graphics ? processor : graphics;
    other?.stop();
  }
}

/** @param {Progress | null} progress */
function trying(progress) {
  const { part, loaded, total } = progress ?? {};
  const loading = part === 'runtime' && loaded !== undefined && loaded < Number(total);
  return `WebGPU is being tried${loading ? `: ${megabytes(loaded)} of ${megabytes(Number(total))} loaded` : ''}…`;
}

/** A picture for both to answer. */
async function firstSample() {
  const [first] = facts.samples;
  if (!first) throw new Error('this page has no sample to prove it with.');
  return (await fetchAsset(first.file)).blob();
}

/**
 * The answer for a picture, from whichever engine serves when it comes.
 * @param {Blob} picture @returns {Promise<Answer>}
 */
export async function classify(picture) {
  return (await attempt(picture)) ?? classify(picture);
}

/**
 * The answer for a camera frame; null where the engine changed meanwhile, for a frame can be handed over only once.
 * @param {ImageBitmap} frame
 */
export async function classifyFrame(frame) {
  return attempt(frame);
}

/** @param {Blob | ImageBitmap} picture @returns {Promise<Answer | null>} null where the engine is another by now */
async function attempt(picture) {
  const engine = await serving;
  try {
    return await engine.classify(picture);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    if (engine === (await serving) && engine.device === 'webgpu') {
      wanted = 'wasm';
      await useProcessor(`WebGPU stopped working, so the processor took over: ${error.message}`);
    }
    if (engine === (await serving)) throw error;
    return null;
  }
}

/** @param {unknown} error */
function textOf(error) {
  return error instanceof Error ? error.message : String(error);
}
