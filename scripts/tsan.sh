#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The threaded parts (rpc, uplink, aggregator, spool) under ThreadSanitizer: their C tests, then the real programs.
# libgrpc is not instrumented: ignore_noninstrumented_modules, and rpc/ annotates each hand-over of a tag.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/lib.sh

need build test
build_preset tsan
build_preset dev
export TSAN_OPTIONS="ignore_noninstrumented_modules=1:halt_on_error=0:exitcode=66:second_deadlock_stack=1"
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
ctest --preset tsan --output-junit "$results/tsan-ctest.xml" -j 2 -R 'rpc|uplink|spool|aggregator|store' >"$results/log" 2>&1 || true
grep -E 'Test +#|tests passed' "$results/log" || true
PATHBELL_TEST_PRESET=tsan PATHBELL_KILL_EVENTS=${PATHBELL_KILL_EVENTS:-20000} PATHBELL_KILL_ROUNDS=${PATHBELL_KILL_ROUNDS:-4} PATHBELL_TEST_BOUND=180 \
	"$PYTHON" -m pytest -q -rs -p no:cacheprovider --junitxml="$results/tsan-func.xml" tests/func -k "not demo" || true
"$PYTHON" scripts/summary.py "$results"
