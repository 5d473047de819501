#!/bin/sh
# Makes a fresh clone run: modules as locked, the Node that they pin, the Temporal server, the workflow bundle.
# Quick when all of it is there. --modules stops after the modules. Works with any Node >= 20 and npm >= 10 on PATH.
set -eu
cd "$(dirname "$0")/.."
installed() {
  [ -f node_modules/.package-lock.json ] && node -e '
    const wanted = require("./package-lock.json").packages;
    const present = require("./node_modules/.package-lock.json").packages;
    const same = ([path, { optional, version }]) => path === "" || optional || present[path]?.version === version;
    process.exit(Object.entries(wanted).every(same) ? 0 : 1);'
}
if ! installed; then
  echo "setup: installing modules"
  # Not under the feet of what runs from here already: only a first install starts from nothing.
  how=ci
  [ -d node_modules ] && how='install --no-save'
  npm $how --no-audit --no-fund --loglevel=error
fi

# npm may be told to run no install scripts, and this one module needs its own.
node=node_modules/node/bin/node
if ! "$node" --version >/dev/null 2>&1; then
  echo "setup: installing the pinned Node"
  (cd node_modules/node && node installArchSpecificPackage.js)
fi
mkdir -p node_modules/.bin
[ -e node_modules/.bin/node ] || ln -sf ../node/bin/node node_modules/.bin/node
case $("$node" --version 2>/dev/null || true) in
  v2[4-9].* | v[3-9][0-9].*) ;;
  *)
    echo "setup: the pinned Node 24 does not run here; try: npm rebuild node" >&2
    exit 1
    ;;
esac

[ "${1:-}" = --modules ] && exit 0
exec "$node" scripts/setup.ts
