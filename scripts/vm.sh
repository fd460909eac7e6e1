#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./run vm [--build-kernel] [SCENARIO...]: scenarios on real kernels in QEMU (software emulation). A name selects by
# substring, with - for _. --build-kernel makes the patched kernel first where it is not cached (about ten minutes).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/lib.sh

export PATHBELL_VM_FETCH=1
if [ "${1:-}" = --build-kernel ]; then
	shift
	need kernel
	export PATHBELL_VM_BUILD=1
fi
need build test vm
build_preset release
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
select=
for name in "$@"; do select="${select:+$select or }${name//-/_}"; done
PATHBELL_TEST_PRESET=release "$PYTHON" -m pytest -q -rs -p no:cacheprovider --junitxml="$results/vm.xml" ${select:+-k "${select//./_}"} tests/kernel || true
"$PYTHON" scripts/summary.py "$results"
