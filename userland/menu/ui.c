// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ui: the few kinds of screen that the menu is made of, on newt.
 *
 * newt draws through S-Lang. Line drawing is switched to plain ASCII after
 * newtInit(), because frames of other characters break on BMC consoles and
 * serial lines. Windows are placed by hand between the two banner rows at the
 * top and the help row at the bottom. newt itself redraws on a resize and on
 * Ctrl-L.
 *
 * When the terminal goes away (the serial line hangs up), newt reports an error
 * from each form; there is nobody left to talk to, so the program ends.
 */
#include <fcntl.h>
#include <newt.h>
#include <poll.h>
#include <pthread.h>
#include <slang.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ui.h"
#include "util.h"

#define CTRL_C		0x03
#define WIDTH		72	/* inside of every window */
#define FIRST_ROW	2	/* below the banner */
#define HELP		"Up/Down, Tab: move   Enter: choose   letter: choose at once   Esc, B: Back"

static char *banner_left, *banner_warning;
static int no_keys[2] = { -1, -1 };

static void draw_banner(void)
{
	char row[81];

	snprintf(row, sizeof(row), " %-79s", banner_left ? banner_left : "");
	newtDrawRootText(0, 0, row);
	snprintf(row, sizeof(row), " %-79s",
		 banner_warning ? banner_warning : "");
	newtDrawRootText(0, 1, row);
}

void ui_set_banner(const char *left, const char *warning)
{
	free(banner_left);
	free(banner_warning);
	banner_left = left ? xstrdup(left) : NULL;
	banner_warning = warning ? xstrdup(warning) : NULL;
	draw_banner();
}

const char *ui_warning(void)
{
	return banner_warning;
}

/* Blue ground, grey windows: what S-Lang also shows well in two colours. */
static void set_colors(void)
{
	static const struct { int set; char *fg, *bg; } colors[] = {
		{ NEWT_COLORSET_ROOT, "white", "blue" },
		{ NEWT_COLORSET_ROOTTEXT, "white", "blue" },
		{ NEWT_COLORSET_HELPLINE, "white", "blue" },
		{ NEWT_COLORSET_BORDER, "black", "lightgray" },
		{ NEWT_COLORSET_WINDOW, "black", "lightgray" },
		{ NEWT_COLORSET_TITLE, "blue", "lightgray" },
		{ NEWT_COLORSET_SHADOW, "black", "black" },
		{ NEWT_COLORSET_LISTBOX, "black", "lightgray" },
		{ NEWT_COLORSET_ACTLISTBOX, "black", "cyan" },
		{ NEWT_COLORSET_ACTSELLISTBOX, "white", "blue" },
		{ NEWT_COLORSET_ENTRY, "white", "blue" },
		{ NEWT_COLORSET_COMPACTBUTTON, "black", "lightgray" },
		{ NEWT_COLORSET_BUTTON, "white", "blue" },
		{ NEWT_COLORSET_ACTBUTTON, "white", "blue" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(colors); i++)
		newtSetColor(colors[i].set, colors[i].fg, colors[i].bg);
}

/* In the locale C newt neither draws nor reads anything but ASCII. */
static int init_newt(void)
{
	char *saved = getenv("LC_ALL");
	int failed;

	saved = saved ? xstrdup(saved) : NULL;
	setenv("LC_ALL", "C", 1);
	failed = newtInit();
	if (saved)
		setenv("LC_ALL", saved, 1);
	else
		unsetenv("LC_ALL");
	free(saved);
	return failed;
}

int ui_start(void)
{
	/* newtInit() would end the program over an unknown terminal */
	if (SLtt_initialize(NULL) < 0)
		return -1;
	if (pipe2(no_keys, O_CLOEXEC))
		no_keys[0] = -1;
	if (init_newt())
		return -1;
	SLtt_Has_Alt_Charset = 0;
	SLsmg_reinit_smg();
	set_colors();
	newtCls();
	newtPushHelpLine(HELP);
	draw_banner();
	return 0;
}

void ui_stop(void)
{
	newtFinished();
}

void ui_suspend(void)
{
	newtSuspend();
}

void ui_resume(void)
{
	newtResume();
	newtResizeScreen(1);
	SLsmg_touch_lines(0, SLtt_Screen_Rows);
	newtRefresh();
}

/*
 * newtOpenWindow() throws away keys that wait to be read. On a slow line, and for
 * a script, they are meant for the screen that comes next, so it is shown an
 * empty pipe meanwhile.
 */
static void open_window_at(int left, int top, int height, const char *title)
{
	int keyboard = SLang_TT_Read_FD;

	if (no_keys[0] >= 0)
		SLang_TT_Read_FD = no_keys[0];
	newtOpenWindow(left, top, WIDTH, height, title);
	SLang_TT_Read_FD = keyboard;
}

/* Opens a window for that many rows inside, in the middle of what is free. */
static void open_window(int height, const char *title)
{
	int cols, rows, left, top;

	newtGetScreenSize(&cols, &rows);
	left = (cols - WIDTH) / 2;
	top = FIRST_ROW + 1 + (rows - FIRST_ROW - 4 - height) / 2;
	open_window_at(left < 1 ? 1 : left,
		       top < FIRST_ROW + 1 ? FIRST_ROW + 1 : top,
		       height, title);
}

static int max_height(void)
{
	int cols, rows;

	newtGetScreenSize(&cols, &rows);
	return (rows < 24 ? 24 : rows) - FIRST_ROW - 4;
}

/* The keys that end the form on the screen. */
static int hotkeys[128];
static int n_hotkeys;

static void add_hotkey(newtComponent form, int key)
{
	newtFormAddHotKey(form, key);
	if (n_hotkeys < (int)ARRAY_SIZE(hotkeys))
		hotkeys[n_hotkeys++] = key;
}

static void add_letter(newtComponent form, int key)
{
	add_hotkey(form, key);
	if (key >= 'a' && key <= 'z')
		add_hotkey(form, key - 'a' + 'A');
}

/* With letters, B goes back too; an input field wants that letter itself. */
static newtComponent new_form(bool letters)
{
	newtComponent form = newtForm(NULL, NULL, 0);

	n_hotkeys = 0;
	add_hotkey(form, NEWT_KEY_ESCAPE);
	add_hotkey(form, CTRL_C);
	if (letters)
		add_letter(form, 'b');
	return form;
}

/*
 * After Esc newt waits half a second for the rest of an escape sequence. A key
 * that comes meanwhile and is none goes back to S-Lang's buffer, where newt's
 * select() does not see it until yet another key comes. So it is kept here when
 * a form ends, and given to the next one.
 */
static int kept_key;

static void keep_buffered_key(void)
{
	int keyboard = SLang_TT_Read_FD;

	if (no_keys[0] < 0)
		return;
	SLang_TT_Read_FD = no_keys[0];
	if (SLang_input_pending(0))
		kept_key = SLang_getkey();
	SLang_TT_Read_FD = keyboard;
}

/* The kept key if it ends this form. An Esc may begin a sequence: newt's task. */
static int take_kept_key(void)
{
	struct pollfd more = { STDIN_FILENO, POLLIN, 0 };
	int key = kept_key;

	kept_key = 0;
	if (key == NEWT_KEY_ESCAPE && poll(&more, 1, 100) > 0) {
		SLang_ungetkey(key);
		return 0;
	}
	for (int i = 0; i < n_hotkeys; i++)
		if (hotkeys[i] == key)
			return key;
	return 0;
}

/* Runs the form; -1 for the keys that go back, else the hot key or 0. */
static int run_form(newtComponent form, struct newtExitStruct *es)
{
	es->reason = NEWT_EXIT_HOTKEY;
	es->u.key = take_kept_key();
	if (!es->u.key)
		newtFormRun(form, es);
	keep_buffered_key();
	if (es->reason == NEWT_EXIT_ERROR) {
		ui_stop();
		exit(EXIT_TERMINAL);
	}
	if (es->reason != NEWT_EXIT_HOTKEY)
		return 0;
	if (es->u.key == NEWT_KEY_ESCAPE || es->u.key == CTRL_C ||
	    es->u.key == NEWT_KEY_F12 || es->u.key == 'b' || es->u.key == 'B')
		return -1;
	return es->u.key;
}

static void close_form(newtComponent form)
{
	newtFormDestroy(form);
	newtPopWindowNoRefresh();
}

/* Adds the text at the top of the window; returns the rows it takes. */
static int reflow(const char *text, char **out)
{
	int w, h;

	*out = newtReflowText((char *)text, WIDTH - 4, 0, 0, &w, &h);
	return h;
}

static void add_text(newtComponent form, const char *flowed, int height,
		     int flags)
{
	newtComponent box = newtTextbox(2, 1, WIDTH - 4, height, flags);

	newtTextboxSetText(box, flowed);
	newtFormAddComponent(form, box);
}

void ui_menu_add(struct ui_menu *menu, int key, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	menu->items = xrealloc(menu->items,
			       (menu->n + 1) * sizeof(*menu->items));
	menu->items[menu->n].key = key;
	menu->items[menu->n].text = text;
	menu->n++;
}

void ui_menu_clear(struct ui_menu *menu)
{
	for (int i = 0; i < menu->n; i++)
		free(menu->items[i].text);
	free(menu->items);
	menu->items = NULL;
	menu->n = 0;
}

static newtComponent menu_list(struct ui_menu *menu, newtComponent form,
			       int top, int height)
{
	newtComponent list = newtListbox(2, top, height, NEWT_FLAG_RETURNEXIT |
					 (menu->n > height ? NEWT_FLAG_SCROLL : 0));

	newtListboxSetWidth(list, WIDTH - 4);
	for (int i = 0; i < menu->n; i++) {
		char row[WIDTH];
		int key = menu->items[i].key;

		snprintf(row, WIDTH - 6, "%c  %s",
			 key >= 'a' && key <= 'z' ? key - 'a' + 'A' : key ? key : ' ',
			 menu->items[i].text);
		ascii_only(row);
		newtListboxAppendEntry(list, row, (void *)(long)(i + 1));
		if (key)
			add_letter(form, key);
	}
	if (menu->at >= menu->n)
		menu->at = menu->n ? menu->n - 1 : 0;
	newtListboxSetCurrent(list, menu->at);
	newtFormAddComponent(form, list);
	return list;
}

static int menu_by_key(const struct ui_menu *menu, int key)
{
	if (key >= 'A' && key <= 'Z')
		key += 'a' - 'A';
	for (int i = 0; i < menu->n; i++)
		if (menu->items[i].key == key)
			return i;
	return UI_BACK;
}

static int run_menu(const struct ui_menu *menu, newtComponent form,
		    struct newtExitStruct *es)
{
	int key;

	do {
		key = run_form(form, es);
	} while (!key && es->reason == NEWT_EXIT_TIMER && menu->holds && menu->holds(menu));
	return key;
}

static int menu_answer(struct ui_menu *menu, newtComponent form,
		       newtComponent list, newtComponent back)
{
	struct newtExitStruct es;
	int key = run_menu(menu, form, &es);
	long at = (long)newtListboxGetCurrent(list) - 1;

	menu->at = at < 0 ? 0 : (int)at;
	if (key < 0)
		return UI_BACK;
	if (key) {
		int i = menu_by_key(menu, key);

		if (i >= 0)
			menu->at = i;
		return i;
	}
	if (es.reason == NEWT_EXIT_TIMER)
		return UI_TIMEOUT;
	if (es.u.co == back || at < 0)
		return UI_BACK;
	return (int)at;
}

int ui_menu(struct ui_menu *menu)
{
	newtComponent form, list, select, back;
	int height, text_height = 0, answer;
	char *flowed = NULL;

	if (menu->text)
		text_height = reflow(menu->text, &flowed) + 1;
	height = max_height() - text_height - 4;
	if (height > menu->n)
		height = menu->n;
	if (height < 1)
		height = 1;
	open_window(text_height + height + 4, menu->title);
	form = new_form(true);
	if (flowed)
		add_text(form, flowed, text_height - 1, 0);
	list = menu_list(menu, form, text_height + 1, height);
	select = newtCompactButton(18, text_height + height + 2, "Select");
	back = newtCompactButton(42, text_height + height + 2,
				 menu->back ? menu->back : "Back");
	newtFormAddComponents(form, select, back, NULL);
	if (menu->refresh_ms)
		newtFormSetTimer(form, menu->refresh_ms);
	answer = menu_answer(menu, form, list, back);
	close_form(form);
	free(flowed);
	return answer;
}

static int hide_input;		/* NEWT_FLAG_PASSWORD for the next input field */

/* The first printable key replaces the value that was there. */
static int input_filter(newtComponent entry, void *data, int ch, int cursor)
{
	bool *touched = data;

	(void)cursor;
	if (ch >= 0x80 && ch < NEWT_KEY_EXTRA_BASE)
		return 0;
	if (!*touched && ch >= ' ' && ch < 0x7f)
		newtEntrySet(entry, "", 1);
	*touched = true;
	return ch;
}

bool ui_input(const char *title, const char *text, char **value)
{
	newtComponent form, entry, ok, back;
	struct newtExitStruct es;
	bool touched = false, done;
	char *flowed;
	int h = reflow(text, &flowed);
	int key;

	open_window(h + 6, title);
	form = new_form(false);
	add_text(form, flowed, h, 0);
	entry = newtEntry(2, h + 2, *value, WIDTH - 4, NULL,
			  NEWT_FLAG_SCROLL | NEWT_FLAG_RETURNEXIT | hide_input);
	newtEntrySet(entry, *value, 1);
	newtEntrySetFilter(entry, input_filter, &touched);
	ok = newtCompactButton(20, h + 4, "OK");
	back = newtCompactButton(42, h + 4, "Back");
	newtFormAddComponents(form, entry, ok, back, NULL);
	key = run_form(form, &es);
	done = key == 0 && es.u.co != back;
	if (done) {
		free(*value);
		*value = trim(xstrdup(newtEntryGetValue(entry)));
	}
	close_form(form);
	free(flowed);
	return done;
}

bool ui_password(const char *title, const char *text, char **value)
{
	bool done;

	hide_input = NEWT_FLAG_PASSWORD;
	done = ui_input(title, text, value);
	hide_input = 0;
	return done;
}

static void add_more_hint(newtComponent form, int row)
{
	newtFormAddComponent(form, newtLabel(2, row, "Up/Down: more"));
}

/* A window with the text and one or two buttons; true for the first one. */
static bool ask(const char *title, const char *text, const char *yes,
		const char *no)
{
	newtComponent form, first = NULL, last;
	struct newtExitStruct es;
	char *flowed;
	int h = reflow(text, &flowed), max = max_height() - 4, key;
	bool answer, scroll = h > max;

	if (scroll)
		h = max;
	open_window(h + 4, title);
	form = new_form(true);
	add_text(form, flowed, h, scroll ? NEWT_FLAG_SCROLL : 0);
	if (yes) {
		first = newtCompactButton(17, h + 2, yes);
		add_letter(form, 'y');
	} else if (scroll) {
		add_hotkey(form, '\r');
	}
	add_letter(form, 'n');
	last = newtCompactButton(yes ? 50 : 31, h + 2, no);
	newtFormAddComponent(form, last);
	if (first)
		newtFormAddComponent(form, first);
	if (scroll)
		add_more_hint(form, h + 2);
	key = run_form(form, &es);
	answer = key == 'y' || key == 'Y' || (key == 0 && first && es.u.co == first);
	close_form(form);
	free(flowed);
	return answer;
}

void ui_message(const char *title, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = ascii_only(xvasprintf(fmt, ap));
	va_end(ap);
	ask(title, text, NULL, "Back");
	free(text);
}

bool ui_confirm(const char *title, const char *yes, const char *fmt, ...)
{
	char *label = xasprintf("Y  %s", yes);
	va_list ap;
	char *text;
	bool answer;

	va_start(ap, fmt);
	text = ascii_only(xvasprintf(fmt, ap));
	va_end(ap);
	answer = ask(title, text, label, "N  Back");
	free(text);
	free(label);
	return answer;
}

void ui_view(const char *title, const char *text)
{
	newtComponent form, back;
	struct newtExitStruct es;
	char *clean = ascii_only(xstrdup(text)), *flowed;
	int h = reflow(clean, &flowed), max = max_height() - 4;
	bool scroll = h > max;

	if (scroll)
		h = max;
	open_window(h + 4, title);
	form = new_form(true);
	add_hotkey(form, '\r');
	add_text(form, flowed, h, scroll ? NEWT_FLAG_SCROLL : 0);
	back = newtCompactButton(31, h + 2, "Back");
	newtFormAddComponent(form, back);
	if (scroll)
		add_more_hint(form, h + 2);
	run_form(form, &es);
	close_form(form);
	free(flowed);
	free(clean);
}

/*
 * A wait, shared by the thread that works and the one that watches. Whoever
 * comes last frees it.
 */
struct busy {
	void (*work)(void *arg);
	void (*discard)(void *arg);
	void *arg;
	pthread_mutex_t lock;	/* guards done and left */
	bool done, left;
};

static bool busy_set(struct busy *b, bool *mine, const bool *other)
{
	bool last;

	pthread_mutex_lock(&b->lock);
	*mine = true;
	last = *other;
	pthread_mutex_unlock(&b->lock);
	return last;
}

static bool busy_done(struct busy *b)
{
	bool done;

	pthread_mutex_lock(&b->lock);
	done = b->done;
	pthread_mutex_unlock(&b->lock);
	return done;
}

static void *busy_thread(void *data)
{
	struct busy *b = data;

	b->work(b->arg);
	if (busy_set(b, &b->done, &b->left)) {
		b->discard(b->arg);
		free(b);
	}
	return NULL;
}

static void busy_sleep(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 25000000 }, NULL);
}

/* The work has no known end, so a mark runs to and fro and the seconds count. */
static void busy_tick(newtComponent bar, newtComponent label, int tick)
{
	char text[WIDTH - 3], elapsed[64];
	int span = WIDTH - 10, at = tick % (2 * span);

	memset(text, '.', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text + (at < span ? at : 2 * span - at), "=====", 5);
	newtLabelSetText(bar, text);
	snprintf(elapsed, sizeof(elapsed), "%d seconds", tick / 4);
	newtLabelSetText(label, elapsed);
}

/* Until the work is done or the user leaves. */
static void busy_show(struct busy *b, const char *title, const char *text)
{
	newtComponent form, bar, label, leave;
	struct newtExitStruct es = { .reason = NEWT_EXIT_TIMER };
	char *flowed;
	int h = reflow(text, &flowed), key = 0;

	open_window(h + 8, title);
	form = new_form(true);
	add_text(form, flowed, h, 0);
	bar = newtLabel(2, h + 2, "");
	label = newtLabel(2, h + 4, "");
	leave = newtCompactButton(21, h + 6, "Back, without waiting");
	newtFormAddComponents(form, bar, label, leave, NULL);
	newtFormSetTimer(form, 250);
	for (int tick = 0; key >= 0 && es.reason == NEWT_EXIT_TIMER &&
	     !busy_done(b); tick++) {
		busy_tick(bar, label, tick);
		key = run_form(form, &es);
	}
	close_form(form);
	free(flowed);
}

bool ui_busy(const char *title, const char *text, void (*work)(void *arg),
	     void (*discard)(void *arg), void *arg)
{
	struct busy *b = xrealloc(NULL, sizeof(*b));
	pthread_t thread;

	*b = (struct busy){ .work = work, .discard = discard, .arg = arg };
	pthread_mutex_init(&b->lock, NULL);
	if (pthread_create(&thread, NULL, busy_thread, b)) {
		work(arg);
		free(b);
		return true;
	}
	pthread_detach(thread);
	for (int i = 0; i < 16 && !busy_done(b); i++)
		busy_sleep();
	if (!busy_done(b))
		busy_show(b, title, text);
	if (!busy_set(b, &b->left, &b->done))
		return false;
	free(b);
	return true;
}
