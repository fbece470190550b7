/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The script interpreter in 64-bit mode. */
#include "prot-script.S"
