#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every test this machine can run. Last line: N passed, N failed, N skipped.
#
# Two lanes side by side, since most of the time is one virtual CPU's: scenarios on real kernels; and the C tests, the real
# programs, then the other half of the scenarios. PATHBELL_TEST_VM=0 leaves the scenarios out.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/lib.sh

with_vm=${PATHBELL_TEST_VM:-1}
[ $# -eq 0 ] || with_vm=0
need build test
[ "$with_vm" = 0 ] || need vm
# A kernel of our own is built only in CI (or by ./run vm --build-kernel); then it is used while it is cached.
[ "$with_vm" = 0 ] || [ "${CI:-}" != true ] || need kernel
say "building (preset dev: ASan, UBSan, -Werror)"
build_preset dev
[ $# -gt 0 ] || {
	say "building (preset release, for where speed matters)"
	build_preset release
}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

export ASAN_OPTIONS=${ASAN_OPTIONS:-exitcode=99}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$PWD/tests/lsan.supp:print_suppressions=0}

# python_tests NAME PRESET ARG...: a pytest run with its JUnit file and its log.
python_tests() {
	local name=$1 preset=$2
	shift 2
	PATHBELL_TEST_PRESET=$preset "$PYTHON" -m pytest -q -rs -p no:cacheprovider --junitxml="$results/$name.xml" "$@" \
		>"$results/$name.log" 2>&1 || true
}

# What is not named here is in the second half.
first=(tests/kernel/test_block.py tests/kernel/test_multipath.py tests/kernel/test_nvme.py tests/kernel/test_nvme_monitor.py)
second=()
for file in tests/kernel/test_*.py; do
	case " ${first[*]} " in *" $file "*) ;; *) second+=("$file") ;; esac
done
lane=
if [ "$with_vm" != 0 ]; then
	say "scenarios on real kernels (side by side with the others)"
	python_tests vm-first release "${first[@]}" &
	lane=$!
fi
say "C tests (unit, contract, sim)"
jobs=2
[ -z "$lane" ] || jobs=1
ctest --preset dev --output-junit "$results/ctest.xml" -j "$jobs" "$@" >"$results/ctest.log" 2>&1 || true
grep -E 'Test +#|tests passed' "$results/ctest.log" || true
if [ $# -eq 0 ]; then
	say "tests of the real programs"
	python_tests func dev tests/func
	cat "$results/func.log"
fi
if [ -n "$lane" ]; then
	python_tests vm-second release "${second[@]}"
	wait "$lane"
	say "scenarios on real kernels"
	cat "$results/vm-first.log" "$results/vm-second.log"
fi
"$PYTHON" scripts/summary.py "$results"
