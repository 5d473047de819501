#!/bin/sh
# npm test: sets up, then runs every check and test. The last line is `N passed, N failed, N skipped`.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
exec node_modules/node/bin/node scripts/test.ts "$@"
