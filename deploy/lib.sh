# SPDX-License-Identifier: MIT
# What deploy/run and deploy/test share. Sourced by bash; expects `set -euo pipefail`.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# The packages that building and running the server need.
SERVER_PACKAGES=(pkg-config libcurl4-openssl-dev libsqlite3-dev zlib1g-dev libpq-dev libhiredis-dev ca-certificates)

# The flags of a release build. They stand here and not in Package.swift, because a package with unsafe flags cannot be depended on by version.
# Exclusivity checks cost 40 % of the instructions of a request; the tests run with them on. A static Swift runtime makes the binary movable.
RELEASE_FLAGS=(-c release --product rotator-server -Xswiftc -enforce-exclusivity=unchecked --static-swift-stdlib)

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }

fail() { say "$*"; exit 1; }

# Runs a command up to three times: registries and mirrors have bad moments.
retry() {
    local attempt
    for attempt in 1 2 3; do
        "$@" && return 0
        [ "$attempt" = 3 ] || { say "'$1' failed, trying again in $((attempt * 5)) s"; sleep $((attempt * 5)); }
    done
    return 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "installing packages needs root or sudo: $*"
    fi
}

# Installs the Debian packages among the arguments that are not there yet. Costs nothing when all are.
install_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "these packages are missing, and this is no Debian: ${missing[*]}"
    say "installing ${missing[*]}"
    retry as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null >&2 || say "apt-get update failed; going on with the lists that are there"
    # PostgreSQL and Redis would be started as services by their installation: the tests start servers of their own, nobody needs these.
    local policy=/usr/sbin/policy-rc.d denied=no status=0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod 755 "$policy" && denied=yes
    fi
    retry as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >&2 || status=$?
    [ "$denied" = no ] || as_root rm -f "$policy"
    [ "$status" = 0 ] || fail "the packages could not be installed: ${missing[*]}"
}

# The lines of a package list, without comments.
package_list() { [ -f "$1" ] && sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1" || true; }

require_swift() {
    command -v swift >/dev/null || fail "there is no Swift toolchain in PATH: install Swift 6.2 or later from https://www.swift.org/install/linux/"
}

# Fetches the Swift packages, apart from the build: a network is worth trying again, a compiler error is not.
resolve_packages() { retry swift package --package-path "$ROOT" resolve </dev/null >&2; }

# Builds the release binary; prints its path on standard output and everything else on standard error.
build_release() {
    say "building the release binary (several minutes the first time, seconds afterwards)"
    resolve_packages || return 1
    timeout "${RELEASE_BUILD_TIMEOUT:-3600}" swift build --package-path "$ROOT" "${RELEASE_FLAGS[@]}" </dev/null >&2 || return 1
    printf '%s/rotator-server\n' "$(swift build --package-path "$ROOT" "${RELEASE_FLAGS[@]}" --show-bin-path)"
}
