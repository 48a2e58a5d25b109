// Work that must not be done too often.

/**
 * Calls work soon, never twice at the same time, and not more often than every so many milliseconds. A failure is tried
 * again: the banner already says that the server is away.
 * @param {() => Promise<void>} work
 * @param {number} every
 * @returns {() => void}
 */
export function paced(work, every) {
  let timer = 0;
  let last = -Infinity;
  let busy = false;
  let again = false;
  function soon() {
    if (busy) again = true;
    else if (!timer) timer = setTimeout(run, Math.max(0, last + every - performance.now()));
  }
  async function run() {
    timer = 0;
    busy = true;
    again = false;
    try {
      await work();
    } catch {
      again = true;
    }
    last = performance.now();
    busy = false;
    if (again) soon();
  }
  return soon;
}
