# shellcheck shell=bash
# What the scripts share; sourced, not run. Leaves the caller in the root of the repository.

# Where the script was called. A path that the user gave is one from there.
CALLED_FROM=$PWD
from_caller() { case $1 in /*) echo "$1" ;; *) echo "$CALLED_FROM/$1" ;; esac; }

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

# A broker and the programs beside it need this Java.
java_is_new_enough() {
    local found
    found=$("${JAVA_HOME:+$JAVA_HOME/bin/}java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
    [ "${found:-0}" -ge 17 ]
}

# Makes a Python environment of its own in a folder, once, with packages at given versions: python_with FOLDER PACKAGE==VERSION…. False when it cannot be had.
python_with() {
    local folder=$1
    shift
    "$folder/bin/python" -c '' 2>/dev/null && [ "$(cat "$folder/packages" 2>/dev/null)" = "$*" ] && return
    say "installing $* into $folder"
    python3 -m venv --clear "$folder" && "$folder/bin/pip" install --quiet --disable-pip-version-check "$@" && echo "$*" >"$folder/packages"
}

# Sets and exports HELKFLOW_PYTHON: a Python with a Kafka client that is not ours, by which tests look at what we wrote.
kafka_python() {
    local folder=${CARGO_TARGET_DIR:-target}/python
    python_with "$folder" confluent-kafka==2.16.1 || return
    HELKFLOW_PYTHON=$(realpath "$folder")/bin/python
    export HELKFLOW_PYTHON
}
