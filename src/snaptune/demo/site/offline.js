/**
 * The page's service worker keeps the files for a visit without network, and isolates the page from other origins
 * where the server does not, because only isolated pages may use threads.
 */
import { inOneFile } from './assets.js';

const RELOADED = 'snaptune-reloaded';
const CONTROL_MS = 5000;

/** Start the service worker. Reloads the page at most once a tab, and only where that isolates it. */
export async function settle() {
  if (inOneFile || !navigator.serviceWorker || !isSecureContext) return;
  const controlled = await takeControl().catch(() => false);
  if (!controlled || crossOriginIsolated || !firstTime()) return;
  location.reload();
  await new Promise(() => {});
}

/** Whether a service worker now stands between this page and the network. */
async function takeControl() {
  const controlled = new Promise((resolve) => {
    navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true });
    setTimeout(resolve, CONTROL_MS);
  });
  const registration = await navigator.serviceWorker.register('sw.js');
  const bypassed = registration.active && !navigator.serviceWorker.controller; // a forced reload does that
  if (!bypassed && !navigator.serviceWorker.controller) await controlled;
  return Boolean(navigator.serviceWorker.controller);
}

/** Whether this tab has not reloaded itself yet. Where that cannot be remembered: no, so that it never loops. */
function firstTime() {
  try {
    const first = sessionStorage.getItem(RELOADED) === null;
    sessionStorage.setItem(RELOADED, 'yes');
    return first;
  } catch {
    return false;
  }
}
