/**
 * The badge that tells which engine answers, and why, and lets the user choose another.
 * @import { Engine } from './engine.js'
 * @import { Choice } from './types.js'
 */
import { inOneFile } from './assets.js';
import { byId } from './dom.js';
import { wantedThreads } from './engine.js';

/** @param {(choice: Choice) => void} onChoice */
export function listenToBadge(onChoice) {
  const badge = byId('engine', HTMLDetailsElement);
  badge.addEventListener('change', ({ target }) => onChoice(/** @type {Choice} */ (/** @type {HTMLInputElement} */ (target).value)));
  badge.addEventListener('keydown', ({ key }) => {
    if (key === 'Escape') badge.open = false;
  });
  document.addEventListener('pointerdown', ({ target }) => {
    if (!badge.contains(/** @type {Node} */ (target))) badge.open = false;
  });
}

/** @param {Engine} engine @param {string} news about WebGPU */
export function showBadge({ device, threads }, news) {
  const onProcessor = device === 'wasm';
  const name = onProcessor ? `WebAssembly · ${threads} ${threads === 1 ? 'thread' : 'threads'}` : 'WebGPU';
  byId('engine', HTMLElement).hidden = false;
  byId('engine-name', HTMLElement).textContent = name;
  byId('engine-why', HTMLElement).textContent = onProcessor ? whyThreads(threads) : GRAPHICS;
  byId('engine-news', HTMLElement).textContent = news;
}

const GRAPHICS = 'The network runs on the graphics card; the processor only resizes the picture for it.';

/** @param {number} threads */
function whyThreads(threads) {
  const cores = navigator.hardwareConcurrency || 1;
  if (threads > 1) return `The model runs on the processor, in ${threads} threads; this device offers ${cores}.`;
  if (cores === 1) return 'The model runs on the processor, in one thread: this device offers no more.';
  if (wantedThreads() > 1) return 'The model runs in one thread, because starting it with several failed.';
  const reason = inOneFile
    ? 'which this page, all in one file, is not.'
    : 'and this server does not send the headers for that (Cross-Origin-Opener-Policy and ' +
      'Cross-Origin-Embedder-Policy). snaptune demo --serve does.';
  return (
    `The model runs in one of ${cores} possible threads: ` +
    `browsers let threads share memory only on isolated pages, ${reason}`
  );
}
