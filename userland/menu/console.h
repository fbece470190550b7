/* SPDX-License-Identifier: GPL-2.0-or-later */
/* console: a guest's serial console on our terminal. */
#ifndef KVM_MENU_CONSOLE_H
#define KVM_MENU_CONSOLE_H

#include <stdbool.h>

#include "virt.h"

/*
 * Connects the terminal to the guest's serial console until Ctrl-] or until the
 * guest ends. With resume, a paused guest goes on once we listen, so that none
 * of its first words are lost. True: the guest ended, not the user.
 */
bool console_run(virDomainPtr dom, bool resume);

#endif
