#!/bin/sh
# Make a virtual environment with rxstream in it: setup.sh EXTRA (test, demo, dev).
# On Debian as root it installs the system packages too; elsewhere it says which to install.
set -eu
extra=${1:-test}
venv=${VENV:-.venv}

packages="libportaudio2 libgl1 libglib2.0-0"
[ "$extra" = demo ] || packages="$packages pulseaudio pulseaudio-utils libasound2-plugins portaudio19-dev ffmpeg socat mosquitto iproute2"

say() { printf '%s\n' "$*" >&2; }

find_python() {
    for name in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$name"
            return
        fi
    done
    say "rxstream needs Python 3.11 or newer; none was found. Set PYTHON=/path/to/python3."
    exit 1
}

missing=""
if command -v dpkg-query >/dev/null 2>&1; then
    for package in $packages; do
        # a virtual package (libglib2.0-0 on newer Debian) is asked for by what provides it
        dpkg-query -W -f '${Status} ${Provides}\n' "$package" "${package}t64" 2>/dev/null |
            grep -q 'ok installed' || missing="$missing $package"
    done
    if [ -n "$missing" ]; then
        if [ "$(id -u)" = 0 ]; then
            say "installing system packages:$missing"
            export DEBIAN_FRONTEND=noninteractive
            apt-get update -qq
            # shellcheck disable=SC2086
            apt-get install -y -qq --no-install-recommends $missing >/dev/null
        else
            say "system packages are missing; devices that need them will say so. Install them with:"
            say "    sudo apt-get install$missing"
        fi
    fi
elif ! { ldconfig -p 2>/dev/null || true; } | grep -q libportaudio; then
    say "If the microphone is not found, install PortAudio (macOS: brew install portaudio ffmpeg)."
fi

python=$(find_python)
if [ ! -x "$venv/bin/python" ]; then
    if ! "$python" -m venv "$venv" 2>/dev/null; then
        rm -rf "$venv"
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
            apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
            "$python" -m venv "$venv"
        else
            say "$python cannot make a virtual environment; install python3-venv."
            exit 1
        fi
    fi
fi
[ "$extra" = demo ] && extra=all
say "installing rxstream[$extra] into $venv (the first time takes a minute)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e ".[$extra]"
if [ "$extra" = test ] || [ "$extra" = dev ]; then
    # A plugin of stream2py that tests read; its PyAudio is compiled, and where that does not work
    # the tests do without the microphone.
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check audiostream2py 2>/dev/null ||
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps audiostream2py ||
        say "audiostream2py cannot be installed; its tests will be skipped."
fi
