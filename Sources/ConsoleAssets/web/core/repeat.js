// SPDX-License-Identifier: MIT

/**
 * Does something again and again while the page is seen, until the view is left. What goes wrong is passed over: the next time may bring better, and the page
 * says when the server is away.
 *
 * @param {number} pause In milliseconds.
 * @param {() => Promise<unknown>} work
 * @param {(end: () => void) => void} onLeave
 */
export function repeat(pause, work, onLeave) {
  let isRunning = false;
  const timer = setInterval(async () => {
    if (isRunning || document.visibilityState !== "visible") return;
    isRunning = true;
    await work().catch(() => {});
    isRunning = false;
  }, pause);
  onLeave(() => clearInterval(timer));
}
