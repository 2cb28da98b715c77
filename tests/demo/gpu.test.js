import assert from 'node:assert/strict';
import test from 'node:test';

import { compare, judge, obstacle } from '../../src/snaptune/demo/site/gpu.js';

const runtime = { webgpu: {} };
const card = { info: { isFallbackAdapter: false } };
const imitation = { info: { isFallbackAdapter: true } };
const desktop = (adapter) => ({ gpu: { requestAdapter: async () => adapter }, vendor: 'Google Inc.', userAgent: 'Chrome/140' });

test('a real card may be tried; an imitation only if chosen', async () => {
  assert.equal(await obstacle(desktop(card), runtime, true), '');
  assert.match(await obstacle(desktop(imitation), runtime, true), /only imitate/);
  assert.equal(await obstacle(desktop(imitation), runtime, false), '');
});

test('WebKit and iOS only if chosen, and then without asking for an adapter twice', async () => {
  const asked = [];
  const gpu = { requestAdapter: async () => asked.push('adapter') && card };
  const safari = { gpu, vendor: 'Apple Computer, Inc.', userAgent: 'Version/26.0 Safari/605.1.15' };
  const phone = { gpu, vendor: 'Google Inc.', userAgent: 'Mozilla/5.0 (iPhone) CriOS/140' };
  for (const surroundings of [safari, phone]) {
    assert.match(await obstacle(surroundings, runtime, true), /Safari/);
    assert.deepEqual(asked, []);
  }
  assert.equal(await obstacle(safari, runtime, false), '');
});

test('what cannot be is said, also if chosen', async () => {
  for (const automatic of [true, false]) {
    assert.match(await obstacle(desktop(card), { webgpu: null }, automatic), /all in one file/);
    assert.match(await obstacle({ ...desktop(card), gpu: undefined }, runtime, automatic), /does not offer it/);
    assert.match(await obstacle(desktop(null), runtime, automatic), /found no graphics card/);
  }
});

/** An engine whose answers take these milliseconds, one after the other. */
function engine(probabilities, milliseconds) {
  let turn = 0;
  return { classify: async () => ({ probabilities, times: { model: milliseconds[turn++] } }) };
}

test('both answer in turn; the first turn, in which shaders are compiled, does not count', async () => {
  const [wasm, gpu] = [engine([0.5, 0.5], [99, 3, 1, 2, 5, 4]), engine([0.5, 0.25], [999, 30, 10, 20, 50, 40])];
  assert.deepEqual(await compare(wasm, gpu, new Blob()), { difference: 0.25, gpuMs: 30, wasmMs: 3 });
});

test('a wrong first answer counts', async () => {
  let turn = 0;
  const gpu = { classify: async () => ({ probabilities: [turn++ ? 1 : 0], times: { model: 1 } }) };
  assert.equal((await compare(engine([1], [1, 1, 1, 1, 1, 1]), gpu, new Blob())).difference, 1);
});

test('the faster one is kept, and the reason holds the figures', () => {
  assert.deepEqual(judge({ difference: 2e-6, gpuMs: 4, wasmMs: 30 }, 1e-3, true), {
    keep: true,
    why: 'WebGPU was tried and is faster: 4.0 ms a picture, against 30.0 ms on the processor; probabilities differ by at most 0.000002.',
  });
  const slower = judge({ difference: 2e-6, gpuMs: 30, wasmMs: 30 }, 1e-3, true);
  assert.equal(slower.keep, false);
  assert.match(slower.why, /no faster: 30\.0 ms a picture, against 30\.0 ms/);
  assert.equal(judge({ difference: 2e-6, gpuMs: 300, wasmMs: 30 }, 1e-3, false).keep, true);
});

test('a wrong one is never kept, whoever wants it', () => {
  for (const automatic of [true, false]) {
    for (const difference of [0.0011, NaN]) {
      assert.equal(judge({ difference, gpuMs: 1, wasmMs: 30 }, 1e-3, automatic).keep, false);
    }
  }
});
