/**
 * What was decided of a picture: its label stays, it is removed, or it gets another label.
 * @typedef {{keep: boolean, remove: boolean, label: string}} Choice
 */

const count = element(document, '#count', HTMLElement);
const save = element(document, '#save', HTMLButtonElement);
/** @type {Set<string>} */
const known = new Set(JSON.parse(element(document, '#names', HTMLElement).textContent ?? '[]'));
const cells = [...document.querySelectorAll('li')].filter((item) => item.dataset.id !== undefined);
/** @type {Map<string, Choice>} by id */
const decided = new Map();

/**
 * The element that the page is known to have.
 * @template {HTMLElement} T
 * @param {ParentNode} where @param {string} selector @param {new () => T} kind @returns {T}
 */
function element(where, selector, kind) {
  const found = where.querySelector(selector);
  if (found instanceof kind) return found;
  throw new Error(`no ${selector} on this page`);
}

/** @param {HTMLElement} cell */
function about(cell) {
  return { id: cell.dataset.id ?? '', suggested: cell.dataset.suggested ?? '' };
}

/** @param {Choice | undefined} choice @param {string | undefined} kind @param {string} suggested */
function isChosen(choice, kind, suggested) {
  if (choice === undefined) return false;
  if (kind === 'take') return choice.label === suggested;
  return kind === 'keep' ? choice.keep : choice.remove;
}

/** @param {HTMLElement} cell */
function show(cell) {
  const { id, suggested } = about(cell);
  const choice = decided.get(id);
  for (const button of cell.querySelectorAll('button')) {
    button.setAttribute('aria-pressed', String(isChosen(choice, button.dataset.do, suggested)));
  }
  if (!choice?.label || choice.label === suggested) element(cell, 'input', HTMLInputElement).value = '';
  const fixes = [...decided.values()].filter((one) => !one.keep).length;
  save.disabled = fixes === 0;
  count.textContent = `${decided.size} of ${cells.length} decided, ${fixes} to fix`;
}

/** @param {HTMLElement} cell @param {string | undefined} kind @param {string} label */
function decide(cell, kind, label) {
  decided.set(about(cell).id, { keep: kind === 'keep', remove: kind === 'remove', label });
  show(cell);
}

/** @param {HTMLElement} cell */
function listen(cell) {
  for (const button of cell.querySelectorAll('button')) {
    const kind = button.dataset.do;
    const label = kind === 'take' ? about(cell).suggested : '';
    button.addEventListener('click', () => decide(cell, kind, label));
  }
  const input = element(cell, 'input', HTMLInputElement);
  input.addEventListener('input', () => {
    const name = input.value;
    input.setCustomValidity(name === '' || known.has(name) ? '' : 'no such class');
    if (known.has(name)) decide(cell, 'take', name);
  });
}

/** @param {string} text one field of a line of CSV */
function quoted(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function table() {
  const rows = [...decided].filter(([, one]) => !one.keep);
  const lines = rows.map(([id, one]) => [quoted(id), quoted(one.label), one.remove ? 'yes' : ''].join(','));
  return `${['id,new_label,remove', ...lines].join('\n')}\n`;
}

for (const cell of cells) {
  listen(cell);
  show(cell);
}
count.textContent = `${cells.length} to look at`;

element(document, '#take', HTMLButtonElement).addEventListener('click', () => {
  for (const cell of cells) {
    if (!decided.has(about(cell).id)) decide(cell, 'take', about(cell).suggested);
  }
});

save.addEventListener('click', () => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([table()], { type: 'text/csv' }));
  link.download = 'fixes.csv';
  link.click();
  URL.revokeObjectURL(link.href);
});
