#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./run vm [SCENARIO...]: scenarios on real kernels in QEMU (software emulation). A name selects by substring.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/lib.sh

need build test vm
build_preset release "${programs[@]}"
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
select=
for name in "$@"; do select="${select:+$select or }${name//-/_}"; done
"$PYTHON" -m pytest -q -rs -p no:cacheprovider --junitxml="$results/vm.xml" ${select:+-k "$select"} tests/kernel || true
"$PYTHON" scripts/summary.py "$results"
