// SPDX-License-Identifier: MIT

#ifndef CONSOLE_ASSETS_H
#define CONSOLE_ASSETS_H

#include <stddef.h>

/// A file of the console, as it stands in the binary.
struct console_asset {
    /// Its path below `web`, such as `core/dom.js`.
    const char *path;
    const unsigned char *octets;
    size_t count;
};

/// All of them, as a pointer since Swift takes no array without a length.
extern const struct console_asset *const console_assets;

/// How many there are.
extern const size_t console_asset_count;

#endif
