# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by the *.t of this folder that are in bash, and by in-machine.

n=0
failed=0
ok() {		# ok STATUS NAME
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		failed=1
	fi
}
# Run a command; on failure show its output.
check() {	# check NAME COMMAND…
	local name=$1 out rc
	shift
	out=$("$@" 2>&1) && rc=0 || rc=$?
	ok $rc "$name"
	[ $rc = 0 ] || printf '%s\n' "$out" | tail -n 30 | sed 's/^/# /'
	return $rc
}
finish() {
	echo "1..$n"
	exit $failed
}

# Commands for the machine that plain_debian makes.
in_root() {
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
		DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
}
sh_root() { in_root sh -euc "$1"; }
apt="apt-get -qy -o APT::Install-Recommends=false -o APT::Keep-Downloaded-Packages=true"
installed() { sh_root "dpkg-query -W -f '\${db:Status-Abbrev}' $1 | grep -q '^ii'"; }
absent() { ! installed "$1"; }

# A plain Debian 13 in $root, which goes away at the end: the release's minimal
# system, its kernel and headers. It stays in the cache, and so do the packages that
# it fetches.
plain_debian() {
	local base=$KVM_LIVE_CACHE/plain-debian-13-kernel.tar
	root=$(mktemp -d "/var/tmp/kvm-live-$(basename "$0" .t).XXXXXX")
	trap leave_debian EXIT
	if [ ! -e "$base" ]; then
		echo "# making a plain Debian 13"
		mmdebstrap --quiet --mode=root --format=tar --variant=apt \
			--include=systemd-sysv,linux-image-amd64,linux-headers-amd64,libc6-dev,zstd \
			--aptopt='APT::Install-Recommends "false"' \
			--aptopt='Acquire::Languages "none"' trixie "$base.tmp" - \
			</etc/apt/sources.list >&2 && mv "$base.tmp" "$base" || {
			echo "Bail out! mmdebstrap could not make a plain Debian 13; see above."
			exit 1
		}
	fi
	tar -C "$root" -xf "$base"
	cp /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null
	mkdir -p "$KVM_LIVE_CACHE/apt-archives/partial"
	# One APT at a time may fetch packages there: another checkout's test waits.
	exec 8>"$KVM_LIVE_CACHE/apt-archives.lock"
	flock 8
	mount --bind "$KVM_LIVE_CACHE/apt-archives" "$root/var/cache/apt/archives"
	mount -t proc proc "$root/proc"
	# It starts with the initramfs that it has; each of dpkg's would cost a minute.
	echo update_initramfs=no >"$root/etc/initramfs-tools/update-initramfs.conf"
	sh_root 'apt-get -q update' >/dev/null 2>&1
}
unmount_debian() {
	for m in var/cache/apt/archives proc sys; do
		umount -q -R "$root/$m"
	done
}
leave_debian() {
	unmount_debian
	rm -rf --one-file-system "$root" "$root".*
}
