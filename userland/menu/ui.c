// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ui: the few kinds of screen that the menu is made of, on newt.
 *
 * newt draws through S-Lang. Line drawing is switched to plain ASCII after
 * newtInit(), because frames of other characters break on BMC consoles and
 * serial lines. Only a translation (language.h) makes newt draw UTF-8, and then a
 * character may be two columns wide. Windows are placed by hand between the two banner rows at the
 * top and the help row at the bottom. newt itself redraws on Ctrl-L.
 *
 * When the terminal changes its size, the screen's function ends its form, lays
 * the window out anew and runs it again, with what the user had chosen or typed.
 * On a terminal that is too small a sentence stands in its place meanwhile.
 *
 * When the terminal goes away (the serial line hangs up), newt reports an error
 * from each form; there is nobody left to talk to, so the program ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <newt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <slang.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "language.h"
#include "ui.h"
#include "util.h"

#define CTRL_C		0x03
#define MIN_COLS	80
#define MIN_ROWS	24
#define MAX_WIDTH	100	/* inside of a window; longer rows read badly */
#define FIRST_ROW	2	/* below the banner */
#define AGAIN		-2	/* from run_form(): lay out and run it again */
#define HELP		N_("Up/Down, Tab: move   Enter: choose   letter: choose at once   Esc, B: Back")

static char *banner_left, *banner_warning;
static int no_keys[2] = { -1, -1 };
static int resized[2] = { -1, -1 };	/* a byte for each SIGWINCH */
static void (*newt_winch)(int number);

/*
 * The next character of s, of *columns columns; returns its bytes, 0 at the end.
 * What is no character, or has no place on a screen, counts as a byte of a column,
 * and *c is 0.
 */
static int next_char(const char *s, wchar_t *c, int *columns)
{
	mbstate_t state = { 0 };
	size_t n = mbrtowc(c, s, MB_CUR_MAX, &state);

	if (!n)
		return 0;
	*columns = n <= MB_CUR_MAX ? wcwidth(*c) : -1;
	if (*columns > 0)
		return n;
	*c = 0;
	*columns = 1;
	return 1;
}

static int columns_of(const char *s)
{
	int n, columns, sum = 0;
	wchar_t c;

	for (; (n = next_char(s, &c, &columns)); s += n)
		sum += columns;
	return sum;
}

const char *ui_column(const char *s, int width)
{
	static char texts[4][6 * MAX_WIDTH];
	static int which;
	char *text = texts[which++ % ARRAY_SIZE(texts)], *to = text;
	int n, columns, left = width;
	wchar_t c;

	for (; (n = next_char(s, &c, &columns)) && columns <= left; s += n) {
		to = mempcpy(to, s, n);
		left -= columns;
	}
	memset(to, ' ', left);
	to[left] = '\0';
	return text;
}

/* Whatever the terminal might not show becomes a question mark, in place. */
static char *showable(char *s)
{
	int n, columns;
	wchar_t c;

	if (!language_is_foreign())
		return ascii_only(s);
	for (char *p = s; (n = next_char(p, &c, &columns)); p += n)
		if (!c && *p != '\n')
			*p = *p == '\t' ? ' ' : '?';
	return s;
}

static void draw_row(int row, const char *text)
{
	char *padded = xasprintf(" %s", ui_column(text ? text : "", MIN_COLS - 1));

	newtDrawRootText(0, row, padded);
	free(padded);
}

static void draw_banner(void)
{
	draw_row(0, banner_left);
	draw_row(1, translated(banner_warning));
}

/* Columns inside of every window on this terminal. */
static int width(void)
{
	int cols, rows;

	newtGetScreenSize(&cols, &rows);
	cols -= 8;
	return cols < MIN_COLS - 8 ? MIN_COLS - 8 : cols > MAX_WIDTH ? MAX_WIDTH : cols;
}

/* A button's column: at is what it would be in the narrowest window. */
static int column(int at)
{
	return at * width() / (MIN_COLS - 8);
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

/*
 * In the locale C newt neither draws nor reads anything but ASCII. In the other, this
 * program's numbers still look the same.
 */
static int init_newt(void)
{
	char *saved = getenv("LC_ALL");
	int failed;

	saved = saved ? xstrdup(saved) : NULL;
	setenv("LC_ALL", language_is_foreign() ? "C.UTF-8" : "C", 1);
	failed = newtInit();
	if (saved)
		setenv("LC_ALL", saved, 1);
	else
		unsetenv("LC_ALL");
	free(saved);
	return failed;
}

/* newt's own handler gets it out of a wait for a key that no form began. */
static void on_winch(int number)
{
	int saved = errno;

	newt_winch(number);
	if (write(resized[1], "", 1) < 0)
		errno = saved;		/* it is full: there are enough in it */
	errno = saved;
}

/*
 * newt resets the handler at the end of each form (it lets go of a mouse then). A
 * resize that was missed in between is seen by the size itself.
 */
static void watch_size(void)
{
	struct winsize size = { 0 };
	int cols, rows;

	sigaction(SIGWINCH, &(struct sigaction){ .sa_handler = on_winch }, NULL);
	newtGetScreenSize(&cols, &rows);
	/* a serial line knows no size */
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col && size.ws_row &&
	    (size.ws_col != cols || size.ws_row != rows))
		on_winch(SIGWINCH);
}

/* S-Lang chooses the characters of frames here: ASCII, also where it draws UTF-8. */
static void reinit(void)
{
	SLsmg_utf8_enable(0);
	SLsmg_reinit_smg();
	SLsmg_utf8_enable(language_is_foreign());
}

/* newt looks at the new size, but S-Lang goes on drawing in the old one. */
static void read_size(void)
{
	newtResizeScreen(0);
	reinit();
}

static bool too_small(void)
{
	int cols, rows;

	newtGetScreenSize(&cols, &rows);
	return cols < MIN_COLS || rows < MIN_ROWS;
}

/* May a line end before that wide character? */
static bool begins_line(wchar_t c)
{
	return !wcschr(L"，。、；：？！）」》％", c);
}

/*
 * newt breaks lines at blanks only, but between characters of two columns a line may
 * end as well. So the lines of a translation are broken here, and newt finds nothing
 * left to do. To be freed.
 */
static char *wrap(const char *text, int width)
{
	char *out = xrealloc(NULL, 2 * strlen(text) + 1), *to = out;
	const char *end = NULL;		/* where the line may be broken */
	int n, columns, at = 0, before = 1;
	wchar_t c, last = 0;

	if (!language_is_foreign())
		return strcpy(out, text);
	for (const char *from = text, *line = text; ; from += n) {
		n = next_char(from, &c, &columns);
		if (n && *from != '\n') {
			if (from > line && (*from == ' ' || ((columns == 2 || before == 2) &&
							     last != L'「' && last != L'（' &&
							     begins_line(c))))
				end = from;
			at += columns;
			before = columns;
			last = c;
			if (at <= width)
				continue;
			end = end ? end : from > line ? from : from + n;
		} else {
			end = from;
		}
		to = mempcpy(to, line, end - line);
		if (!*end)
			break;
		*to++ = '\n';
		line = end + (*end == ' ' || *end == '\n');
		from = line;
		end = NULL;
		n = at = 0;
	}
	*to = '\0';
	return out;
}

static void say_too_small(void)
{
	int cols, rows, w, h;
	char *text, *wrapped, *flowed;

	newtGetScreenSize(&cols, &rows);
	text = xasprintf(_("%dx%d: too small. Enlarge to %dx%d. Ctrl-C: Back"),
			 cols, rows, MIN_COLS, MIN_ROWS);
	wrapped = wrap(text, cols);
	flowed = newtReflowText(wrapped, cols, 0, 0, &w, &h);
	free(wrapped);
	newtCls();
	h = 0;
	for (char *line = strtok(flowed, "\n"); line; line = strtok(NULL, "\n"))
		newtDrawRootText(0, h++, line);
	newtRefresh();
	free(flowed);
	free(text);
}

static void hung_up(void)
{
	ui_stop();
	exit(EXIT_TERMINAL);
}

/* Until the terminal has grown (true), or the user goes back (false). */
static bool wait_until_large(void)
{
	struct pollfd fds[] = { { STDIN_FILENO, POLLIN, 0 },
				{ resized[0], POLLIN, 0 } };
	char keys[64];
	ssize_t n;

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			hung_up();
		while (read(resized[0], keys, sizeof(keys)) > 0)
			;
		read_size();
		if (!too_small())
			return true;
		say_too_small();
		n = fds[0].revents ? read(STDIN_FILENO, keys, sizeof(keys)) : 1;
		if (n <= 0 && errno != EINTR)
			hung_up();
		if (fds[0].revents && n > 0 &&
		    (memchr(keys, CTRL_C, n) || memchr(keys, NEWT_KEY_ESCAPE, n)))
			return false;
	}
}

/* The ground of every screen, for the size that the terminal has now. */
static void draw_ground(void)
{
	newtCls();
	draw_banner();
	newtRedrawHelpLine();
	/* what a terminal does with its text on a resize is not known */
	SLtt_cls();
	SLsmg_touch_lines(0, SLtt_Screen_Rows);
}

/*
 * Takes note of the terminal's size. False: it is too small, and the user has
 * gone back rather than enlarge it.
 */
static bool take_size(void)
{
	char drop[64];
	bool large = true;

	while (read(resized[0], drop, sizeof(drop)) > 0)
		;
	watch_size();
	read_size();
	if (too_small()) {
		say_too_small();
		large = wait_until_large();
	}
	draw_ground();
	return large;
}

int ui_start(void)
{
	struct sigaction newts;

	/* newtInit() would end the program over an unknown terminal */
	if (SLtt_initialize(NULL) < 0)
		return -1;
	if (no_keys[0] < 0 && pipe2(no_keys, O_CLOEXEC))
		no_keys[0] = -1;
	if ((resized[0] < 0 && pipe2(resized, O_CLOEXEC | O_NONBLOCK)) || init_newt())
		return -1;
	language_locale();
	sigaction(SIGWINCH, NULL, &newts);
	newt_winch = newts.sa_handler;
	SLtt_Has_Alt_Charset = 0;
	reinit();
	set_colors();
	newtPushHelpLine(translated(HELP));
	if (!take_size())
		hung_up();
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
	take_size();
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
	newtOpenWindow(left, top, width(), height, translated(title));
	SLang_TT_Read_FD = keyboard;
}

/* Opens a window for that many rows inside, in the middle of what is free. */
static void open_window(int height, const char *title)
{
	int cols, rows, left, top;

	newtGetScreenSize(&cols, &rows);
	left = (cols - width()) / 2;
	top = FIRST_ROW + 1 + (rows - FIRST_ROW - 4 - height) / 2;
	open_window_at(left < 1 ? 1 : left,
		       top < FIRST_ROW + 1 ? FIRST_ROW + 1 : top,
		       height, title);
}

static int max_height(void)
{
	int cols, rows;

	newtGetScreenSize(&cols, &rows);
	return (rows < MIN_ROWS ? MIN_ROWS : rows) - FIRST_ROW - 4;
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
	newtFormWatchFd(form, resized[0], NEWT_FD_READ);
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

/*
 * Runs the form; UI_BACK for the keys that go back, AGAIN after a resize, else
 * the hot key or 0.
 */
static int run_form(newtComponent form, struct newtExitStruct *es)
{
	watch_size();
	es->reason = NEWT_EXIT_HOTKEY;
	es->u.key = take_kept_key();
	if (!es->u.key)
		newtFormRun(form, es);
	keep_buffered_key();
	if (es->reason == NEWT_EXIT_ERROR)
		hung_up();
	if (es->reason == NEWT_EXIT_FDREADY)
		return AGAIN;
	if (es->reason != NEWT_EXIT_HOTKEY)
		return 0;
	if (es->u.key == NEWT_KEY_ESCAPE || es->u.key == CTRL_C ||
	    es->u.key == NEWT_KEY_F12 || es->u.key == 'b' || es->u.key == 'B')
		return UI_BACK;
	return es->u.key;
}

/*
 * Takes the form away. True: run_form() said AGAIN, and the screen is to be made
 * anew; *key becomes UI_BACK instead when the user went back on a small terminal.
 */
static bool close_form(newtComponent form, int *key)
{
	newtFormDestroy(form);
	newtPopWindowNoRefresh();
	if (*key != AGAIN)
		return false;
	if (take_size())
		return true;
	*key = UI_BACK;
	return false;
}

/* Adds the text at the top of the window; returns the rows it takes. */
static int reflow(const char *text, char **out)
{
	char *wrapped = wrap(translated(text), width() - 4);
	int w, h;

	*out = newtReflowText(wrapped, width() - 4, 0, 0, &w, &h);
	free(wrapped);
	return h;
}

static void add_text(newtComponent form, const char *flowed, int height,
		     int flags)
{
	newtComponent box = newtTextbox(2, 1, width() - 4, height, flags);

	newtTextboxSetText(box, flowed);
	newtFormAddComponent(form, box);
}

void ui_menu_add(struct ui_menu *menu, int key, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = xvasprintf(translated(fmt), ap);
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

	newtListboxSetWidth(list, width() - 4);
	for (int i = 0; i < menu->n; i++) {
		int key = menu->items[i].key;
		char *row = xasprintf("%c  %s", key >= 'a' && key <= 'z' ?
				      key - 'a' + 'A' : key ? key : ' ',
				      menu->items[i].text);

		newtListboxAppendEntry(list, ui_column(showable(row), width() - 7),
				       (void *)(long)(i + 1));
		free(row);
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

static int menu_answer(struct ui_menu *menu, int key,
		       const struct newtExitStruct *es, newtComponent list,
		       newtComponent back)
{
	long at = (long)newtListboxGetCurrent(list) - 1;

	menu->at = at < 0 ? 0 : (int)at;
	if (key < 0)
		return key;
	if (key) {
		int i = menu_by_key(menu, key);

		if (i >= 0)
			menu->at = i;
		return i;
	}
	if (es->reason == NEWT_EXIT_TIMER)
		return UI_TIMEOUT;
	if (es->u.co == back || at < 0)
		return UI_BACK;
	return (int)at;
}

/* Shows the menu once. True: the terminal's size changed, so show it again. */
static bool menu_once(struct ui_menu *menu, int *answer)
{
	struct newtExitStruct es;
	newtComponent form, list, select, back;
	int height, text_height = 0, key, margin = 4;
	char *flowed = NULL;
	bool again;

	if (menu->text)
		text_height = reflow(menu->text, &flowed) + 1;
	if (menu->n > max_height() - text_height - margin)
		margin--;		/* without the empty row at the end */
	height = max_height() - text_height - margin;
	if (height > menu->n)
		height = menu->n;
	if (height < 1)
		height = 1;
	open_window(text_height + height + margin, menu->title);
	form = new_form(true);
	if (flowed)
		add_text(form, flowed, text_height - 1, 0);
	list = menu_list(menu, form, text_height + 1, height);
	select = newtCompactButton(column(18), text_height + height + 2, _("Select"));
	back = newtCompactButton(column(42), text_height + height + 2,
				 menu->back ? translated(menu->back) : _("Back"));
	newtFormAddComponents(form, select, back, NULL);
	if (menu->refresh_ms)
		newtFormSetTimer(form, menu->refresh_ms);
	key = run_menu(menu, form, &es);
	*answer = menu_answer(menu, key, &es, list, back);
	again = close_form(form, &key);
	free(flowed);
	if (!again && key == UI_BACK)
		*answer = UI_BACK;
	return again;
}

int ui_menu(struct ui_menu *menu)
{
	int answer;

	while (menu_once(menu, &answer))
		;
	return answer;
}

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

struct input {
	char *typed;
	int flags;		/* more of newt's for the field */
	bool touched, done;
};

static bool input_once(const char *title, const char *text, struct input *in)
{
	newtComponent form, entry, ok, back;
	struct newtExitStruct es;
	char *flowed;
	int h = reflow(text, &flowed);
	int key;
	bool again;

	open_window(h + 6, title);
	form = new_form(false);
	add_text(form, flowed, h, 0);
	entry = newtEntry(2, h + 2, in->typed, width() - 4, NULL,
			  NEWT_FLAG_SCROLL | NEWT_FLAG_RETURNEXIT | in->flags);
	newtEntrySet(entry, in->typed, 1);
	newtEntrySetFilter(entry, input_filter, &in->touched);
	ok = newtCompactButton(column(20), h + 4, _("OK"));
	back = newtCompactButton(column(42), h + 4, _("Back"));
	newtFormAddComponents(form, entry, ok, back, NULL);
	key = run_form(form, &es);
	in->done = key == 0 && es.u.co != back;
	free(in->typed);
	in->typed = xstrdup(newtEntryGetValue(entry));
	again = close_form(form, &key);
	free(flowed);
	return again;
}

static bool input(const char *title, const char *text, char **value, int flags)
{
	struct input in = { .typed = xstrdup(*value), .flags = flags };

	while (input_once(title, text, &in))
		;
	if (in.done) {
		free(*value);
		*value = trim(in.typed);
	} else {
		free(in.typed);
	}
	return in.done;
}

bool ui_input(const char *title, const char *text, char **value)
{
	return input(title, text, value, 0);
}

bool ui_password(const char *title, const char *text, char **value)
{
	return input(title, text, value, NEWT_FLAG_PASSWORD);
}

char *ui_new_password(const char *title, const char *text,
		      const char *(*check)(const char *value))
{
	const char *problem;
	char *first, *again;
	bool typed;

	for (;;) {
		first = xstrdup("");
		again = xstrdup("");
		typed = ui_password(title, text, &first);
		problem = typed ? check(first) : NULL;
		if (typed && !problem) {
			typed = ui_password(title, _("The same once more."), &again);
			if (typed && strcmp(first, again))
				problem = _("The two differ. Type them again.");
		}
		explicit_bzero(again, strlen(again));
		free(again);
		if (typed && !problem)
			return first;
		explicit_bzero(first, strlen(first));
		free(first);
		if (!typed)
			return NULL;
		ui_message(title, "%s", problem);
	}
}

bool ui_ask(const char *title, const char *text, char **value,
	    const char *(*check)(const char *value, void *data), void *data)
{
	char *typed = xstrdup(*value);
	const char *problem;

	while (ui_input(title, text, &typed)) {
		problem = check(typed, data);
		if (!problem) {
			free(*value);
			*value = typed;
			return true;
		}
		ui_message(title, "%s", problem);
	}
	free(typed);
	return false;
}

static void add_more_hint(newtComponent form, int row)
{
	newtFormAddComponent(form, newtLabel(2, row, _("Up/Down: more")));
}

static bool ask_once(const char *title, const char *text, const char *yes,
		     const char *no, bool *answer)
{
	newtComponent form, first = NULL, last;
	struct newtExitStruct es;
	char *flowed;
	int h = reflow(text, &flowed), max = max_height() - 4, key;
	bool scroll = h > max, again;

	if (scroll)
		h = max;
	open_window(h + 4, title);
	form = new_form(true);
	add_text(form, flowed, h, scroll ? NEWT_FLAG_SCROLL : 0);
	if (yes) {
		first = newtCompactButton(column(17), h + 2, yes);
		add_letter(form, 'y');
	} else if (scroll) {
		add_hotkey(form, '\r');
	}
	add_letter(form, 'n');
	last = newtCompactButton(column(yes ? 50 : 31), h + 2, no);
	newtFormAddComponent(form, last);
	if (first)
		newtFormAddComponent(form, first);
	if (scroll)
		add_more_hint(form, h + 2);
	key = run_form(form, &es);
	*answer = key == 'y' || key == 'Y' || (key == 0 && first && es.u.co == first);
	again = close_form(form, &key);
	free(flowed);
	return again;
}

/* A window with the text and one or two buttons; true for the first one. */
static bool ask(const char *title, const char *text, const char *yes,
		const char *no)
{
	bool answer;

	while (ask_once(title, text, yes, no, &answer))
		;
	return answer;
}

void ui_message(const char *title, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = showable(xvasprintf(translated(fmt), ap));
	va_end(ap);
	ask(title, text, NULL, _("Back"));
	free(text);
}

bool ui_confirm(const char *title, const char *yes, const char *fmt, ...)
{
	char *label = xasprintf("Y  %s", translated(yes));
	va_list ap;
	char *text;
	bool answer;

	va_start(ap, fmt);
	text = showable(xvasprintf(translated(fmt), ap));
	va_end(ap);
	answer = ask(title, text, label, _("N  Back"));
	free(text);
	free(label);
	return answer;
}

static bool view_once(const char *title, const char *text)
{
	newtComponent form, back;
	struct newtExitStruct es;
	char *flowed;
	int h = reflow(text, &flowed), max = max_height() - 4, key;
	bool scroll = h > max, again;

	if (scroll)
		h = max;
	open_window(h + 4, title);
	form = new_form(true);
	add_hotkey(form, '\r');
	add_text(form, flowed, h, scroll ? NEWT_FLAG_SCROLL : 0);
	back = newtCompactButton(column(31), h + 2, _("Back"));
	newtFormAddComponent(form, back);
	if (scroll)
		add_more_hint(form, h + 2);
	key = run_form(form, &es);
	again = close_form(form, &key);
	free(flowed);
	return again;
}

void ui_view(const char *title, const char *text)
{
	char *clean = showable(xstrdup(text));

	while (view_once(title, clean))
		;
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
	struct ui_progress *progress;	/* NULL: nobody knows how much is left */
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

/*
 * The bar: how much is done or, when nobody knows, a mark that runs to and fro;
 * below it the seconds that went by.
 */
static void busy_tick(newtComponent bar, newtComponent label,
		      const struct ui_progress *p, int tick)
{
	unsigned long long total = p ? p->total : 0, done = p ? p->done : 0;
	char text[MAX_WIDTH], elapsed[64];
	int n = width() - 5, span = n - 5, at = tick % (2 * span);

	memset(text, '.', n);
	text[n] = '\0';
	if (total) {
		done = done > total ? total : done;
		memset(text, '=', done * n / total);
		snprintf(elapsed, sizeof(elapsed), _("%3u%%   %d seconds"),
			 (unsigned int)(done * 100 / total), tick / 4);
	} else {
		memcpy(text + (at < span ? at : 2 * span - at), "=====", 5);
		snprintf(elapsed, sizeof(elapsed), _("%d seconds"), tick / 4);
	}
	newtLabelSetText(bar, text);
	newtLabelSetText(label, elapsed);
}

/*
 * Until the work is done or the user leaves. True: the terminal's size changed.
 */
static bool busy_once(struct busy *b, const char *title, const char *text,
		      const char *button, int *tick, int *key)
{
	newtComponent form, bar, label, leave;
	struct newtExitStruct es = { .reason = NEWT_EXIT_TIMER };
	char *flowed;
	int h = reflow(text, &flowed);
	bool again;

	open_window(h + 8, title);
	form = new_form(true);
	add_text(form, flowed, h, 0);
	bar = newtLabel(2, h + 2, "");
	label = newtLabel(2, h + 4, "");
	newtFormAddComponents(form, bar, label, NULL);
	leave = newtCompactButton((width() - columns_of(button) - 2) / 2, h + 6,
				  button);
	newtFormAddComponent(form, leave);
	newtFormSetTimer(form, 250);
	for (*key = 0; *key == 0 && es.reason == NEWT_EXIT_TIMER && !busy_done(b);
	     ++*tick) {
		busy_tick(bar, label, b->progress, *tick);
		*key = run_form(form, &es);
	}
	if (*key == 0 && es.reason != NEWT_EXIT_TIMER)
		*key = UI_BACK;		/* the button */
	again = close_form(form, key);
	free(flowed);
	return again;
}

/* True: the user left. */
static bool busy_show(struct busy *b, const char *title, const char *text,
		      const char *button, int *tick)
{
	int key;

	while (busy_once(b, title, text, button, tick, &key))
		;
	return key == UI_BACK;
}

static struct busy *busy_start(void (*work)(void *arg), void (*discard)(void *arg),
			       void *arg, struct ui_progress *progress)
{
	struct busy *b = xrealloc(NULL, sizeof(*b));
	pthread_t thread;

	*b = (struct busy){ .work = work, .discard = discard, .arg = arg,
			    .progress = progress };
	pthread_mutex_init(&b->lock, NULL);
	if (!pthread_create(&thread, NULL, busy_thread, b)) {
		pthread_detach(thread);
		return b;
	}
	work(arg);
	b->done = true;
	return b;
}

bool ui_busy(const char *title, const char *text, void (*work)(void *arg),
	     void (*discard)(void *arg), void *arg)
{
	struct busy *b = busy_start(work, discard, arg, NULL);
	int tick = 0;

	for (int i = 0; i < 40 && !busy_done(b); i++)	/* a second */
		busy_sleep();
	if (!busy_done(b))
		busy_show(b, title, text, _("Back, without waiting"), &tick);
	if (!busy_set(b, &b->left, &b->done))
		return false;
	free(b);
	return true;
}

void ui_work(const char *title, const char *text, void (*work)(void *arg),
	     void (*cancel)(void *arg), void *arg, struct ui_progress *progress)
{
	struct busy *b = busy_start(work, NULL, arg, progress);
	int tick = 0;

	while (!busy_done(b)) {
		if (!busy_show(b, title, text, progress->cancel ?
			       _("Being cancelled") : _("Cancel"), &tick))
			continue;
		if (!progress->cancel) {
			progress->cancel = true;
			if (cancel)
				cancel(arg);
		}
	}
	busy_set(b, &b->left, &b->done);
	free(b);
}
