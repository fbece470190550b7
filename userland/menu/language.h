/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * language: in which language the menu speaks.
 *
 * Texts are English in the source and translated by gettext (po/). Those that are
 * given to the functions of ui.h as they stand are translated there; _() is for texts
 * that are put together elsewhere, and N_() marks one in a table.
 */
#ifndef KVM_MENU_LANGUAGE_H
#define KVM_MENU_LANGUAGE_H

#include <libintl.h>
#include <stdbool.h>

#define _(text)		gettext(text)
#define N_(text)	text

/* gettext(), also for NULL and "", which is the catalogue's header to gettext. */
const char *translated(const char *text) __attribute__((format_arg(1)));

/* May other languages than English be shown on this terminal? */
bool language_possible(void);
/*
 * Takes the language wanted or, when that is NULL, the one last chosen by
 * language_switch(), or the environment's, if it can be shown. Before ui_start().
 * False: what is wanted is a language without translation.
 */
bool language_start(const char *wanted);
/*
 * The live system's menu starts before the data volume is found, on which the choice is
 * kept: takes it when it is there. True: the screen is to be drawn anew.
 */
bool language_follow(void);
/* Is a translation shown, and so the screen in UTF-8? */
bool language_is_foreign(void);
/* Takes the locale for it, once more after what has taken another. */
void language_locale(void);
/*
 * From English to the other language or back, for later sessions of this user too; the
 * screen is drawn anew by ui_start().
 */
void language_switch(void);

#endif
