#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kvmctl's loaders on good and wrong files, under AddressSanitizer and UBSan.
set -e
cd "$(dirname "$0")/../.."
out=build/tests/unit
mkdir -p $out
cc -std=gnu11 -g -Wall -Wextra -Werror -fsanitize=address,undefined \
	-Iuserland/kvmctl -Itests/unit -o $out/loaders-test tests/unit/loaders/test.c \
	userland/kvmctl/load.c
exec $out/loaders-test
