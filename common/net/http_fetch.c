/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetches on the loop, by curl's multi interface.
 *
 * curl must not be called from within its own callbacks, where our caller's callbacks run: what
 * they ask for (start, cancel, resume) is noted and done by work(), from a timer of no delay.
 */
#include "common/net/http_curl.h"

#include "common/base/log.h"

#include <event2/event.h>
#include <string.h>

struct http_fetch {
	struct http_client *client;
	struct http_fetch *prev, *next;
	const struct http_fetch_ops *ops;
	void *arg;
	CURL *h;
	struct curl_slist *lines;
	struct strs headers;
	struct curl_guard guard;
	char error[CURL_ERROR_SIZE];
	bool added;     /* to the multi handle */
	bool cancelled; /* to be freed by work() */
	bool headed;    /* on_head was called */
	bool want_pause, is_paused;
	bool refused; /* its address */
};

/* One socket that curl watches. */
struct watch {
	struct http_client *client;
	struct watch *prev, *next;
	struct event *ev;
};

struct http_client {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer *timeout; /* curl's */
	struct loop_timer *todo;    /* ours */
	struct http_fetch *fetches;
	struct watch *watches;
	bool in_curl;
};

static void fetch_free(struct http_fetch *f)
{
	if (f->prev)
		f->prev->next = f->next;
	else
		f->client->fetches = f->next;
	if (f->next)
		f->next->prev = f->prev;
	if (f->added)
		curl_multi_remove_handle(f->client->multi, f->h);
	curl_easy_cleanup(f->h);
	curl_slist_free_all(f->lines);
	strs_fini(&f->headers);
	loom_free(f);
}

static void finish(struct http_fetch *f, const char *error)
{
	LOOM_CLEANUP_STR char *text = loom_strdup(error); /* may be f's own */
	const struct http_fetch_ops *ops = f->ops;
	void *arg = f->arg;
	if (!f->cancelled) {
		f->cancelled = true; /* http_fetch_cancel() in on_done does nothing more */
		ops->on_done(f, text, arg);
	}
	fetch_free(f);
}

/* ---- curl's callbacks ------------------------------------------------------------------------ */

static void call_on_head(struct http_fetch *f)
{
	long status = 0;
	curl_easy_getinfo(f->h, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200) { /* interim: the answer is yet to come */
		strs_fini(&f->headers);
		return;
	}
	f->headed = true;
	if (f->ops->on_head)
		f->ops->on_head(f, (int)status, &f->headers, f->arg);
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct http_fetch *f = arg;
	size_t len = size * n, text = len;
	while (text && (line[text - 1] == '\r' || line[text - 1] == '\n'))
		text--;
	if (f->cancelled)
		return 0;
	if (f->headed)
		return len; /* trailers */
	if (!text)
		call_on_head(f);
	else if (memchr(line, ':', text) && strncmp(line, "HTTP/", 5) != 0)
		strs_addf(&f->headers, "%.*s", (int)text, line);
	return f->cancelled ? 0 : len;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct http_fetch *f = arg;
	if (f->cancelled)
		return 0;
	if (f->want_pause) {
		f->is_paused = true;
		return CURL_WRITEFUNC_PAUSE; /* curl keeps the data */
	}
	if (f->ops->on_data)
		f->ops->on_data(f, data, size * n, f->arg);
	return f->cancelled ? 0 : size * n;
}

static void collect(struct http_client *c)
{
	CURLMsg *m;
	int left;
	while ((m = curl_multi_info_read(c->multi, &left))) {
		struct http_fetch *f = NULL;
		if (m->msg != CURLMSG_DONE)
			continue;
		CURLcode code = m->data.result; /* m dies with the handle */
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&f);
		f->refused = f->guard.refused && code == CURLE_COULDNT_CONNECT;
		const char *why = f->refused  ? "its address is refused"
		                  : *f->error ? f->error
		                              : curl_easy_strerror(code);
		finish(f, code == CURLE_OK ? NULL : why);
	}
}

static void drive(struct http_client *c, curl_socket_t fd, int action)
{
	int running;
	c->in_curl = true;
	CURLMcode r = curl_multi_socket_action(c->multi, fd, action, &running);
	c->in_curl = false;
	if (r != CURLM_OK)
		log_error("curl", LOG_S("error", curl_multi_strerror(r)));
	collect(c);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;
	int action =
		(what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
	drive(w->client, fd, action);
}

static void unwatch(struct watch *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		w->client->watches = w->next;
	if (w->next)
		w->next->prev = w->prev;
	if (w->ev)
		event_free(w->ev);
	loom_free(w);
}

static struct watch *new_watch(struct http_client *c, curl_socket_t fd)
{
	struct watch *w = loom_calloc(1, sizeof(*w));
	w->client = c;
	w->next = c->watches;
	if (w->next)
		w->next->prev = w;
	c->watches = w;
	curl_multi_assign(c->multi, fd, w);
	return w;
}

static int on_socket(CURL *h, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct http_client *c = arg;
	struct watch *w = socket_arg;
	(void)h;
	if (what == CURL_POLL_REMOVE) {
		if (w)
			unwatch(w);
		return 0;
	}
	if (!w)
		w = new_watch(c, fd);
	short events = (short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
	                       (what & CURL_POLL_OUT ? EV_WRITE : 0));
	if (w->ev)
		event_free(w->ev);
	w->ev = event_new(loop_base(c->loop), fd, events, on_ready, w);
	loom_assert(w->ev);
	return event_add(w->ev, NULL);
}

static int on_set_timer(CURLM *multi, long ms, void *arg)
{
	struct http_client *c = arg;
	(void)multi;
	if (ms < 0)
		loop_timer_disarm(c->timeout);
	else
		loop_timer_arm(c->timeout, ms);
	return 0;
}

static void on_timeout(void *arg)
{
	drive(arg, CURL_SOCKET_TIMEOUT, 0);
}

/* ---- ours ------------------------------------------------------------------------------------ */

static void add_to_multi(struct http_fetch *f)
{
	f->added = true;
	CURLMcode r = curl_multi_add_handle(f->client->multi, f->h);
	loom_assert(r == CURLM_OK);
}

/* Does for one fetch what was asked for; false: nothing, go on with the next. */
static bool work_on(struct http_fetch *f)
{
	struct http_client *c = f->client;
	if (f->cancelled) {
		fetch_free(f);
		return true;
	}
	if (!f->added) {
		add_to_multi(f);
		return true;
	}
	if (f->is_paused && !f->want_pause) {
		f->is_paused = false;
		c->in_curl = true; /* hands over what it has kept, by on_data() */
		curl_easy_pause(f->h, CURLPAUSE_CONT);
		c->in_curl = false;
		return true;
	}
	return false;
}

static void work(void *arg)
{
	struct http_client *c = arg;
	struct http_fetch *f = c->fetches;
	while (f)
		f = work_on(f) ? c->fetches : f->next; /* a callback may have changed the list */
	collect(c);
}

static void set_multi(CURLM *m, struct http_client *c)
{
	curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(m, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, on_set_timer);
	curl_multi_setopt(m, CURLMOPT_TIMERDATA, c);
}

struct http_client *http_client_create(struct loop *l)
{
	curl_setup_once();
	struct http_client *c = loom_calloc(1, sizeof(*c));
	c->loop = l;
	c->multi = curl_multi_init();
	loom_assert(c->multi);
	c->timeout = loop_timer_create(l, "http_client timeout", on_timeout, c);
	c->todo = loop_timer_create(l, "http_client work", work, c);
	set_multi(c->multi, c);
	return c;
}

void http_client_destroy(struct http_client *c)
{
	if (!c)
		return;
	loom_assert(!c->in_curl);
	while (c->fetches)
		fetch_free(c->fetches);
	curl_multi_cleanup(c->multi); /* closes connections, which unwatches sockets */
	while (c->watches)
		unwatch(c->watches);
	loop_timer_destroy(c->timeout);
	loop_timer_destroy(c->todo);
	loom_free(c);
}

struct http_fetch *http_fetch_start(struct http_client *c, const struct http_call *spec,
                                    const struct http_fetch_ops *ops, void *arg)
{
	struct http_fetch *f = loom_calloc(1, sizeof(*f));
	f->client = c;
	f->ops = ops;
	f->arg = arg;
	f->h = curl_easy_init();
	loom_assert(f->h);
	curl_prepare(f->h, spec, false, f->error, &f->lines);
	curl_guard(f->h, spec, &f->guard);
	curl_easy_setopt(f->h, CURLOPT_PRIVATE, f);
	curl_easy_setopt(f->h, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(f->h, CURLOPT_HEADERDATA, f);
	curl_easy_setopt(f->h, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(f->h, CURLOPT_WRITEDATA, f);
	f->next = c->fetches;
	if (f->next)
		f->next->prev = f;
	c->fetches = f;
	loop_timer_arm(c->todo, 0);
	return f;
}

void http_fetch_cancel(struct http_fetch *f)
{
	struct http_client *c = f->client;
	if (f->cancelled)
		return;
	f->cancelled = true;
	if (c->in_curl)
		loop_timer_arm(c->todo, 0);
	else
		fetch_free(f);
}

bool http_fetch_refused(const struct http_fetch *f)
{
	return f->refused;
}

void http_fetch_pause(struct http_fetch *f, bool pause)
{
	f->want_pause = pause;
	if (!pause && f->is_paused)
		loop_timer_arm(f->client->todo, 0);
}
