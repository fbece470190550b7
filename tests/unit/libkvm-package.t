#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# libkvm as a package: what a program that is built against it relies on.
cd "$(dirname "$0")/../.." || exit 1
dest=$(mktemp -d)
trap 'rm -rf "$dest"' EXIT
n=0
t() { # NAME COMMAND…: ok when the command succeeds
	name=$1; shift; n=$((n + 1))
	if "$@" >"$dest/log" 2>&1; then echo "ok $n - $name"
	else echo "not ok $n - $name"; sed 's/^/# /' "$dest/log"; fi
}
lib=$dest/usr/lib/$(cc -print-multiarch)
export PKG_CONFIG_SYSROOT_DIR=$dest PKG_CONFIG_LIBDIR=$lib/pkgconfig

t "it installs below DESTDIR" make -C userland/libkvm O="$PWD/build/userland" DESTDIR="$dest" install

declared() { grep -o '\bkvm_[a-z0-9_]*(' userland/libkvm/libkvm.h | tr -d '(' |
	sort -u | while read -r f; do grep -q "[ *]$f(.*\|^$f(" userland/libkvm/libkvm.h && echo "$f"; done; }
exported() { nm -D --defined-only "$lib/libkvm.so.0" | awk '$2 == "T" { sub("@.*", "", $3); print $3 }' | sort; }
same_symbols() { exported >"$dest/e"; declared >"$dest/d"; diff "$dest/d" "$dest/e"; }
t "the library exports what the header declares, and nothing else" same_symbols
soname() { readelf -d "$lib/libkvm.so" | grep -q 'SONAME.*\[libkvm.so.0\]'; }
t "the soname is libkvm.so.0" soname
versioned() { nm -D --defined-only "$lib/libkvm.so.0" | grep -q "$1"; }
t "symbols carry the version LIBKVM_0" versioned 'kvm_run@@LIBKVM_0$'
t "those that came later the version LIBKVM_0.2" versioned 'kvm_set_irq@@LIBKVM_0.2$'
no_exit() { ! nm -D -u "$lib/libkvm.so.0" | grep -wE '_?exit|abort|errx?|perror'; }
t "the library cannot end the process" no_exit

cat >"$dest/a.c" <<'C'
#include <libkvm.h>
int main(void) { return !kvm_library_version()[0]; }
C
cp "$dest/a.c" "$dest/a.cc"
c_program() { cc -Wall -Wextra -Werror -std=c99 -o "$dest/a" "$dest/a.c" $(pkgconf --cflags --libs libkvm) &&
	LD_LIBRARY_PATH=$lib "$dest/a"; }
t "a C99 program builds with pkg-config and runs" c_program
cxx_program() { c++ -Wall -Wextra -Werror -std=c++17 -o "$dest/a" "$dest/a.cc" $(pkgconf --cflags --libs libkvm) &&
	LD_LIBRARY_PATH=$lib "$dest/a"; }
t "a C++ program builds too" cxx_program
static_program() { cc -static -o "$dest/a" "$dest/a.c" $(pkgconf --static --cflags --libs libkvm) && "$dest/a"; }
t "a static program builds and runs" static_program
listing() { cc -o "$dest/a" "$dest/usr/share/doc/libkvm-dev/examples/listing1.c" $(pkgconf --cflags --libs libkvm); }
t "the article's Listing 1 builds from the installed example" listing
for e in stepper events; do
	example() { cc -Wall -Wextra -Werror -O2 -D_FORTIFY_SOURCE=2 -pthread -o "$dest/a" "$dest/usr/share/doc/libkvm-dev/examples/$1.c" $(pkgconf --cflags --libs libkvm); }
	t "the example $e builds too" example $e
done
clean_page() { groff -man -Tutf8 -ww -z "$dest/usr/share/man/man3/libkvm.3" 2>"$dest/w" && ! grep . "$dest/w"; }
t "libkvm(3) has no formatting errors" clean_page
documented() { for f in $(declared); do grep -q "$f" "$dest/usr/share/man/man3/libkvm.3" || { echo "missing: $f"; return 1; }; done; }
t "libkvm(3) has every function" documented
pages() { for f in $(declared); do [ -s "$dest/usr/share/man/man3/$f.3" ] || { echo "missing: $f"; return 1; }; done; }
t "each function has a page that leads there" pages
echo "1..$n"
