/**
 * The answer: the winner, the bars and the times.
 * @import { Answer, Times } from './types.js'
 */
import { byId, make, percent } from './dom.js';

const BARS = 5;
const SPEAK_EVERY_MS = 2000;

/** @typedef {{name: string, share: number}} Ranked */

let spoken = '';
let spokenAt = -Infinity;

/**
 * Classes with their probabilities, most probable first.
 * @param {number[]} probabilities @param {string[]} classNames @returns {Ranked[]}
 */
export function rank(probabilities, classNames) {
  const pairs = probabilities.map((share, index) => ({ name: classNames[index], share }));
  return pairs.sort((a, b) => b.share - a.share);
}

/**
 * Whether the most probable class is too unsure to be the answer; the command line decides it in the same way.
 * @param {number} share @param {number | null} threshold an answer must be surer than that
 */
export function isUnsure(share, threshold) {
  return threshold !== null && share <= threshold;
}

/**
 * @param {Answer} answer @param {string[]} classNames
 * @param {{threshold: number | null, truth: string | null, live: boolean}} known
 */
export function showAnswer(answer, classNames, { threshold, truth, live }) {
  const ranked = rank(answer.probabilities, classNames);
  const [{ name, share }] = ranked;
  const unsure = isUnsure(share, threshold);
  const winner = unsure ? 'None of these' : name;
  byId('result', HTMLElement).hidden = false;
  byId('winner', HTMLElement).textContent = winner;
  if (unsure) showDoubt(ranked[0], Number(threshold), truth);
  else showVerdict(ranked[0], truth);
  showBars(ranked.slice(0, BARS));
  byId('times', HTMLElement).textContent = timesText(answer.times);
  speak(unsure ? `${winner}; closest is ${name}, ${percent(share)}` : `${name}, ${percent(share)}`, winner, live);
}

/** @param {Ranked} first @param {string | null} truth */
function showVerdict({ name, share }, truth) {
  const right = truth === name;
  const verdict = byId('verdict', HTMLElement);
  verdict.className = truth === null ? 'quiet' : `quiet ${right ? 'verdict-right' : 'verdict-wrong'}`;
  verdict.textContent = right ? '✓ True label' : truth === null ? `${percent(share)} confident` : `✗ True label: ${truth}`;
}

/**
 * Holding back is neither right nor wrong, so it says only why, and what the class would have been.
 * @param {Ranked} first @param {number} threshold @param {string | null} truth
 */
function showDoubt({ name, share }, threshold, truth) {
  const why = `Closest is ${name} with ${percent(share)}, but this model answers only above ${percent(threshold)}.`;
  byId('verdict', HTMLElement).className = 'quiet';
  byId('verdict', HTMLElement).textContent = truth === null ? why : `${why} True label: ${truth}`;
}

/** @param {Ranked[]} ranked */
function showBars(ranked) {
  const bars = byId('bars', HTMLElement);
  while (bars.children.length > ranked.length) bars.lastElementChild?.remove();
  while (bars.children.length < ranked.length) bars.append(emptyBar());
  ranked.forEach((entry, index) => fillBar(bars.children[index], entry));
}

function emptyBar() {
  const track = make('span', 'track', make('span', 'fill'));
  track.setAttribute('aria-hidden', 'true');
  return make('li', '', make('span', 'name'), make('span', 'share'), track);
}

/** @param {Element} bar @param {Ranked} entry */
function fillBar(bar, { name, share }) {
  const [nameBox, shareBox, track] = bar.children;
  nameBox.textContent = name;
  shareBox.textContent = percent(share);
  const fill = /** @type {HTMLElement} */ (track.firstElementChild);
  fill.style.transform = `scaleX(${share})`;
}

/** @param {Times} times */
function timesText({ read, prepare, model }) {
  const total = read + prepare + model;
  const parts = `grab ${read.toFixed(1)} · pre-processing ${prepare.toFixed(1)} · model ${model.toFixed(1)}`;
  return `${total.toFixed(0)} ms: ${parts}, resizing included`; // the graph itself resizes
}

/**
 * Tell screen readers: every answer about a still picture, but of a camera only news, and not too fast.
 * @param {string} text @param {string} winner @param {boolean} live
 */
function speak(text, winner, live) {
  const now = performance.now();
  if (live && (winner === spoken || now - spokenAt < SPEAK_EVERY_MS)) return;
  byId('spoken', HTMLElement).textContent = text;
  [spoken, spokenAt] = [winner, now];
}
