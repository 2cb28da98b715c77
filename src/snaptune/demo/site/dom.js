/** Small helpers for the document. */

/**
 * The element with this id, which index.html is known to have.
 * @template {HTMLElement} T
 * @param {string} id @param {new () => T} kind @returns {T}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`index.html has no ${kind.name} #${id}`);
}

/**
 * A new element with a class and text or children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {string} className @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

/**
 * A class name that may be broken behind an underscore; how it is spoken or copied stays the same.
 * @param {string} name @returns {(Node | string)[]}
 */
export function breakable(name) {
  return name.split(/(?<=_)/).flatMap((part, index) => (index ? [make('wbr', ''), part] : [part]));
}

/** @param {number} share @returns {string} 0.9731 → '97.3 %' */
export function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

/** @param {number} bytes @returns {string} 3652765 → '3.7 MB' */
export function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
