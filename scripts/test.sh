#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every test this machine can run. Last line: N passed, N failed, N skipped.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/lib.sh

need build test
say "building (preset dev: ASan, UBSan, -Werror)"
build_preset dev
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

export ASAN_OPTIONS=${ASAN_OPTIONS:-exitcode=99}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$PWD/tests/lsan.supp:print_suppressions=0}

say "C tests (unit, contract, sim)"
ctest --preset dev --output-junit "$results/ctest.xml" -j 2 "$@" >"$results/ctest.log" 2>&1 || true
grep -E 'Test +#|tests passed' "$results/ctest.log" || true

if [ $# -eq 0 ]; then
	say "tests of the real programs (release build is used where speed matters)"
	build_preset release
	"$PYTHON" -m pytest -q -rs -p no:cacheprovider --junitxml="$results/func.xml" tests/func \
		>"$results/func.log" 2>&1 || true
	cat "$results/func.log"
fi
"$PYTHON" scripts/summary.py "$results"
