/* SPDX-License-Identifier: Apache-2.0 */
/* Draws the view of a watched cluster. */
#include "services/cli/render.h"

#include "services/cli/hosts.h"
#include "services/cli/table.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define MIN_WIDTH      20
#define SHOWN_FAILURES 3
#define COUNT_WIDTH    7
#define TIME_WIDTH     7

enum style { PLAIN, BOLD, DIM, GOOD, BAD, WARN, BUSY };
static const char *const codes[] = {
	[PLAIN] = "",       [BOLD] = "\033[1m",  [DIM] = "\033[2m",   [GOOD] = "\033[32m",
	[BAD] = "\033[31m", [WARN] = "\033[33m", [BUSY] = "\033[36m",
};

void render_span(char out[24], int64_t ms)
{
	int64_t s = (ms < 0 ? 0 : ms) / 1000;
	int n;
	if (ms < 10000)
		n = snprintf(out, 24, "%d.%d s", (int)s, ms < 0 ? 0 : (int)(ms % 1000 / 100));
	else if (s < 60)
		n = snprintf(out, 24, "%d s", (int)s);
	else if (s < 3600)
		n = snprintf(out, 24, "%d:%02d", (int)(s / 60), (int)(s % 60));
	else
		n = snprintf(out, 24, "%lld:%02d:%02d", (long long)(s / 3600), (int)(s / 60 % 60),
		             (int)(s % 60));
	loom_assert(n > 0 && n < 24);
}

/* ---- one line -------------------------------------------------------------------------------- */

struct line {
	const struct render *r;
	struct buf *out;
	int col, width;
};

static struct line begin(const struct render *r, struct buf *out)
{
	int width = (r->width < MIN_WIDTH ? MIN_WIDTH : r->width) - 1;
	return (struct line){ .r = r, .out = out, .width = width };
}

/* Appends one character, made harmless: no control characters, no UTF-8 where it cannot be
 * shown. */
static size_t put_char(struct line *l, const char *s, int room, int *ret_width)
{
	size_t n = str_utf8_len(s, strlen(s));
	char one[5] = { 0 };
	bool plain = n == 1 && (unsigned char)*s >= ' ' && *s != 0x7f;
	memcpy(one,
	       n && (plain || (n > 1 && l->r->utf8)) ? s
	       : n == 1                              ? " "
	                                             : "?",
	       n && (plain || (n > 1 && l->r->utf8)) ? n : 1);
	*ret_width = (int)text_width(one);
	if (*ret_width > room)
		return 0;
	buf_adds(l->out, one);
	return n ? n : 1;
}

/* Appends text in a style, cut at max columns and at the line's end. */
static void put(struct line *l, enum style style, const char *text, int max)
{
	int room = l->width - l->col;
	room = max < room ? max : room;
	bool styled = l->r->color && style != PLAIN && *text && room > 0;
	if (styled)
		buf_adds(l->out, codes[style]);
	while (*text && room > 0) {
		int width;
		size_t n = put_char(l, text, room, &width);
		if (!n)
			break;
		text += n;
		room -= width;
		l->col += width;
	}
	if (styled)
		buf_adds(l->out, "\033[0m");
}

static void pad_to(struct line *l, int col)
{
	for (; l->col < col && l->col < l->width; l->col++)
		buf_addc(l->out, ' ');
}

static int end(struct line *l)
{
	while (l->out->len && l->out->data[l->out->len - 1] == ' ')
		l->out->data[--l->out->len] = '\0';
	buf_addc(l->out, '\n');
	return 1;
}

/* ---- head ------------------------------------------------------------------------------------ */

static enum style status_style(const struct view *v)
{
	if (str_eq(v->status, "active"))
		return GOOD;
	if (!view_at_rest(v))
		return BUSY;
	return view_succeeded(v) ? GOOD : BAD;
}

static const char *status_words(const struct view *v)
{
	if (str_eq(v->status, "pending") && str_eq(v->job_status, "paused"))
		return "paused";
	if (str_eq(v->status, "pending"))
		return *view_doing(v) ? view_doing(v) : "pending";
	return *v->status ? v->status : "connecting";
}

static int64_t elapsed(const struct view *v, int64_t now)
{
	int64_t until = v->ended ? v->ended : now;
	return v->started && until > v->started ? until - v->started : 0;
}

static int head(const struct render *r, const struct view *v, int64_t now, struct buf *out)
{
	char span[24];
	struct line l = begin(r, out);
	render_span(span, elapsed(v, now));
	put(&l, BOLD, r->name, 255);
	put(&l, DIM, "  ", 2);
	put(&l, DIM, r->id, 64);
	put(&l, PLAIN, "  ", 2);
	put(&l, status_style(v), status_words(v), 64);
	int at = l.width - (int)strlen(span);
	if (l.col + 2 <= at) {
		pad_to(&l, at);
		put(&l, PLAIN, span, 24);
	}
	return end(&l);
}

static void put_cells(struct line *l, enum style style, const char *cell, int n)
{
	struct buf b = BUF_INIT(4096);
	for (int i = 0; i < n; i++)
		buf_adds(&b, cell);
	put(l, style, buf_str(&b), 4096);
	buf_fini(&b);
}

static int bar(const struct render *r, const struct view *v, struct buf *out)
{
	char text[64];
	size_t total = view_total(v), done = view_done(v);
	int percent = total ? (int)(done * 100 / total) : 0;
	int n = snprintf(text, sizeof(text), "  %3d%%  %zu/%zu", percent, done, total);
	loom_assert(n > 0);
	struct line l = begin(r, out);
	int room = l.width - n - 2,
	    full = total ? (int)(done * (size_t)(room < 0 ? 0 : room) / total) : 0;
	if (room >= 8) {
		put(&l, PLAIN, "[", 1);
		put_cells(&l, status_style(v), r->utf8 ? "█" : "#", full);
		put_cells(&l, DIM, r->utf8 ? "░" : ".", room - full);
		put(&l, PLAIN, "]", 1);
	}
	put(&l, PLAIN, text, 64);
	return end(&l);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

enum mood { M_FAILED, M_RUNNING, M_RETRY, M_READY, M_WAITING, M_DONE, M_COUNT };

static enum mood mood_of(const struct view *v, const struct view_node *n)
{
	const struct view_task *s = n->now;
	bool rest = view_at_rest(v);
	if (n->done + n->dropped >= n->total && n->total)
		return M_DONE;
	if (s && s->state == VIEW_FAILED)
		return M_FAILED;
	if (s && s->state == VIEW_RUNNING)
		return M_RUNNING;
	if (s && s->state == VIEW_RETRY && !rest)
		return M_RETRY;
	if (s && s->state == VIEW_READY && !rest)
		return M_READY;
	return n->total ? M_WAITING : M_DONE;
}

static const struct {
	const char *utf8, *ascii, *word;
	enum style style;
} moods[M_COUNT] = {
	[M_FAILED] = { "✗", "x", "failed", BAD },   [M_RUNNING] = { "●", "*", "at work", BUSY },
	[M_RETRY] = { "↻", "~", "to retry", WARN }, [M_READY] = { "○", "o", "ready", PLAIN },
	[M_WAITING] = { "·", "-", "waiting", DIM }, [M_DONE] = { "✓", "+", "done", GOOD },
};

static char *node_text(const struct view *v, const struct view_node *n, enum mood m, int64_t now)
{
	char span[24];
	if (m == M_DONE)
		return loom_strdup(n->total ? "done" : "");
	if (!n->now || m == M_WAITING)
		return loom_strdup(view_at_rest(v) ? "stopped" : "waiting");
	LOOM_CLEANUP_STR char *name = view_task_name(n->now);
	switch (m) {
	case M_FAILED:
		return loom_asprintf("%s failed", name);
	case M_RETRY:
		render_span(span, n->now->retry_at - now);
		return n->now->retry_at > now ? loom_asprintf("%s failed, again in %s", name, span)
		                              : loom_asprintf("%s failed, again", name);
	case M_READY:
		return loom_asprintf("%s, wants a worker", name);
	case M_RUNNING:
		return n->now->attempt > 1
		               ? loom_asprintf("%s, attempt %lld", name, (long long)n->now->attempt)
		               : loom_strdup(name);
	case M_WAITING:
	case M_DONE:
	case M_COUNT:
	default:
		return loom_strdup("");
	}
}

struct widths {
	int host, address;
};

static int short_len(const char *hostname)
{
	return (int)strcspn(hostname, ".");
}

static struct widths measure(const struct render *r, const struct view *v)
{
	struct widths w = { 0 };
	for (size_t i = 0; i < v->n_nodes; i++) {
		int host = short_len(v->nodes[i]->hostname);
		int address = (int)strlen(v->nodes[i]->address);
		w.host = host > w.host ? host : w.host;
		w.address = address > w.address ? address : w.address;
	}
	if (r->width < 70)
		w.address = 0;
	if (w.host > r->width / 2)
		w.host = r->width / 2;
	return w;
}

static int node_line(const struct render *r, const struct view *v, const struct view_node *n,
                     struct widths w, int64_t now, struct buf *out)
{
	enum mood m = mood_of(v, n);
	struct line l = begin(r, out);
	LOOM_CLEANUP_STR char *text = node_text(v, n, m, now);
	LOOM_CLEANUP_STR char *host = loom_strndup(n->hostname, (size_t)short_len(n->hostname));
	char span[24] = "", counts[48];
	snprintf(counts, sizeof(counts), "%zu/%zu", n->done, n->total);
	if (m == M_RUNNING)
		render_span(span, now - n->now->since);
	int right = r->width < 48 ? 0 : TIME_WIDTH + COUNT_WIDTH;
	put(&l, PLAIN, "  ", 2);
	put(&l, moods[m].style, r->utf8 ? moods[m].utf8 : moods[m].ascii, 1);
	pad_to(&l, 4);
	put(&l, PLAIN, host, w.host);
	pad_to(&l, 4 + w.host + 2);
	if (w.address) {
		put(&l, DIM, n->address, w.address);
		pad_to(&l, 4 + w.host + 2 + w.address + 2);
	}
	put(&l, m == M_RUNNING ? PLAIN : moods[m].style, text,
	    l.width - right - l.col - (right ? 1 : 0));
	if (right) {
		pad_to(&l, l.width - right + TIME_WIDTH - (int)strlen(span));
		put(&l, PLAIN, span, TIME_WIDTH);
		pad_to(&l, l.width - (int)strlen(counts));
		put(&l, DIM, n->total ? counts : "", COUNT_WIDTH);
	}
	return end(&l);
}

static int rest_line(const struct render *r, const size_t left[M_COUNT], struct buf *out)
{
	struct line l = begin(r, out);
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(512);
	size_t n = 0;
	for (size_t m = 0; m < M_COUNT; m++) {
		if (left[m])
			buf_addf(&b, "%s%zu %s", n ? ", " : "", left[m], moods[m].word);
		n += left[m];
	}
	LOOM_CLEANUP_STR char *text = loom_asprintf("    and %zu more: %s", n, buf_str(&b));
	put(&l, DIM, text, 512);
	return end(&l);
}

/* Draws all nodes if they fit; else the most interesting ones, and the number of the others. */
static int nodes(const struct render *r, const struct view *v, int64_t now, int room,
                 struct buf *out)
{
	struct widths w = measure(r, v);
	size_t left[M_COUNT] = { 0 };
	int lines = 0;
	bool all = v->n_nodes <= (size_t)room;
	room = all ? room : room - 1;
	for (size_t i = 0; all && i < v->n_nodes; i++)
		lines += node_line(r, v, v->nodes[i], w, now, out);
	for (int m = 0; !all && m < M_COUNT; m++) {
		for (size_t i = 0; i < v->n_nodes; i++) {
			if ((int)mood_of(v, v->nodes[i]) != m)
				continue;
			if (lines < room)
				lines += node_line(r, v, v->nodes[i], w, now, out);
			else
				left[m]++;
		}
	}
	return all ? lines : lines + rest_line(r, left, out);
}

/* ---- failures -------------------------------------------------------------------------------- */

static int failure_line(const struct render *r, const struct view_failure *f, struct buf *out)
{
	struct line l = begin(r, out);
	LOOM_CLEANUP_STR char *text =
		loom_asprintf("%s %s on %.*s, attempt %lld%s%s",
	                      f->last ? "failed:" : "retry:", f->what, short_len(f->host), f->host,
	                      (long long)f->attempt, *f->message ? ": " : "", f->message);
	put(&l, PLAIN, "  ", 2);
	put(&l, f->last ? BAD : WARN, text, 4096);
	return end(&l);
}

static int failures(const struct render *r, const struct view *v, struct buf *out)
{
	int lines = 0;
	size_t first = v->n_failures > SHOWN_FAILURES ? v->n_failures - SHOWN_FAILURES : 0;
	for (size_t i = first; i < v->n_failures; i++)
		lines += failure_line(r, &v->failures[i], out);
	return lines;
}

int render_frame(const struct render *r, const struct view *v, int64_t now, struct buf *out)
{
	int below = (int)(v->n_failures > SHOWN_FAILURES ? SHOWN_FAILURES : v->n_failures);
	int room = r->height - 3 - below - (r->trouble ? 1 : 0);
	int lines = head(r, v, now, out);
	lines += bar(r, v, out);
	lines += nodes(r, v, now, room < 2 ? 2 : room, out);
	lines += failures(r, v, out);
	if (r->trouble) {
		struct line l = begin(r, out);
		put(&l, PLAIN, "  ", 2);
		put(&l, WARN, r->trouble, 4096);
		lines += end(&l);
	}
	return lines;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void add_harmless(struct buf *out, const char *text)
{
	for (; *text; text++)
		buf_addc(out, (char)((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text));
}

void render_change(const struct render *r, const struct view_change *c, struct buf *out)
{
	char clock[16] = "", span[24];
	time_t t = (time_t)(c->time / 1000);
	struct tm tm;
	(void)r;
	if (!c->subject)
		return;
	if (localtime_r(&t, &tm) && !strftime(clock, sizeof(clock), "%H:%M:%S", &tm))
		clock[0] = '\0';
	int host = strchr(c->subject, '.') ? short_len(c->subject) : (int)strlen(c->subject);
	buf_addf(out, "%s  %-*.*s  ", clock, 14, host, c->subject);
	add_harmless(out, c->text);
	if (c->took >= 0) {
		render_span(span, c->took);
		buf_addf(out, "  %s", span);
	}
	buf_addc(out, '\n');
}

static void where_to_look(const struct view_failure *f, struct buf *out)
{
	buf_addf(out, "  task  %s on %s (%s, attempt %lld)\n", f->what, f->host, f->task,
	         (long long)f->attempt);
	if (*f->message) {
		buf_adds(out, "        ");
		add_harmless(out, f->message);
		buf_addc(out, '\n');
	}
	buf_addf(out, "  log   loom task log %s --attempt %lld\n", f->task, (long long)f->attempt);
}

/* ": 3 nodes, 1 removed, 5 tasks" */
static void what_was_done(const struct view *v, struct buf *out)
{
	size_t removed = view_removed(v), left = v->n_nodes - removed;
	size_t first = left ? left : removed;
	buf_addf(out, ": %zu node%s", first, first == 1 ? "" : "s");
	if (removed && left)
		buf_addf(out, ", %zu", removed);
	buf_addf(out, "%s, %zu task%s\n", removed ? " removed" : "", view_done(v),
	         view_done(v) == 1 ? "" : "s");
}

void render_state(const struct render *r, const struct view *v, struct buf *out)
{
	const char *words = status_words(v);
	buf_addf(out, "%s (%s) is %s", r->name, r->id, *v->status ? v->status : "not known yet");
	if (!str_eq(words, v->status) && *v->status)
		buf_addf(out, ": %s", words);
	if (view_total(v))
		buf_addf(out, ", %zu of %zu tasks", view_done(v), view_total(v));
	buf_addc(out, '\n');
}

void render_end(const struct render *r, const struct view *v, struct buf *out)
{
	char span[24];
	const struct view_failure *f = view_last_failure(v);
	render_span(span, elapsed(v, v->ended));
	buf_addf(out, "%s (%s) is %s after %s", r->name, r->id, v->status, span);
	if (view_succeeded(v)) {
		what_was_done(v, out);
		return;
	}
	if (*v->message) {
		LOOM_CLEANUP_STR char *words = hosts_in_words(v->message, hosts_of_view, v);
		buf_adds(out, ": ");
		add_harmless(out, words);
	}
	buf_addc(out, '\n');
	if (f)
		where_to_look(f, out);
}
