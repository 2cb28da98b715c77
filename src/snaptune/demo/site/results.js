/**
 * The answer: the winner, the bars and the times.
 * @import { Ranked } from './probabilities.js'
 * @import { Answer, Times } from './types.js'
 */
import { byId, make, percent } from './dom.js';
import { rank } from './probabilities.js';

const [FEW, MANY] = [5, 20];
const SPEAK_EVERY_MS = 2000;

/** @type {Ranked[]} */
let bars = [];
let manyBars = false;
let spoken = '';
let spokenAt = -Infinity;

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
  bars = ranked;
  showBars();
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

/** Let the user see more than the most probable classes. */
export function listenToBars() {
  byId('more', HTMLElement).addEventListener('click', () => {
    manyBars = !manyBars;
    showBars();
  });
}

function showBars() {
  const list = byId('bars', HTMLElement);
  const shown = bars.slice(0, manyBars ? MANY : FEW);
  while (list.children.length > shown.length) list.lastElementChild?.remove();
  while (list.children.length < shown.length) list.append(emptyBar());
  shown.forEach((entry, index) => fillBar(list.children[index], entry));
  byId('more', HTMLElement).hidden = bars.length <= FEW;
  byId('more', HTMLElement).textContent = manyBars ? `First ${FEW} only` : moreText();
}

function moreText() {
  return bars.length > MANY ? `First ${MANY} of ${bars.length} classes` : `All ${bars.length} classes`;
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
