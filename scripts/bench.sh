#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./run bench [throughput|latency|commands|idle|components ...] [--rounds N] [--events N] [--json FILE]
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/lib.sh

need build test bench
say "building (preset release)"
build_preset release
if [ "${1:-}" = components ] || [ $# -eq 0 ]; then
	[ $# -gt 0 ] && shift
	for program in build/release/bin/bench-*; do
		[ "$(basename "$program")" = bench-floor ] && continue
		say "== $(basename "$program")"
		"$program"
	done
	[ $# -gt 0 ] || set -- throughput latency commands idle
fi
exec "$PYTHON" tests/bench/bench.py "$@"
