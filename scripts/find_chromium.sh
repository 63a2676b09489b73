#!/usr/bin/env bash
# Sees to it that there is a Chromium for the tests of the web page: CHROMIUM, or one on the PATH, or Debian's package
# where this may be installed without asking anybody: in CI, as root.
set -euo pipefail

for candidate in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
    if [ -n "$candidate" ] && command -v "$candidate" > /dev/null; then
        exit
    fi
done
if [ -n "${CI:-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    echo "== installing Chromium"
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core > /dev/null
    exit
fi
echo "The tests of the web page need Chromium. Install it (Debian, Ubuntu: apt install chromium), or name it: CHROMIUM=/path/to/chromium make test-browser" >&2
exit 1
