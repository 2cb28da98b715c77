/**
 * Shows the user that this browser's answers are those that the model file gave when the page was made.
 * @import { Answer, Manifest, Sample } from './types.js'
 */
import { fetchAsset } from './assets.js';
import { byId, make } from './dom.js';
import { largestDifference, rank } from './probabilities.js';

/** @typedef {(picture: Blob) => Promise<Answer>} Ask */
/** @typedef {{sample: Sample, expected: string, found: string, difference: number}} Replay */

/**
 * Replay every sample.
 * @param {Ask} ask @param {Manifest} manifest @param {(done: number) => void} onProgress
 * @returns {Promise<Replay[]>}
 */
export async function replay(ask, { samples, class_names: classNames }, onProgress) {
  const replays = [];
  for (const sample of samples) {
    const picture = await (await fetchAsset(sample.file)).blob();
    const { probabilities } = await ask(picture);
    replays.push({
      sample,
      expected: rank(sample.probabilities, classNames)[0].name,
      found: rank(probabilities, classNames)[0].name,
      difference: largestDifference(probabilities, sample.probabilities),
    });
    onProgress(replays.length);
  }
  return replays;
}

/** @param {Ask} ask @param {Manifest} manifest */
export async function runSelfTest(ask, manifest) {
  const text = byId('test-result', HTMLElement);
  const total = manifest.samples.length;
  const replays = await replay(ask, manifest, (done) => (text.textContent = `${done} of ${total}…`));
  text.textContent = summary(replays, manifest.tolerance);
  const table = byId('test-table', HTMLElement);
  table.replaceChildren(tableOf(replays));
  table.hidden = false;
}

/** @param {Replay[]} replays @param {number} tolerance */
function summary(replays, tolerance) {
  const same = replays.filter(({ expected, found }) => expected === found).length;
  const largest = Math.max(...replays.map(({ difference }) => difference));
  const verdict = same === replays.length && largest <= tolerance ? '✓ Passed' : '✗ Failed';
  const answers = `${same} of ${replays.length} pictures got the expected answer`;
  return `${verdict}: ${answers}; the largest difference of a probability is ${largest.toFixed(6)} (limit ${tolerance}).`;
}

/** @param {Replay[]} replays */
function tableOf(replays) {
  const table = make('table', '', make('thead', '', row('th', ['Sample', 'Expected', 'Here', 'Largest difference'])));
  const body = make('tbody', '');
  for (const { sample, expected, found, difference } of replays) {
    body.append(row('td', [sample.name, expected, found, difference.toFixed(6)]));
  }
  table.append(body);
  return table;
}

/** @param {'th' | 'td'} tag @param {string[]} cells */
function row(tag, cells) {
  return make('tr', '', ...cells.map((cell) => make(tag, '', cell)));
}
