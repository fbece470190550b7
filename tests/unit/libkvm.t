#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# libkvm against a fake KVM (libkvm-test.c), and its header, symbols and manual.
set -e
cd "$(dirname "$0")/../.."
out=build/tests/unit
mkdir -p $out
cc -std=gnu11 -g -Wall -Wextra -Werror -fsanitize=address,undefined \
	-Iuserland/libkvm -Itests/unit -o $out/libkvm-test tests/unit/libkvm-test.c \
	userland/libkvm/*.c -pthread -Wl,--wrap=open,--wrap=ioctl
exec $out/libkvm-test
