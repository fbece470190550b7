# SPDX-License-Identifier: GPL-2.0-or-later
# Each tool has its own Makefile and builds into build/userland.
