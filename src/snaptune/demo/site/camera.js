/** The camera: choosing it, watching it, and saying plainly why there is none. */

/** @type {Record<string, string>} */
const REASONS = {
  NotAllowedError: 'The browser was not allowed to use the camera. Allow it in the address bar and try again.',
  NotFoundError: 'No camera was found. Plug one in, or open a picture instead.',
  NotReadableError: 'The camera is in use by another program. Close that and try again.',
  OverconstrainedError: 'That camera is gone. Choose another.',
};

/**
 * Show a camera in `video`.
 * @param {HTMLVideoElement} video @param {string} [deviceId] the browser's choice if left out
 */
export async function openCamera(video, deviceId) {
  closeCamera(video);
  const choice = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: 'user' };
  const size = { width: { ideal: 640 }, height: { ideal: 480 } };
  video.srcObject = await ask({ video: { ...choice, ...size } });
  await video.play();
}

/** @param {MediaStreamConstraints} constraints */
async function ask(constraints) {
  if (!navigator.mediaDevices) throw new Error('Browsers open the camera only on https or localhost pages.');
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    const { name, message } = /** @type {DOMException} */ (error);
    throw new Error(REASONS[name] ?? `The camera could not be opened: ${message}`);
  }
}

/** @param {HTMLVideoElement} video */
export function closeCamera(video) {
  for (const track of tracks(video)) track.stop();
  video.srcObject = null;
}

/** @param {HTMLVideoElement} video */
export function tracks(video) {
  return video.srcObject instanceof MediaStream ? video.srcObject.getVideoTracks() : [];
}

/** The cameras of this device; browsers tell their names only after one was opened. */
export async function listCameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === 'videoinput');
}

/**
 * Hand over frames, one at a time, until `signal` says stop; frames that come while one is handled are dropped.
 * @param {HTMLVideoElement} video @param {AbortSignal} signal
 * @param {(frame: ImageBitmap, grabMs: number) => Promise<void>} handle
 */
export async function watch(video, signal, handle) {
  for (await nextFrame(video); !signal.aborted; await nextFrame(video)) {
    const began = performance.now();
    const frame = await createImageBitmap(video);
    await handle(frame, performance.now() - began);
  }
}

/** @param {HTMLVideoElement} video */
function nextFrame(video) {
  return new Promise((resolve) => {
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(resolve);
    else requestAnimationFrame(resolve);
  });
}

/**
 * The frame on show as a file.
 * @param {HTMLVideoElement} video @returns {Promise<Blob>} PNG
 */
export async function snapshot(video) {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext('2d')?.drawImage(video, 0, 0);
  return canvas.convertToBlob({ type: 'image/png' });
}
