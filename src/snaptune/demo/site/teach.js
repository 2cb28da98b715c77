/** Lets the user say what a picture shows, keeps it in this tab, and hands all of them out as a zip. */
import { newGroup, toZip } from './collection.js';
import { breakable, byId, make } from './dom.js';

/** @typedef {import('./collection.js').Labelled} Labelled */

const group = newGroup();
/** @type {Labelled[]} */
let collection = [];
let saved = true;

/**
 * @param {string[]} classNames offered while typing; any other name makes a new class
 * @param {() => Promise<Blob>} current the picture on show
 */
export function listenToTeacher(classNames, current) {
  byId('known-classes', HTMLElement).replaceChildren(...classNames.map((name) => new Option(name, name)));
  const form = byId('teach', HTMLFormElement);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const label = byId('teach-label', HTMLInputElement).value.trim();
    if (label) keep({ picture: await current(), label });
  });
  byId('download', HTMLElement).addEventListener('click', download);
  addEventListener('beforeunload', (event) => {
    if (!saved) event.preventDefault();
  });
}

/** @param {boolean} possible whether there is a picture on show */
export function allowTeaching(possible) {
  byId('teach', HTMLElement).hidden = !possible;
}

/** What was said about one picture is no news about the next. */
export function forgetNews() {
  byId('teach-news', HTMLElement).textContent = '';
}

/** @param {Labelled} labelled */
function keep(labelled) {
  collection = [...collection, labelled];
  saved = false;
  byId('kept', HTMLElement).append(listItem(labelled));
  show(`Kept as ${labelled.label}.`);
}

/** @param {Labelled} labelled */
function listItem(labelled) {
  const image = make('img', '');
  image.src = URL.createObjectURL(labelled.picture);
  image.alt = '';
  const button = make('button', '', image, make('span', '', ...breakable(labelled.label)));
  button.type = 'button';
  button.title = 'Remove this picture';
  button.setAttribute('aria-label', `Remove ${labelled.label}`);
  const item = make('li', '', button);
  button.addEventListener('click', () => {
    URL.revokeObjectURL(image.src);
    item.remove();
    collection = collection.filter((other) => other !== labelled);
    show(`Removed ${labelled.label}.`);
  });
  return item;
}

/** @param {string} news */
function show(news) {
  const count = collection.length;
  byId('collection', HTMLElement).hidden = count === 0;
  byId('download', HTMLElement).textContent = `Download ${count} ${count === 1 ? 'picture' : 'pictures'}`;
  byId('teach-news', HTMLElement).textContent = news;
  saved = saved || count === 0;
}

async function download() {
  const link = make('a', '');
  link.href = URL.createObjectURL(await toZip(collection, group));
  link.download = 'corrections.zip';
  link.click();
  URL.revokeObjectURL(link.href);
  saved = true;
}
