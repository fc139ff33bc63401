#!/bin/sh
# Makes .venv with nenrin and the given extras, whatever this machine has to make it with.
#     tools/venv.sh EXTRAS        for example: tools/venv.sh demo
# A stamp of pyproject.toml and constraints.txt makes the next call return at once.
set -eu
cd "$(dirname "$0")/.."
unset VIRTUAL_ENV PYTHONPATH PYTHONHOME PIP_REQUIRE_VIRTUALENV
extras=${1:?usage: tools/venv.sh EXTRAS, for example: tools/venv.sh demo}
stamp=.venv/.made-with-$(printf %s "$extras" | tr -c 'a-zA-Z0-9_-' _)
python=.venv/bin/python
wanted=$(cat pyproject.toml constraints.txt tools/venv.sh | cksum)

works() { "$@" >/dev/null 2>&1; }
say() { printf 'venv: %s\n' "$*" >&2; }

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && works $python -c ''; then exit 0; fi

# A .venv that was not finished, or whose Python has gone, is made anew.
if [ -e .venv ] && { ! works $python -c '' || [ -e .venv/.unfinished ]; }; then
    say "making the unfinished .venv anew"
    rm -rf .venv
fi

newest_python() {
    for name in python3.14 python3.13 python3.12 python3.11 python3 python; do
        if works "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            echo "$name"
            return
        fi
    done
}

make_with() { # make_with HOW COMMAND...: an environment, marked as unfinished until all is installed
    how=$1
    shift
    rm -rf .venv
    works "$@" || return 1
    : >.venv/.unfinished
    say "made .venv with $how"
}

make_venv() {
    if works command -v uv && make_with uv uv venv --quiet --python '>=3.11' .venv; then return; fi
    base=$(newest_python)
    if [ -n "$base" ]; then
        make_with "$base -m venv" "$base" -m venv .venv && return
        make_with "$base -m virtualenv" "$base" -m virtualenv .venv && return
        works "$base" -m pip --version &&
            make_with "$base -m venv --without-pip" "$base" -m venv --without-pip .venv && return
    fi
    if [ "$(id -u)" = 0 ] && works command -v apt-get; then
        say "no way to make a virtual environment: installing python3-venv with apt-get"
        works apt-get update
        works env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv
        base=$(newest_python)
        [ -n "$base" ] && make_with "$base -m venv" "$base" -m venv .venv && return
    fi
    say "needs Python 3.11 or newer with venv: install uv, or Debian's python3-venv, and call again"
    exit 3
}

install() {
    if works command -v uv; then
        UV_SYSTEM_CERTS=1 uv pip install --quiet --python $python "$@"
    elif works $python -m pip --version; then
        $python -m pip install --quiet --disable-pip-version-check "$@"
    else # the system's pip installs into an environment that has none
        "$(newest_python)" -m pip --python $python install --quiet --disable-pip-version-check "$@"
    fi
}

[ -e .venv ] || make_venv
say "installing nenrin[$extras]"
install --constraint constraints.txt --editable ".[$extras]"
rm -f .venv/.unfinished
echo "$wanted" >"$stamp"
