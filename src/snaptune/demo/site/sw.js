/**
 * The page's service worker: see offline.js. It answers for the demo's own folder only.
 * @import { FetchEvent, ServiceWorkerScope } from './types.js'
 */

const scope = /** @type {ServiceWorkerScope} */ (/** @type {unknown} */ (self));
const CACHE = `snaptune ${scope.registration.scope}`;
const NEVER_CHANGES = /\.[0-9a-f]{12}\.[a-z.]+$/; // the name holds the content's hash
const HEADERS = { // those that snaptune's own server sends
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Content-Security-Policy': "default-src 'self' blob: data: 'wasm-unsafe-eval'",
};

scope.addEventListener('install', (event) => {
  event.waitUntil(keepPage());
  scope.skipWaiting();
});
scope.addEventListener('activate', (event) => event.waitUntil(scope.clients.claim()));
scope.addEventListener('fetch', (event) => {
  const { method, url } = event.request;
  if (method === 'GET' && url.startsWith(scope.registration.scope)) event.respondWith(answer(event));
});

/** Keep the page itself; the large files are kept when the page asks for them. */
async function keepPage() {
  const manifest = await (await fetch('manifest.json')).json();
  const cache = await caches.open(CACHE);
  await cache.addAll(['./', 'manifest.json', ...manifest.page]);
}

/** @param {FetchEvent} event */
async function answer({ request }) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request, { ignoreSearch: true });
  if (kept && NEVER_CHANGES.test(new URL(request.url).pathname)) return withHeaders(kept, { 'x-kept': 'yes' });
  try {
    return withHeaders(await fetchAndKeep(request, cache), {});
  } catch (error) {
    if (kept) return withHeaders(kept, { 'x-kept': 'yes' });
    throw error;
  }
}

/** @param {Request} request @param {Cache} cache */
async function fetchAndKeep(request, cache) {
  const response = await fetch(request);
  if (response.status === 200) {
    const copy = response.clone();
    const done = request.url.endsWith('/manifest.json') ? forgetOld(response.clone(), cache) : Promise.resolve();
    done.then(() => cache.put(request, copy)).catch(() => {}); // no room: the page works, only not offline
  }
  return response;
}

/** Throw away what a former build of this demo left. @param {Response} manifest @param {Cache} cache */
async function forgetOld(manifest, cache) {
  const text = await manifest.text();
  for (const request of await cache.keys()) {
    const file = request.url.slice(scope.registration.scope.length);
    if (NEVER_CHANGES.test(file) && !text.includes(`"${file}"`)) await cache.delete(request);
  }
}

/** @param {Response} response @param {Record<string, string>} extra */
function withHeaders(response, extra) {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries({ ...HEADERS, ...extra })) headers.set(name, value);
  const { body, status, statusText } = response;
  return status === 0 || status === 304 ? response : new Response(body, { status, statusText, headers });
}
