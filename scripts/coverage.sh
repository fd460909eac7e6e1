#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/lib.sh

need build test coverage
build_preset coverage
ctest --test-dir build/coverage -j 2 >/dev/null || true
PATHBELL_TEST_PRESET=coverage "$PYTHON" -m pytest -q -p no:cacheprovider tests/func -k "not demo" || true
gcovr --root . --object-directory build/coverage --exclude 'build/.*' --exclude 'tests/.*' --print-summary
