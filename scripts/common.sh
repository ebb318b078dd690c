# shellcheck shell=bash
# What setup, demo and test share; sourced, not run. Leaves the caller in the root of the repository.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

rust_wanted() { sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml; }

# True when the cargo that would run is there and new enough.
rust_is_new_enough() {
    local found
    found=$(cargo --version 2>/dev/null | cut -d' ' -f2 | cut -d- -f1)
    [ -n "$found" ] && printf '%s\n%s\n' "$(rust_wanted)" "$found" | sort -C -V
}

# Finds a Rust that is new enough: the one that is in use, else what rustup has installed beside it. Changes the environment of this run only.
find_rust() {
    rust_is_new_enough && return
    export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    hash -r
    rust_is_new_enough && return
    export RUSTUP_TOOLCHAIN=stable
    rust_is_new_enough && return
    unset RUSTUP_TOOLCHAIN
    return 1
}
