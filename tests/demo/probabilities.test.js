import assert from 'node:assert/strict';
import test from 'node:test';

import { largestDifference, rank, smoothed } from '../../src/snaptune/demo/site/probabilities.js';

test('the first frame stands alone', () => {
  assert.deepEqual(smoothed([], [0.2, 0.8], 0), [0.2, 0.8]);
});

test('a frame counts more the longer the last one is ago, and shares still make one', () => {
  const [soon, late] = [33, 2000].map((elapsed) => smoothed([1, 0], [0, 1], elapsed));
  assert.ok(soon[0] > 0.9 && late[0] < 0.01);
  for (const shares of [soon, late]) assert.ok(Math.abs(shares[0] + shares[1] - 1) < 1e-12);
});

test('half as many frames a second calm it as much', () => {
  const twice = smoothed(smoothed([1], [0], 50), [0], 50);
  assert.ok(Math.abs(twice[0] - smoothed([1], [0], 100)[0]) < 1e-12);
});

test('classes are ranked by probability', () => {
  assert.deepEqual(rank([0.2, 0.7, 0.1], ['a', 'b', 'c']).map(({ name }) => name), ['b', 'a', 'c']);
});

test('the largest difference counts, whatever its sign', () => {
  assert.equal(largestDifference([0.5, 0.25, 0.25], [0.25, 0.25, 0.5]), 0.25);
  assert.ok(Number.isNaN(largestDifference([NaN, 1], [0, 1])));
});
