# SPDX-License-Identifier: GPL-2.0-or-later
#
# Flat test guests: each .S is one guest and becomes build/images/guests/NAME.bin,
# linked to run at the address that its name's first part says:
#   rom-   64 KiB at 0xf0000 that start at their reset vector (kvmctl FILE)
#   real-  real mode at 0000:1000
#   prot-  32-bit protected mode at 0x100000 (kvmctl -32 FILE)
#   long-  64-bit mode at 0x100000
# guests.o and guests.h bring all of them into a test program: a guest's bytes
# are guest_NAME to guest_NAME_end, with _ for -.
GUESTS := $(basename $(notdir $(wildcard images/guests/*.S)))
GUESTS_OUT := build/images/guests
GUEST_ADDRESS = $(or $(if $(filter rom-%,$*),0xf0000),$(if $(filter real-%,$*),0x1000),0x100000)

$(GUESTS_OUT)/long-script.bin: images/guests/prot-script.S
$(GUESTS_OUT)/%.bin: images/guests/%.S $(wildcard images/guests/*.h)
	@mkdir -p $(@D)
	cc -m$(if $(filter long-%,$*),64,32) -c -o $(@:.bin=.o) $<
	ld -m $(if $(filter long-%,$*),elf_x86_64,elf_i386) -N -e 0 \
		-Ttext=$(GUEST_ADDRESS) --oformat binary -o $@ $(@:.bin=.o)

$(GUESTS_OUT)/guests.h: images/guests/build.mk $(wildcard images/guests)
	@mkdir -p $(@D)
	@echo '/* SPDX-License-Identifier: GPL-2.0-or-later */' >$@
	@for g in $(subst -,_,$(GUESTS)); do \
		echo "extern const unsigned char guest_$$g[], guest_$${g}_end[];"; done >>$@

$(GUESTS_OUT)/guests.o: $(GUESTS:%=$(GUESTS_OUT)/%.bin)
	@{ echo '.section .rodata'; for g in $(GUESTS); do n=guest_$$(echo $$g | tr - _); \
		echo ".globl $$n, $${n}_end; $$n: .incbin \"$(GUESTS_OUT)/$$g.bin\"; $${n}_end:"; \
		done; echo '.section .note.GNU-stack,"",@progbits'; } >$(@:.o=.s)
	cc -c -o $@ $(@:.o=.s)

guests: $(GUESTS_OUT)/guests.h $(GUESTS_OUT)/guests.o

images: guests

.PHONY: guests
