// Where the console is published: below a path, behind some proxies. This file lies below static/ and a version.

const root = new URL("../../../../", import.meta.url).pathname;

/**
 * The address of a path of the console.
 * @param {string} path such as "/runs"
 * @returns {string}
 */
export function at(path) {
  return root + path.slice(1);
}
