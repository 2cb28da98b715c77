/**
 * The page: puts its parts together and holds what little state there is.
 * @import { Progress } from './engine.js'
 * @import { Answer, Assets, Manifest, Sample } from './types.js'
 */
import { assetUrl, fetchAsset } from './assets.js';
import { listenToBadge, showBadge } from './badge.js';
import { closeCamera, listCameras, openCamera, snapshot, tracks, watch } from './camera.js';
import { showCard } from './card.js';
import { choose, classify, classifyFrame, startDevices } from './devices.js';
import { breakable, byId, make, megabytes } from './dom.js';
import { settle } from './offline.js';
import { smoothed } from './probabilities.js';
import { listenToBars, showAnswer } from './results.js';
import { runSelfTest } from './selftest.js';
import { allowTeaching, forgetNews, listenToTeacher } from './teach.js';

const video = byId('video', HTMLVideoElement);
const picture = byId('picture', HTMLImageElement);
const stage = byId('stage', HTMLElement);
const notice = byId('notice', HTMLElement);

/** @type {Manifest} */
let manifest;
let shown = 0;
/** @type {Blob | null} the still picture on show; null while there is none or the camera runs */
let still = null;
/** @type {AbortController | null} */
let watching = null;
let mirrored = true;
let smoothing = true;

/** @param {unknown} error */
function complain(error) {
  notice.className = 'notice';
  notice.textContent = error instanceof Error ? error.message : String(error);
  notice.hidden = false;
}

/** Run what a click asks for; a failure becomes a message. @param {() => Promise<void>} action */
function act(action) {
  notice.hidden = true;
  action().catch(complain);
}

// Still pictures

/** @param {Blob} blob @param {string | null} [truth] the true label, where it is known */
async function showPicture(blob, truth = null) {
  stopCamera();
  still = blob;
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(blob);
  picture.hidden = false;
  picture.alt = truth === null ? 'Your picture' : `Sample: ${truth}`;
  byId('invite', HTMLElement).hidden = true;
  forgetNews();
  shown += 1;
  const turn = shown;
  const answer = await classify(blob);
  if (turn === shown) present(answer, truth, false);
}

/** @param {Answer} answer @param {string | null} truth @param {boolean} live */
function present(answer, truth, live) {
  showAnswer(answer, manifest.class_names, { threshold: manifest.unknown_threshold, truth, live });
  allowTeaching(true);
}

/** @param {Sample} sample @param {HTMLButtonElement} button */
async function showSample(sample, button) {
  pressOnly(button);
  const blob = await (await fetchAsset(sample.file)).blob();
  await showPicture(blob, sample.label);
}

/** Mark this sample as chosen, or none. @param {HTMLButtonElement | null} chosen */
function pressOnly(chosen) {
  for (const button of byId('samples', HTMLElement).querySelectorAll('button')) {
    button.setAttribute('aria-pressed', String(button === chosen));
  }
}

/** @param {Iterable<File>} files */
function openFirst(files) {
  const [file] = files;
  if (!file) return;
  pressOnly(null);
  act(() => showPicture(file));
}

function showSamples() {
  const buttons = manifest.samples.map(sampleButton);
  byId('samples', HTMLElement).replaceChildren(...buttons.map((button) => make('li', '', button)));
  buttons[0]?.click();
}

/** @param {Sample} sample */
function sampleButton(sample) {
  const image = make('img', '');
  image.src = assetUrl(sample.file);
  image.alt = '';
  const button = make('button', '', image, make('span', '', ...breakable(sample.label)));
  button.type = 'button';
  button.setAttribute('aria-pressed', 'false');
  button.addEventListener('click', () => act(() => showSample(sample, button)));
  return button;
}

// Camera

/** @param {string} [deviceId] */
async function startCamera(deviceId) {
  stopCamera();
  pressOnly(null);
  await openCamera(video, deviceId);
  const running = (watching = new AbortController());
  still = null;
  const [track] = tracks(video);
  track.addEventListener('ended', () => act(async () => loseCamera()));
  mirrored = track.getSettings().facingMode !== 'environment'; // a camera that looks away shows no mirror image
  shown += 1;
  showCamera(true);
  await offerCameras();
  const [rate, calm] = [rateMeter(), smoother()];
  await watch(video, running.signal, async (frame, grabMs) => {
    const answer = await classifyFrame(frame);
    if (!answer || running.signal.aborted) return;
    answer.times.read += grabMs;
    present({ ...answer, probabilities: calm(answer.probabilities) }, null, true);
    byId('rate', HTMLElement).textContent = `${rate().toFixed(1)} frames a second`;
  });
}

function loseCamera() {
  stopCamera();
  throw new Error('The camera was disconnected.');
}

function stopCamera() {
  watching?.abort();
  watching = null;
  closeCamera(video);
  showCamera(false);
}

/** @param {boolean} on */
function showCamera(on) {
  video.hidden = byId('camera-actions', HTMLElement).hidden = byId('rate', HTMLElement).hidden = !on;
  byId('camera', HTMLElement).textContent = on ? 'Stop camera' : 'Use the camera';
  byId('rate', HTMLElement).textContent = '';
  if (on) picture.hidden = byId('invite', HTMLElement).hidden = true;
  else byId('invite', HTMLElement).hidden = !picture.hidden;
  if (!on && !still) allowTeaching(false);
  press('pause', false);
  mirror(mirrored);
}

async function offerCameras() {
  const cameras = await listCameras();
  const choice = byId('camera-choice', HTMLSelectElement);
  choice.hidden = cameras.length < 2;
  choice.replaceChildren(...cameras.map((camera, index) => new Option(camera.label || `Camera ${index + 1}`, camera.deviceId)));
  choice.value = tracks(video)[0]?.getSettings().deviceId ?? '';
}

/** Frames a second over the last twenty. */
function rateMeter() {
  /** @type {number[]} */
  const moments = [];
  return () => {
    moments.push(performance.now());
    if (moments.length > 21) moments.shift();
    const [first, last] = [moments[0], moments[moments.length - 1]];
    return last > first ? (1000 * (moments.length - 1)) / (last - first) : 0;
  };
}

/** Averages over the last frames while the user wants it. */
function smoother() {
  /** @type {number[]} */
  let average = [];
  let last = performance.now();
  return (/** @type {number[]} */ next) => {
    const now = performance.now();
    average = smoothed(smoothing ? average : [], next, now - last);
    last = now;
    return average;
  };
}

/** @param {string} id @param {boolean} on */
function press(id, on) {
  byId(id, HTMLElement).setAttribute('aria-pressed', String(on));
}

/** Only what the user sees is mirrored: the model gets the frame as the camera took it. @param {boolean} on */
function mirror(on) {
  mirrored = on;
  video.classList.toggle('mirrored', on);
  press('mirror', on);
}

function toggleSmoothing() {
  smoothing = !smoothing;
  press('smooth', smoothing);
}

async function pause() {
  press('pause', !video.paused);
  if (video.paused) await video.play();
  else video.pause();
}

async function freeze() {
  await showPicture(await snapshot(video));
}

// Start

async function start() {
  notice.hidden = true;
  await settle();
  manifest = await (await fetchAsset('manifest.json')).json();
  showCard(manifest);
  listenToBars();
  listenToTeacher(manifest.class_names, async () => still ?? snapshot(video));
  const ready = startDevices(manifest, progressBar(), showBadge);
  showSamples();
  await ready;
  byId('loading', HTMLElement).hidden = true;
  listenToBadge((choice) => act(() => choose(choice)));
  listenToTest();
  choose('auto').catch(complain);
}

/** @returns {(progress: Progress | null) => void} */
function progressBar() {
  const bar = byId('loading-bar', HTMLProgressElement);
  /** @type {Record<string, Progress>} */
  const parts = {};
  return (progress) => {
    if (progress) parts[progress.part] = progress;
    const all = Object.values(parts);
    bar.max = manifest.model.bytes + manifest.runtime.wasm.bytes;
    bar.value = all.reduce((sum, { loaded }) => sum + loaded, 0);
    if (!progress) bar.removeAttribute('value');
    byId('loading-text', HTMLElement).textContent = progress ? 'Loading…' : 'Starting the model…';
    byId('loading-detail', HTMLElement).textContent = all.map(partText).join(' · ');
  };
}

/** @param {Progress} progress */
function partText({ part, loaded, total, kept }) {
  return `${part} ${megabytes(loaded)} of ${megabytes(total)}${kept ? ', kept from last time' : ''}`;
}

function listenToTest() {
  const button = byId('test', HTMLButtonElement);
  button.disabled = false;
  button.addEventListener('click', () =>
    act(async () => {
      button.disabled = true;
      await runSelfTest(classify, manifest).finally(() => (button.disabled = false));
    }),
  );
}

function listenToUser() {
  byId('file', HTMLInputElement).addEventListener('change', ({ target }) => {
    const input = /** @type {HTMLInputElement} */ (target);
    openFirst(input.files ?? []);
    input.value = '';
  });
  document.addEventListener('paste', (event) => openFirst(event.clipboardData?.files ?? []));
  byId('camera', HTMLElement).addEventListener('click', () => act(async () => (watching ? stopCamera() : startCamera())));
  byId('camera-choice', HTMLSelectElement).addEventListener('change', ({ target }) =>
    act(() => startCamera(/** @type {HTMLSelectElement} */ (target).value)),
  );
  byId('pause', HTMLElement).addEventListener('click', () => act(pause));
  byId('freeze', HTMLElement).addEventListener('click', () => act(freeze));
  byId('smooth', HTMLElement).addEventListener('click', toggleSmoothing);
  byId('mirror', HTMLElement).addEventListener('click', () => mirror(!mirrored));
}

function listenToDrops() {
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    stage.classList.add('over');
  });
  document.addEventListener('dragleave', ({ relatedTarget }) => {
    if (!relatedTarget) stage.classList.remove('over');
  });
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    stage.classList.remove('over');
    openFirst(event.dataTransfer?.files ?? []);
  });
}

listenToUser();
listenToDrops();
start().catch((error) => {
  byId('loading', HTMLElement).hidden = true;
  complain(error);
});
