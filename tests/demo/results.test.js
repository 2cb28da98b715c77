import assert from 'node:assert/strict';
import test from 'node:test';

import { isUnsure } from '../../src/snaptune/demo/site/results.js';

test('an answer must be surer than the threshold, as in Python', () => {
  assert.equal(isUnsure(0.5, 0.5), true);
  assert.equal(isUnsure(0.51, 0.5), false);
  assert.equal(isUnsure(0.01, null), false);
});
