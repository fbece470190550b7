#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# libkvm-test.c again, without sanitizers, under valgrind: what is read before it was
# written, and what is never freed.
set -e
cd "$(dirname "$0")/../.."
out=build/tests/unit
mkdir -p $out
cc -std=gnu11 -g -Wall -Wextra -Werror \
	-Iuserland/libkvm -Itests/unit -o $out/libkvm-test-plain tests/unit/libkvm-test.c \
	userland/libkvm/*.c -pthread -Wl,--wrap=open,--wrap=ioctl
exec valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite \
	--track-origins=yes $out/libkvm-test-plain
