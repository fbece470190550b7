#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kvmctl without a processor: its options, its files, its sentences.
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export LD_LIBRARY_PATH="$PWD/build/userland"
kvmctl=$LD_LIBRARY_PATH/kvmctl
n=0
t() { # NAME STATUS WORDS ARG…: the status, and the words in the output
	name=$1 want=$2 words=$3; shift 3; n=$((n + 1))
	"$kvmctl" "$@" >"$dir/out" 2>&1 </dev/null; got=$?
	if [ $got = "$want" ] && grep -qF -- "$words" "$dir/out"; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		echo "# status $got, expected $want; expected words: $words"
		sed 's/^/# /' "$dir/out"
	fi
}
t "--help explains the guest's ports" 0 "port 0xf1" --help
t "--version tells the version" 0 "kvmctl (kvm-live)" --version
t "no file is an error that points to --help" 125 "--help"
t "an unknown option is an error" 125 "--help" --frobnicate guest
t "a third file is an error" 125 "one file too many" a b c
t "-32 with two files is an error" 125 "one file" -32 a b
t "a size that is no number is an error" 125 "such as 128M" --memory=lots a
t "a size below 1 MiB is an error" 125 "1M" --memory=512K a
t "a size that does not fit below the APIC is an error" 125 "3584M" --memory=4G a
t "a negative size is an error" 125 "1M" --memory=-1 a
t "a size with rubbish behind it is an error" 125 "1M" --memory=128Mx a
t "a time of zero is an error" 125 "above 0" --timeout=0 a
t "a time that is no number is an error" 125 "above 0" --timeout=soon a
t "--memory without a value is an error" 125 "--help" --memory
t "--cpus=0 is an error" 125 "from 1 to 64" --cpus=0 a
t "--cpus=65 is an error" 125 "from 1 to 64" --cpus=65 a
t "--cpus with rubbish behind it is an error" 125 "from 1 to 64" --cpus=2x a
# Files are looked at before /dev/kvm.
t "a missing file is named" 125 "/no/such/kernel cannot be opened" /no/such/kernel
t "a directory is refused" 125 "is a directory" /tmp
t "a device is refused" 125 "not a file" /dev/null
: >"$dir/empty"
t "an empty file is refused" 125 "is empty" "$dir/empty"
echo "no kernel" >"$dir/text"
t "a file that is no kernel is refused" 125 "is no kernel" "$dir/text"
truncate -s 2M "$dir/large"
t "a file larger than the memory is refused" 125 "more --memory" --memory=1M "$dir/large"
t "a flat file has no --initrd" 125 "flat file" --initrd="$dir/text" "$dir/large"
printf '\002\260\255\033\003\000\001\000\373\117\121\344' >"$dir/multiboot"
t "a kernel is loaded alone" 125 "one file too many" "$dir/multiboot" "$dir/text"
t "an initrd that is missing is named" 125 "/no/such/initrd" --initrd=/no/such/initrd "$dir/multiboot"
t "an initrd that is a directory is refused" 125 "is a directory" --initrd=/tmp "$dir/multiboot"

# With an empty /dev there is no device, whatever this machine has.
n=$((n + 1))
unshare --mount --propagation unchanged sh -c 'mount -t tmpfs none /dev && : >/dev/null && exec "$0" -32 /etc/hostname' \
	"$kvmctl" >"$dir/out" 2>&1
got=$?
if [ $got = 125 ] && grep -q kvm-detect "$dir/out"; then
	echo "ok $n - without /dev/kvm the status is 125 and kvm-detect is named"
else
	echo "not ok $n - without /dev/kvm the status is 125 and kvm-detect is named"
	echo "# status $got"; sed 's/^/# /' "$dir/out"
fi
for page in userland/kvmctl/kvmctl.1 userland/detect/kvm-detect.1; do
	[ -e $page ] || continue
	n=$((n + 1))
	w=$(groff -t -man -Tutf8 -ww -z $page 2>&1)
	[ -z "$w" ] && echo "ok $n - $page has no formatting errors" ||
		{ echo "not ok $n - $page has no formatting errors"; echo "$w" | sed 's/^/# /'; }
done
echo "1..$n"
