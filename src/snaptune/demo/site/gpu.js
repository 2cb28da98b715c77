/**
 * Whether the graphics card may answer instead of the processor: only where it is there and proves itself.
 * @import { Runtime } from './types.js'
 */
import { largestDifference } from './probabilities.js';

const TURNS = 6;
const PATIENCE_MS = 15_000;

/** @typedef {{probabilities: number[], times: {model: number}}} Timed */
/** @typedef {{classify: (picture: Blob) => Promise<Timed>}} Candidate */
/** @typedef {{difference: number, gpuMs: number, wasmMs: number}} Trial */
/** @typedef {{info?: {isFallbackAdapter?: boolean}}} Adapter */
/**
 * @typedef {object} Surroundings what is asked of the browser's navigator
 * @property {{requestAdapter: () => Promise<Adapter | null>}} [gpu]
 * @property {string} vendor
 * @property {string} userAgent
 */

/**
 * Why WebGPU cannot be used, or, where nobody asked for it, should not; empty where it may be tried.
 * @param {Surroundings} surroundings @param {Runtime} runtime @param {boolean} automatic
 */
export async function obstacle({ gpu, vendor, userAgent }, runtime, automatic) {
  if (!runtime.webgpu) return 'this page, all in one file, does not carry it';
  if (!gpu) return 'this browser does not offer it here';
  if (automatic && isApple(vendor, userAgent)) return 'on iPhones, iPads and in Safari it can use up the memory; it runs only if chosen';
  const adapter = await gpu.requestAdapter();
  if (!adapter) return 'the browser found no graphics card for it';
  if (automatic && adapter.info?.isFallbackAdapter) return 'here the processor would only imitate a graphics card; it runs only if chosen';
  return '';
}

/**
 * WebKit, and everything on iOS, whose browsers all run on it.
 * @param {string} vendor @param {string} userAgent
 */
function isApple(vendor, userAgent) {
  return vendor.startsWith('Apple') || /iPhone|iPad|iPod/.test(userAgent);
}

/**
 * Let both answer for the same picture, in turn; the first turn, in which shaders are still compiled, is not timed.
 * @param {Candidate} processor @param {Candidate} graphics @param {Blob} picture @returns {Promise<Trial>}
 */
export async function compare(processor, graphics, picture) {
  const began = performance.now();
  /** @type {Record<'gpu' | 'wasm' | 'differences', number[]>} */
  const { gpu, wasm, differences } = { gpu: [], wasm: [], differences: [] };
  for (let turn = 0; turn < TURNS && (turn < 2 || performance.now() - began < PATIENCE_MS); turn += 1) {
    const expected = await processor.classify(picture);
    const found = await graphics.classify(picture);
    differences.push(largestDifference(found.probabilities, expected.probabilities));
    if (turn === 0) continue;
    wasm.push(expected.times.model);
    gpu.push(found.times.model);
  }
  return { difference: Math.max(...differences), gpuMs: median(gpu), wasmMs: median(wasm) };
}

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/**
 * Whether the graphics card is kept, and the sentence that says why.
 * @param {Trial} trial @param {number} tolerance @param {boolean} automatic
 */
export function judge({ difference, gpuMs, wasmMs }, tolerance, automatic) {
  const times = `${gpuMs.toFixed(1)} ms a picture, against ${wasmMs.toFixed(1)} ms on the processor`;
  if (!(difference <= tolerance)) { // also where it is not a number
    const far = `its probabilities are up to ${difference.toFixed(3)} from the processor's (limit ${tolerance})`;
    return { keep: false, why: `WebGPU was tried and is not used: ${far}.` };
  }
  if (automatic && gpuMs >= wasmMs) return { keep: false, why: `WebGPU was tried and is not used, being no faster: ${times}.` };
  const right = `probabilities differ by at most ${difference.toFixed(6)}`;
  return { keep: true, why: `WebGPU was ${automatic ? 'tried and is faster' : 'chosen'}: ${times}; ${right}.` };
}
