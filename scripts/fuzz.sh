#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./run fuzz [SECONDS] [TARGET...]: each libFuzzer target for SECONDS; findings stay in build/fuzz/findings.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/lib.sh

need build fuzz
seconds=${1:-60}
[ $# -gt 0 ] && shift
build_preset fuzz
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
	mapfile -t targets < <(find build/fuzz/fuzz -maxdepth 1 -type f -perm -u+x -name 'fuzz_*' -printf '%f\n' | sort)
fi
mkdir -p build/fuzz/findings build/fuzz/corpus build/fuzz/logs

one() {
	local target=$1 seconds=$2 status=0
	mkdir -p "build/fuzz/corpus/$target"
	local seeds=()
	[ -d "tests/data/fuzz/$target" ] && seeds=("tests/data/fuzz/$target")
	"build/fuzz/fuzz/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="build/fuzz/findings/$target-" "build/fuzz/corpus/$target" "${seeds[@]}" \
		>"build/fuzz/logs/$target" 2>&1 || status=$?
	local runs
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/logs/$target")
	printf '%-28s %8s s %14s runs  %s\n' "$target" "$seconds" "${runs:-?}" \
		"$([ $status = 0 ] && echo clean || echo "FINDING, see build/fuzz/logs/$target")"
	return $status
}
export -f one
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c "one {} $seconds"
