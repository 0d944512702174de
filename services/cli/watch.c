/* SPDX-License-Identifier: Apache-2.0 */
/* Follows a cluster until it is at rest, reconnecting as often as needed. */
#include "services/cli/watch.h"

#include "services/cli/commands.h"
#include "services/cli/hosts.h"
#include "services/cli/render.h"
#include "services/cli/screen.h"
#include "services/cli/sse_parse.h"

#include "common/base/clock.h"
#include "common/base/text.h"

#include <signal.h>
#include <string.h>
#include <strings.h>

#define SILENCE_MS 30000 /* the server's heartbeat comes every 10 s */
#define GIVE_UP_MS 60000 /* without any contact */
#define SETTLE_MS  1000  /* waits for the job's last event once the cluster is at rest */
#define REDRAW_MS  100
#define RETRY_MS   200
#define RETRY_CAP  3000

struct watch {
	struct cli *cli;
	char *url;
	FILE *out;
	struct loop *loop;
	struct http_client *client;
	struct http_fetch *fetch;
	struct loop_timer *silence, *retry, *redraw, *settle;
	struct strs headers;
	struct sse_parse parser;
	struct view view;
	struct render render;
	struct screen *screen; /* NULL: print lines */
	int64_t history_end;   /* the last event from before we connected */
	int64_t print_after;
	bool stated;  /* the initial state has been printed, or is not wanted */
	int64_t skew; /* server's clock minus ours */
	bool skewed;
	int64_t contact_ms; /* when data arrived last */
	unsigned tries;
	int status; /* of the stream's response */
	struct buf refusal;
	bool reported; /* the reason for the end was printed already */
	int code;      /* < 0: continue */
};

static void stop(struct watch *w, int code)
{
	if (w->code < 0)
		w->code = code;
	loop_stop(w->loop);
}

/* Prepares for text below the picture. */
static void prepare_text(struct watch *w)
{
	w->reported = true;
	if (w->screen)
		screen_close(w->screen);
}

static void draw(void *arg)
{
	struct watch *w = arg;
	if (!w->screen || w->reported)
		return;
	screen_size(w->screen, &w->render.width, &w->render.height);
	struct buf frame = BUF_INIT((size_t)1 << 20);
	int lines = render_frame(&w->render, &w->view, clock_wall_ms() + w->skew, &frame);
	if (screen_draw(w->screen, buf_str(&frame), lines) != 0)
		stop(w, CLI_FAILED);
	buf_fini(&frame);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void print(struct watch *w, const char *text)
{
	if (fputs(text, w->out) < 0 || fflush(w->out) != 0)
		stop(w, CLI_FAILED);
}

static void print_event(struct watch *w, const struct sse_frame *f)
{
	struct buf b = BUF_INIT(SSE_MAX_FRAME + 4096);
	buf_addf(&b, "{\"id\":%lld,\"event\":", (long long)f->id);
	json_write_str(f->event, strlen(f->event), &b);
	buf_addf(&b, ",\"data\":%s}\n", f->data);
	LOOM_CLEANUP_STR char *shown = text_shown(buf_str(&b), b.len, TEXT_JSON);
	print(w, shown);
	buf_fini(&b);
}

static void print_change(struct watch *w, struct view_change *c)
{
	struct buf b = BUF_INIT((size_t)1 << 20);
	char *words = c->text ? hosts_in_words(c->text, hosts_of_view, &w->view) : NULL;
	loom_free(c->text);
	c->text = words;
	render_change(&w->render, c, &b);
	if (b.len)
		print(w, buf_str(&b));
	buf_fini(&b);
}

/* Prints the state after the events from before we connected; at rest the final lines say it. */
static void say_state(struct watch *w)
{
	if (w->stated || w->view.seq < w->history_end)
		return;
	w->stated = true;
	if (w->screen || w->cli->json || view_at_rest(&w->view))
		return;
	struct buf b = BUF_INIT(65536);
	render_state(&w->render, &w->view, &b);
	print(w, buf_str(&b));
	buf_fini(&b);
}

/* An event that happens while we watch shows the server's clock, less the transfer time. */
static void set_clock(struct watch *w)
{
	int64_t skew = w->view.time - clock_wall_ms();
	if (w->view.seq > w->history_end && (!w->skewed || skew > w->skew)) {
		w->skew = skew;
		w->skewed = true;
	}
}

static void on_frame(const struct sse_frame *f, void *arg)
{
	struct watch *w = arg;
	LOOM_CLEANUP(json_free) struct json *data = NULL;
	bool seen = f->id >= 0 && f->id <= w->view.seq;
	if (seen || w->code >= 0 || json_parse(f->data, f->data_len, 0, &data, NULL) != 0)
		return;
	cli_show_safely(&data); /* JSON output is the frame's own text */
	struct view_change change;
	view_apply(&w->view, f->id, f->event, data, &change);
	set_clock(w);
	if (w->view.seq > w->print_after) {
		if (w->cli->json)
			print_event(w, f);
		else if (!w->screen)
			print_change(w, &change);
	}
	view_change_fini(&change);
	say_state(w);
	if (w->view.seq >= w->history_end && view_at_rest(&w->view))
		stop(w, view_succeeded(&w->view) ? CLI_OK : CLI_FAILED);
}

static void on_settled(void *arg)
{
	struct watch *w = arg;
	stop(w, view_succeeded(&w->view) ? CLI_OK : CLI_FAILED);
}

static void watch_for_rest(struct watch *w)
{
	bool rest = w->view.seq >= w->history_end && *w->view.status &&
	            !str_eq(w->view.status, "pending");
	if (rest)
		loop_timer_arm(w->settle, SETTLE_MS);
	else
		loop_timer_disarm(w->settle);
}

/* ---- the stream ------------------------------------------------------------------------------ */

static void connect_again(struct watch *w)
{
	if (clock_mono_ms() - w->contact_ms > GIVE_UP_MS) {
		prepare_text(w);
		stop(w, cli_unreachable(w->cli, "it has not answered for a minute"));
		return;
	}
	w->render.trouble = "the connection is lost, trying again";
	loop_timer_arm(w->retry, clock_backoff_ms(w->tries++, RETRY_MS, RETRY_CAP) + 1);
}

/* Not a stream: another server, or a proxy's page. Retrying would not help. */
static bool is_stream(const struct strs *headers)
{
	static const char want[] = "content-type: text/event-stream";
	for (size_t i = 0; i < headers->n; i++) {
		if (strncasecmp(headers->v[i], want, sizeof(want) - 1) == 0)
			return true;
	}
	return false;
}

static void on_head(struct http_fetch *f, int status, const struct strs *headers, void *arg)
{
	(void)f;
	struct watch *w = arg;
	w->status = status;
	buf_reset(&w->refusal);
	sse_parse_reset(&w->parser);
	if (status != 200)
		return;
	if (!is_stream(headers)) {
		prepare_text(w);
		stop(w, cli_fail(CLI_FAILED,
		                 "%s does not answer like Loom: a stream of events was expected",
		                 w->url));
		return;
	}
	w->contact_ms = clock_mono_ms();
	w->render.trouble = NULL;
	w->tries = 0;
}

static void on_data(struct http_fetch *f, const char *data, size_t len, void *arg)
{
	(void)f;
	struct watch *w = arg;
	loop_timer_arm(w->silence, SILENCE_MS);
	if (w->status != 200) {
		buf_add(&w->refusal, data, len);
		return;
	}
	w->contact_ms = clock_mono_ms();
	sse_parse_feed(&w->parser, data, len, on_frame, w);
	watch_for_rest(w);
}

static void on_done(struct http_fetch *f, const char *error, void *arg)
{
	(void)f;
	struct watch *w = arg;
	w->fetch = NULL;
	loop_timer_disarm(w->silence);
	if (w->code >= 0)
		return;
	if (!error && w->status >= 400 && w->status < 500) {
		LOOM_CLEANUP_STR char *why =
			cli_reason(w->status, buf_str(&w->refusal), w->refusal.len);
		prepare_text(w);
		stop(w, cli_fail(CLI_FAILED, "%s (%d)", why, w->status));
		return;
	}
	connect_again(w);
}

static void connect_now(void *arg)
{
	static const struct http_fetch_ops ops = { on_head, on_data, on_done };
	struct watch *w = arg;
	LOOM_CLEANUP(strs_fini) struct strs headers = { 0 };
	for (size_t i = 0; i < w->cli->headers.n; i++)
		strs_add(&headers, w->cli->headers.v[i]);
	strs_add(&headers, "Accept: text/event-stream");
	strs_addf(&headers, "Last-Event-ID: %lld", (long long)w->view.seq);
	const struct http_call call = {
		.method = "GET",
		.url = w->url,
		.headers = &headers,
		.trust = &w->cli->trust,
		.timeout_ms = -1,
	};
	w->status = 0;
	w->fetch = http_fetch_start(w->client, &call, &ops, w);
	loop_timer_arm(w->silence, SILENCE_MS);
}

static void on_silence(void *arg)
{
	struct watch *w = arg;
	if (w->fetch)
		http_fetch_cancel(w->fetch);
	w->fetch = NULL;
	connect_again(w);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_interrupt(void *arg)
{
	stop(arg, CLI_INTERRUPTED);
}

static void set_up(struct watch *w)
{
	w->loop = loop_create();
	w->client = http_client_create(w->loop);
	w->silence = loop_timer_create(w->loop, "silence", on_silence, w);
	w->retry = loop_timer_create(w->loop, "retry", connect_now, w);
	w->settle = loop_timer_create(w->loop, "settle", on_settled, w);
	w->redraw = loop_timer_create(w->loop, "redraw", draw, w);
	loop_on_signal(w->loop, SIGINT, on_interrupt, w);
	loop_on_signal(w->loop, SIGTERM, on_interrupt, w);
	sse_parse_init(&w->parser);
	view_init(&w->view);
	w->refusal = BUF_INIT(65536);
	w->contact_ms = clock_mono_ms();
	w->screen = w->cli->json ? NULL : screen_open(w->out);
	w->render.utf8 = screen_utf8();
	w->render.color = w->screen && screen_color();
	if (w->screen)
		loop_timer_every(w->redraw, REDRAW_MS);
}

static void tear_down(struct watch *w)
{
	if (w->fetch)
		http_fetch_cancel(w->fetch);
	http_client_destroy(w->client);
	loop_timer_destroy(w->silence);
	loop_timer_destroy(w->retry);
	loop_timer_destroy(w->settle);
	loop_timer_destroy(w->redraw);
	loop_destroy(w->loop);
	sse_parse_fini(&w->parser);
	view_fini(&w->view);
	buf_fini(&w->refusal);
	screen_destroy(w->screen);
	loom_free(w->url);
}

static void say_end(struct watch *w)
{
	struct buf b = BUF_INIT(65536);
	if (w->code == CLI_INTERRUPTED)
		cli_fail(w->code, "no longer watching; loom cluster watch %s goes on",
		         w->render.id);
	if (w->reported || !view_at_rest(&w->view))
		return;
	render_end(&w->render, &w->view, &b);
	if (!w->cli->json || w->code != CLI_OK)
		fputs(buf_str(&b), w->code == CLI_OK ? w->out : stderr);
	fflush(w->out);
	buf_fini(&b);
}

/* The first line of JSON output: the cluster's state as of its last event. */
static void print_summary(FILE *out, const struct json *cluster)
{
	static const char *const fields[] = { "id", "name", "status", "message", "progress" };
	LOOM_CLEANUP(json_free) struct json *line = json_new_obj(), *data = json_new_obj();
	for (size_t i = 0; i < LOOM_COUNT(fields); i++)
		json_set(data, fields[i], json_copy(json_get(cluster, fields[i])));
	json_set_int(line, "id", json_get_int(cluster, "lastEvent", 0));
	json_set_str(line, "event", "state");
	json_set(line, "data", loom_take(data));
	LOOM_CLEANUP_STR char *text = json_text(line);
	LOOM_CLEANUP_STR char *shown = text_shown(text, strlen(text), TEXT_JSON);
	fprintf(out, "%s\n", shown);
	fflush(out);
}

int watch_cluster(struct cli *c, const char *id, int64_t print_after, FILE *out)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/clusters/%s", id);
	LOOM_CLEANUP(json_free) struct json *cluster = NULL;
	int code = cli_request_json(c, "GET", path, NULL, JSON_OBJECT, &cluster);
	if (code)
		return code;
	const char *name = json_get_str(cluster, "name");
	struct watch w = { .cli = c, .out = out, .print_after = print_after, .code = -1 };
	w.url = loom_asprintf("%s%s/events", c->url, path);
	w.history_end = json_get_int(cluster, "lastEvent", 0);
	w.stated = print_after != WATCH_NEWS;
	if (!w.stated)
		w.print_after = w.history_end;
	if (!w.stated && c->json)
		print_summary(out, cluster);
	set_up(&w);
	w.render.id = id;
	w.render.name = name ? name : id;
	connect_now(&w);
	loop_run(w.loop);
	draw(&w);
	if (w.screen)
		screen_close(w.screen);
	say_end(&w);
	code = w.code;
	tear_down(&w);
	return code;
}

int cluster_watch(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP_STR char *id = NULL;
	int code = cli_find_cluster(c, a->positional[0], &id);
	int64_t after = args_has(a, "history") ? 0 : WATCH_NEWS;
	return code ? code : watch_cluster(c, id, after, stdout);
}
