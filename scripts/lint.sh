#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Format, static analysis, schema. Changes nothing; exits 1 with what is wrong.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/lib.sh

need build test lint
status=0
mapfile -t sources < <(git ls-files --cached --others --exclude-standard -- '*.c' '*.h' ':!third_party' ':!tests/data')
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard -- run .ci/run 'scripts/*.sh' 'tests/**/*.sh' 'deploy/*.sh')

say "clang-format: ${#sources[@]} files"
clang-format --dry-run -Werror "${sources[@]}" 2>&1 | grep -E 'error:' | head -n 40 && status=1

say "shellcheck: ${#scripts[@]} files"
shellcheck -x "${scripts[@]}" || status=1

say "clang-tidy"
cmake -S . -B build/tidy -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=clang >/dev/null
# generated protobuf code has to exist before it can be included
cmake --build build/tidy --target generated >/dev/null
mapfile -t units < <(git ls-files --cached --others --exclude-standard -- '*.c' ':!third_party' ':!tests')
printf '%s\0' "${units[@]}" | xargs -0 -n 1 -P "$(nproc)" clang-tidy --quiet -p build/tidy >build/tidy/findings 2>/dev/null || status=1
grep -E '(warning|error):' build/tidy/findings | sort -u | head -n 60 || true

if command -v npm >/dev/null 2>&1 || { need npm && command -v npm >/dev/null 2>&1; }; then
	say "buf lint"
	buf=build/buf/node_modules/@bufbuild/buf-linux-x64/bin/buf
	if [ ! -f "$buf" ]; then
		mkdir -p build/buf
		npm install --prefix build/buf --no-save --no-package-lock --no-audit --no-fund --ignore-scripts \
			@bufbuild/buf@1.75.0 >/dev/null 2>&1 || die "npm could not install buf"
		chmod +x "$buf"
	fi
	"$buf" lint proto || status=1
fi

say "words that mean unfinished work"
git grep -nIwE 'TODO|FIXME|HACK' -- '*.c' '*.h' '*.py' '*.sh' '*.proto' ':!scripts/lint.sh' && status=1
[ "$status" = 0 ] && say "lint: clean"
exit "$status"
