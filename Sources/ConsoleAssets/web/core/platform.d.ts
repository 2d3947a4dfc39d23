// SPDX-License-Identifier: MIT

/** What the platform has and the type checker's library does not know yet. */
interface HTMLElement {
  showPopover(): void;
  hidePopover(): void;
}
