import assert from 'node:assert/strict';
import test from 'node:test';

import { isUnsure, rank } from '../../src/snaptune/demo/site/results.js';

test('classes are ranked by probability', () => {
  assert.deepEqual(rank([0.2, 0.7, 0.1], ['a', 'b', 'c']).map(({ name }) => name), ['b', 'a', 'c']);
});

test('an answer must be surer than the threshold, as in Python', () => {
  assert.equal(isUnsure(0.5, 0.5), true);
  assert.equal(isUnsure(0.51, 0.5), false);
  assert.equal(isUnsure(0.01, null), false);
});
