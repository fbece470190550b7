/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host: can this machine run guests, and what has it got? */
#ifndef KVM_MENU_HOST_H
#define KVM_MENU_HOST_H

#include <stdbool.h>
#include <stdint.h>

/* Runs kvm-detect again and brings the banner up to date. */
void host_detect(void);
/* Brings the rows at the top of every screen up to date. */
void host_banner(void);
/* Did the last host_detect() find KVM usable? */
bool host_kvm_ready(void);
/* Why not: verdict, explanation and fix in one text, to be freed. */
char *host_verdict_text(void);
uint64_t host_memory_mib(void);
uint64_t host_memory_available_mib(void);
unsigned int host_cpus(void);
void host_screen(void);

/*
 * Does /dev/kvm emulate interrupt controllers? QEMU 10 has no APIC of its own for
 * a KVM that does not; a guest then gets along with the old 8259s, on one CPU.
 */
bool host_has_apic(void);
/* Does it emulate the system management mode, which Secure Boot needs? */
bool host_has_smm(void);

#endif
