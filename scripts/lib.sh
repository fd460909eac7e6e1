# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts of ./run: packages, builds, small helpers. Needs bash.
# shellcheck shell=bash

PATHBELL_ROOT=${PATHBELL_ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
export PATHBELL_ROOT
# Debian's Python has python3-grpcio; another one first in PATH has not.
PYTHON=/usr/bin/python3
export PYTHON

say() { printf '%s\n' "$*"; }
die() {
	printf 'run: %s\n' "$*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1; then
		sudo "$@"
	else
		die "this needs root: run as root or install sudo"
	fi
}

# Debian package names by purpose.
packages() {
	case "$1" in
	build) echo build-essential cmake ninja-build pkg-config protobuf-compiler protobuf-c-compiler libgrpc-dev \
		libprotobuf-c-dev libssl-dev libev-dev libyaml-dev libsqlite3-dev libmicrohttpd-dev libjson-c-dev \
		libcap-ng-dev libseccomp-dev ;;
	demo | bench) echo python3 openssl util-linux mount ;;
	test) echo libcmocka-dev python3 python3-grpcio python3-protobuf python3-pytest openssl curl procps \
		util-linux mount prometheus sqlite3 ;;
	lint) echo clang clang-format clang-tidy shellcheck python3 ;;
	fuzz) echo clang libclang-rt-14-dev llvm ;;
	coverage) echo gcovr ;;
	vm) echo qemu-system-x86 cpio kmod xz-utils python3 dmsetup keyutils ;;
	kernel) echo flex bison bc make gcc patch libelf-dev libssl-dev cpio kmod xz-utils ;;
	npm) echo npm ;;
	*) die "no list of packages for $1" ;;
	esac
}

# need PURPOSE...: installs the packages that are missing, and nothing when none is.
need() {
	local purpose list="" missing="" package
	for purpose in "$@"; do
		list="$list $(packages "$purpose")"
	done
	for package in $list; do
		dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
			missing="$missing $package"
	done
	[ -z "$missing" ] && return 0
	say "installing:$missing"
	local log
	log=$(mktemp)
	# shellcheck disable=SC2086
	if ! { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -q --no-install-recommends $missing; } >"$log" 2>&1; then
		tail -n 30 "$log" >&2
		rm -f "$log"
		die "apt-get could not install:$missing"
	fi
	rm -f "$log"
}

# What a site runs, and the tool that makes recordings.
# shellcheck disable=SC2034
programs=(pathbelld pathbell-verify pathbell-uplink pathbell-aggregator pathbell pathbell-recording)

# build_preset PRESET [TARGET...]
build_preset() {
	local preset=$1 log
	shift
	log=$(mktemp)
	if ! cmake --preset "$preset" >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		die "cmake --preset $preset failed"
	fi
	local targets=()
	[ $# -gt 0 ] && targets=(--target "$@")
	if ! cmake --build --preset "$preset" "${targets[@]}" >"$log" 2>&1; then
		grep -vE '^\[[0-9]+/[0-9]+\]' "$log" | tail -n 60 >&2
		rm -f "$log"
		die "the build of preset $preset failed"
	fi
	rm -f "$log"
}
