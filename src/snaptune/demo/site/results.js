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
 * @param {Answer} answer @param {string[]} classNames
 * @param {{threshold: number | null, truth: string | null, live: boolean}} known below the threshold it is none of
 *   the classes
 */
export function showAnswer(answer, classNames, { threshold, truth, live }) {
  const ranked = rank(answer.probabilities, classNames);
  const unknown = threshold !== null && ranked[0].share < threshold;
  const winner = unknown ? 'None of these' : ranked[0].name;
  byId('result', HTMLElement).hidden = false;
  byId('winner', HTMLElement).textContent = winner;
  showVerdict(winner, ranked[0], unknown, truth);
  showBars(ranked.slice(0, BARS));
  byId('times', HTMLElement).textContent = timesText(answer.times);
  speak(unknown ? winner : `${winner}, ${percent(ranked[0].share)}`, winner, live);
}

/** @param {string} winner @param {Ranked} first @param {boolean} unknown @param {string | null} truth */
function showVerdict(winner, first, unknown, truth) {
  const doubt = unknown ? `Not sure enough: closest is ${first.name}, ${percent(first.share)}` : '';
  const verdict = byId('verdict', HTMLElement);
  if (truth === null) {
    verdict.className = 'quiet';
    verdict.textContent = doubt || `${percent(first.share)} confident`;
  } else {
    const right = truth === winner;
    verdict.className = `quiet ${right ? 'verdict-right' : 'verdict-wrong'}`;
    verdict.textContent = [doubt, right ? '✓ True label' : `✗ True label: ${truth}`].filter(Boolean).join(' · ');
  }
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
  const parts = `picture ${read.toFixed(1)} · pixels ${prepare.toFixed(1)} · model ${model.toFixed(1)}`;
  return `${total.toFixed(0)} ms: ${parts}`;
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
