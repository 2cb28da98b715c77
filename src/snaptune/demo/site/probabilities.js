/** What is computed from probabilities; nothing here knows the page. */

/** Milliseconds after which a frame still counts for a third. */
const SPAN_MS = 400;

/** @typedef {{name: string, share: number}} Ranked */

/**
 * Classes with their probabilities, most probable first.
 * @param {number[]} probabilities @param {string[]} classNames @returns {Ranked[]}
 */
export function rank(probabilities, classNames) {
  const pairs = probabilities.map((share, index) => ({ name: classNames[index], share }));
  return pairs.sort((a, b) => b.share - a.share);
}

/** @param {number[]} a @param {number[]} b */
export function largestDifference(a, b) {
  return Math.max(...a.map((value, index) => Math.abs(value - b[index])));
}

/**
 * An average over camera frames, whose noise makes close classes flicker: a frame counts less the longer ago it was,
 * at whatever rate frames come.
 * @param {number[]} average so far; empty before the first frame @param {number[]} next @param {number} elapsedMs
 */
export function smoothed(average, next, elapsedMs) {
  const weight = average.length ? 1 - Math.exp(-elapsedMs / SPAN_MS) : 1;
  return next.map((value, index) => (weight === 1 ? value : average[index] + weight * (value - average[index])));
}
