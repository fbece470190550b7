#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kvmctl's loaders under libFuzzer, AddressSanitizer and UBSan for 10 seconds or
# KVM_LIVE_FUZZ_RUNS executions. What it learns is kept in build/tests/loaders-corpus.
set -e
cd "$(dirname "$0")/../.."
out=build/tests/unit
corpus=build/tests/loaders-corpus
mkdir -p $out $corpus
if ! command -v clang > /dev/null; then
	echo "1..0 # SKIP clang is not installed"
	exit 0
fi
cc -Iuserland/kvmctl -Itests/unit -o $out/loaders-seed tests/unit/loaders/test.c \
	userland/kvmctl/load.c
$out/loaders-seed $corpus
clang -std=gnu11 -g -O1 -Wall -Wextra \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	-Iuserland/kvmctl -o $out/loaders-fuzz tests/unit/loaders/fuzz.c userland/kvmctl/load.c
echo "1..1"
limit=${KVM_LIVE_FUZZ_RUNS:+-runs=$KVM_LIVE_FUZZ_RUNS}
if $out/loaders-fuzz "${limit:--max_total_time=10}" -max_len=16384 -print_final_stats=1 \
	-artifact_prefix=$out/loaders-fuzz- $corpus > $out/loaders-fuzz.log 2>&1; then
	echo "ok 1 - no finding in" \
		"$(sed -n 's/^stat::number_of_executed_units: *//p' $out/loaders-fuzz.log) executions"
else
	tail -n 40 $out/loaders-fuzz.log | sed 's/^/# /'
	echo "not ok 1 - the fuzzer found something"
fi
