# SPDX-License-Identifier: GPL-2.0-or-later
#
# The module against Debian's stock kernel headers: build/module/*.ko

STOCK_KERNEL = $(notdir $(lastword $(sort $(wildcard /lib/modules/*))))

module: $(wildcard kvm-module/*.[chS] kvm-module/Makefile)
	@mkdir -p build/module
	@rsync -a --delete --include='*.[chS]' --include=Makefile --exclude='*' \
		--filter='P *.o' --filter='P .*' kvm-module/ build/module/
	$(MAKE) -s -k -C /lib/modules/$(STOCK_KERNEL)/build M=$(CURDIR)/build/module modules
