/* SPDX-License-Identifier: Apache-2.0 */
/* Draws on a terminal in place. */
#include "services/cli/screen.h"

#include "common/base/buf.h"
#include "common/base/str.h"

#include <errno.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FRAME_MAX ((size_t)1 << 20)

struct screen {
	FILE *f;
	char *last; /* the picture on the screen */
	int lines, width;
	bool open;
};

struct screen *screen_open(FILE *f)
{
	const char *term = getenv("TERM"); /* NOLINT(concurrency-mt-unsafe) */
	if (!isatty(fileno(f)) || !term || !*term || str_eq(term, "dumb"))
		return NULL;
	struct screen *s = loom_calloc(1, sizeof(*s));
	s->f = f;
	s->last = loom_strdup("");
	return s;
}

void screen_size_of(int fd, int *ret_width, int *ret_height)
{
	struct winsize ws = { 0 };
	bool known = ioctl(fd, TIOCGWINSZ, &ws) == 0 && ws.ws_col && ws.ws_row;
	*ret_width = known ? ws.ws_col : 80;
	*ret_height = known ? ws.ws_row : 24;
}

void screen_size(const struct screen *s, int *ret_width, int *ret_height)
{
	screen_size_of(fileno(s->f), ret_width, ret_height);
}

int screen_draw(struct screen *s, const char *text, int lines)
{
	int width, height;
	screen_size(s, &width, &height);
	if (s->open && width == s->width && str_eq(text, s->last))
		return 0;
	struct buf b = BUF_INIT(FRAME_MAX);
	if (!s->open)
		buf_adds(&b, "\033[?25l");
	if (s->lines)
		buf_addf(&b, "\r\033[%dA", s->lines);
	for (const char *at = text; *at;) {
		size_t n = strcspn(at, "\n");
		buf_add(&b, at, n);
		buf_adds(&b, "\033[K");
		at += n;
		if (*at)
			buf_addc(&b, *at++);
	}
	buf_adds(&b, "\033[J");
	s->open = true;
	s->lines = lines;
	s->width = width;
	loom_free(s->last);
	s->last = loom_strdup(text);
	size_t written = fwrite(buf_str(&b), 1, b.len, s->f);
	bool whole = written == b.len && fflush(s->f) == 0;
	buf_fini(&b);
	return whole ? 0 : -EIO;
}

void screen_close(struct screen *s)
{
	if (!s->open)
		return;
	s->open = false;
	fputs("\033[?25h", s->f);
	fflush(s->f);
}

void screen_destroy(struct screen *s)
{
	if (!s)
		return;
	screen_close(s);
	loom_free(s->last);
	loom_free(s);
}

bool screen_utf8(void)
{
	return str_eq(nl_langinfo(CODESET), "UTF-8"); /* NOLINT(concurrency-mt-unsafe) */
}

bool screen_color(void)
{
	const char *no = getenv("NO_COLOR"); /* NOLINT(concurrency-mt-unsafe) */
	const char *term = getenv("TERM");   /* NOLINT(concurrency-mt-unsafe) */
	return (!no || !*no) && !str_eq(term, "dumb");
}
