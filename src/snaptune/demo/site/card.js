/**
 * The panel about the model.
 * @import { Manifest, Runtime, RuntimeFiles } from './types.js'
 */
import { assetUrl, inOneFile } from './assets.js';
import { byId, make, megabytes, percent } from './dom.js';

/** @param {Manifest} manifest */
export function showCard(manifest) {
  const list = byId('card', HTMLElement);
  list.replaceChildren();
  for (const [term, text] of rows(manifest)) list.append(make('dt', '', term), make('dd', '', text));
  if (manifest.credits.length) list.append(make('dt', '', 'Credits for the samples'), creditLinks(manifest.credits));
  document.title = manifest.card.title;
  byId('title', HTMLElement).textContent = manifest.card.title;
  byId('runtime-version', HTMLElement).textContent = manifest.runtime.version;
}

/** @param {Manifest} manifest @returns {[string, string][]} */
function rows(manifest) {
  const { card, class_names: classNames, model, runtime } = manifest;
  /** @type {[string, string][]} */
  const all = [
    ['Model', card.model_name],
    ['Accuracy', accuracyText(manifest)],
    [`${classNames.length} classes`, classNames.join(', ')],
    ['Download', `model ${megabytes(model.bytes)}, runtime ${sizeOf(runtime)}${graphicsText(runtime)}`],
    ['SHA-256 of the model', model.sha256],
    ['Certificate', card.certificate],
    ['None of these', doubtText(manifest)],
    ['Note', card.note],
  ];
  return all.filter(([, text]) => text);
}

/** @param {RuntimeFiles} files */
function sizeOf({ script, wasm }) {
  return megabytes(script.bytes + wasm.bytes);
}

/** @param {Runtime} runtime */
function graphicsText({ webgpu }) {
  return webgpu ? `; ${sizeOf(webgpu)} more only where the graphics card is tried` : '';
}

/** @param {Manifest} manifest */
function accuracyText({ card }) {
  const interval = `95 % interval ${percent(card.accuracy_low)} to ${percent(card.accuracy_high)}`;
  return `${percent(card.accuracy)} of ${card.n} pictures kept out of training (${interval})`;
}

/** @param {Manifest} manifest */
function doubtText({ unknown_threshold: threshold }) {
  if (threshold === null) return '';
  return (
    `The answer where no class has more than ${percent(threshold)}. That limit was chosen on pictures kept out of ` +
    'training, so that wrong answers are rare; it holds back some right ones too, and the bars show them.'
  );
}

/** @param {string[]} files */
function creditLinks(files) {
  const links = make('dd', '');
  for (const file of files) {
    const name = file.replace('credits/', '');
    const link = make('a', '', name);
    if (inOneFile) link.download = name; // browsers open no data address in a tab
    link.href = assetUrl(file);
    links.append(link, ' ');
  }
  return links;
}
