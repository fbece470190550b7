# SPDX-License-Identifier: GPL-2.0-or-later
#
# The cost of an exit, ours and the stock module's, and where it goes.

build/tests/bench/%: tests/bench/%.c $(wildcard tests/module/*.h images/guests/*.h) \
		tests/unit/tap.h $(GUESTS_OUT)/guests.h $(GUESTS_OUT)/guests.o
	@mkdir -p $(@D)
	cc -O2 -Wall -Wextra -Werror -static -pthread -Itests/module -Itests/unit \
		-Iimages/guests -I$(GUESTS_OUT) -o $@ $< $(GUESTS_OUT)/guests.o -lm

build/tests/bench/profile-plugin.so: tests/bench/profile-plugin.c images/guests/bench.h
	@mkdir -p $(@D)
	cc -O2 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden -Iimages/guests -o $@ $< \
		$$(pkgconf --cflags --libs glib-2.0)

bench-tools: build/tests/tools/kvmctl $(addprefix build/tests/bench/,bench boot start symbols profile-plugin.so)

bench: module bench-tools
	tests/bench/run $(ROWS)

.PHONY: bench-tools
