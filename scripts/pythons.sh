#!/bin/sh
# Print a Python for each version from 3.11 on that this machine has and that really starts:
# "3.12 /path/to/python3.12". A shim of pyenv may be on PATH without a Python behind it.
set -u

candidates() {
    for minor in 11 12 13 14; do command -v "python3.$minor"; done
    if command -v pyenv >/dev/null 2>&1; then
        pyenv versions --bare --skip-aliases 2>/dev/null | while read -r version; do
            printf '%s/bin/python3\n' "$(pyenv prefix "$version")"
        done
    fi
}

seen=" "
for python in $(candidates); do
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2], sys.version_info >= (3, 11))' 2>/dev/null) || continue
    case $version in *False) continue ;; esac
    version=${version% True}
    case $seen in *" $version "*) continue ;; esac
    seen="$seen$version "
    printf '%s %s\n' "$version" "$python"
done
