/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ui: the few kinds of screen that the menu is made of, on newt.
 *
 * Every screen is a menu, a sheet of settings (a menu whose rows show values),
 * one input field, a message, a question, a text to read, or a wait. All of
 * them fit 80x24, are drawn in ASCII (a translation: in UTF-8), are laid out anew when the terminal changes
 * its size, and go back on Esc, Ctrl-C, F12 and their Back button. A row with a letter or digit is chosen at once by that key.
 *
 * Titles, texts, labels and formats are translated here, once: see language.h.
 */
#ifndef KVM_MENU_UI_H
#define KVM_MENU_UI_H

#include <stdatomic.h>
#include <stdbool.h>

enum {
	UI_BACK = -1,		/* Back, Esc or Ctrl-C */
	UI_TIMEOUT = -2,	/* refresh_ms went by without a key */
};

struct ui_item {
	int key;		/* lower case letter or digit, 0: none */
	char *text;
};

struct ui_menu {
	const char *title;
	const char *text;	/* above the rows, may be NULL */
	const char *back;	/* label of the Back button, NULL: "Back" */
	struct ui_item *items;
	int n;
	int at;			/* row of the cursor, kept between calls */
	int refresh_ms;		/* 0: wait for ever */
	/* After refresh_ms: does the menu still say what is so? NULL: no. */
	bool (*holds)(const struct ui_menu *menu);
};

int ui_start(void);	/* also after ui_stop() */
void ui_stop(void);
void ui_suspend(void);
void ui_resume(void);
void ui_set_banner(const char *left, const char *warning);
const char *ui_warning(void);

int ui_menu(struct ui_menu *menu);
void ui_menu_add(struct ui_menu *menu, int key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void ui_menu_clear(struct ui_menu *menu);
/*
 * s in exactly that many columns of the screen, cut or padded. The text lasts until
 * the fourth call after this one.
 */
const char *ui_column(const char *s, int width);

bool ui_input(const char *title, const char *text, char **value);
/* The same for what nobody else should read: stars are shown for it. */
bool ui_password(const char *title, const char *text, char **value);
/*
 * A new one, typed twice: NULL when the user went back. check() finds faults, as for
 * ui_ask().
 */
char *ui_new_password(const char *title, const char *text,
		      const char *(*check)(const char *value));
/*
 * ui_input() until check() finds no fault: it returns a sentence, which is shown, or
 * NULL. What was typed stays in the field. False: the user went back, and *value
 * is as it was.
 */
bool ui_ask(const char *title, const char *text, char **value,
	    const char *(*check)(const char *value, void *data), void *data);
void ui_message(const char *title, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
bool ui_confirm(const char *title, const char *yes, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void ui_view(const char *title, const char *text);
/*
 * Runs work(arg) in a thread and shows title and text while it lasts. The user
 * may leave: then the answer is false, the work goes on by itself, and arg
 * belongs to the thread, which calls discard(arg) at its end. Else the answer is
 * true and arg is the caller's again.
 */
bool ui_busy(const char *title, const char *text, void (*work)(void *arg),
	     void (*discard)(void *arg), void *arg);

/* Shared between work and the screen that shows it. */
struct ui_progress {
	atomic_ullong done, total;	/* total 0: not known */
	atomic_bool cancel;		/* the user wants it to stop */
};

/*
 * The same with a bar, for work that can be cancelled: Cancel sets
 * progress->cancel, which work() looks at, and calls cancel(arg) once (may be
 * NULL). Returns when work() has ended, so arg stays the caller's.
 */
void ui_work(const char *title, const char *text, void (*work)(void *arg),
	     void (*cancel)(void *arg), void *arg, struct ui_progress *progress);

#endif
