/* SPDX-License-Identifier: Apache-2.0 */
/* Delivers results to the server: stored durably first, then sent until answered. */
#include "report.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/operation/task_result.h"
#include "stats.h"

#include <errno.h>
#include <string.h>

enum {
	CALL_MS = 15000,
	BACKOFF_CAP_MS = 5000,
	BAD_REQUEST = 400,
	FORBIDDEN = 403,
	TOO_LARGE = 413,
	NOT_HELD = 417,  /* we do not hold the attempt any more */
	NEXT_BYTES = 64, /* for the members that ask for the next tasks */
};

/*
 * The life of an item: save (pool) -> SAVED -> post, repeatedly -> the server's answer -> remove
 * (pool) -> gone. While the pool works on an item its memory must stay: destroying the report
 * leaves an orphan, which the end of the work frees.
 */
struct report_item {
	struct report *report;
	struct report_item *prev, *next;
	char *name; /* file name in the spool */
	char *body;
	char *worker;   /* worker id of the take; NULL: unknown, from an earlier process */
	size_t asked;   /* tasks that the answer to the call may bring */
	int64_t since;  /* mono ms, of the call */
	bool left_over; /* from an earlier process */
	bool foreign;   /* and from a provisioner with another id */
	bool overdue;   /* counted in the metric of overdue results */
	bool replaced;  /* the server refused it; body is a failure instead */
	char *refusal;  /* the text of that refusal */
	unsigned tries;
	int disk; /* result of the last disk work */
	bool in_pool;
	enum report_event fate;
	struct wire_call *call;
	struct loop_timer *timer;
	report_fn fn;
	void *arg;
};

struct report {
	struct report_config config;
	struct report_item *first;
	struct strs left; /* file names in the spool still to be sent */
	size_t left_at;
	unsigned left_tries; /* tries since the last delivery of one of them */
	struct loop_timer *next_left;
};

static void post(void *arg);
static void send_next_left(void *arg);

/* Runs work on the pool and done on the loop; both at once if the pool refuses. */
static void in_background(struct report_item *item, loop_fn work, loop_fn done)
{
	item->in_pool = true;
	if (pool_submit(item->report->config.pool, work, done, item) == 0)
		return;
	work(item);
	loop_post(item->report->config.loop, done, item);
}

static struct report_item *new_item(struct report *r, char *name, char *body)
{
	struct report_item *item = loom_calloc(1, sizeof(*item));
	item->report = r;
	item->name = name;
	item->body = body;
	item->timer = loop_timer_create(r->config.loop, "report", post, item);
	item->next = r->first;
	if (r->first)
		r->first->prev = item;
	r->first = item;
	metric_add(&stats[STAT_RESULTS_WAITING], 1);
	return item;
}

static void free_memory(struct report_item *item)
{
	loom_free(item->name);
	loom_free(item->body);
	loom_free(item->worker);
	loom_free(item->refusal);
	loom_free(item);
}

static void free_item(struct report *r, struct report_item *item)
{
	if (item->prev)
		item->prev->next = item->next;
	else
		r->first = item->next;
	if (item->next)
		item->next->prev = item->prev;
	wire_cancel(item->call);
	loop_timer_destroy(item->timer);
	metric_add(&stats[STAT_RESULTS_WAITING], -1);
	if (item->overdue)
		metric_add(&stats[STAT_RESULTS_OVERDUE], -1);
	item->report = NULL;
	if (!item->in_pool)
		free_memory(item);
}

/* Call first in the loop's part of disk work: false if the item is an orphan, which is freed
 * now. */
static bool back_from_pool(struct report_item *item)
{
	item->in_pool = false;
	if (item->report)
		return true;
	free_memory(item);
	return false;
}

struct report *report_create(const struct report_config *config)
{
	struct report *r = loom_calloc(1, sizeof(*r));
	r->config = *config;
	r->next_left = loop_timer_create(config->loop, "report-left", send_next_left, r);
	return r;
}

void report_destroy(struct report *r)
{
	if (!r)
		return;
	while (r->first)
		free_item(r, r->first);
	loop_timer_destroy(r->next_left);
	strs_fini(&r->left);
	loom_free(r);
}

/* ---- the end of an item -----------------------------------------------------------------------
 */

static void delete_work(void *arg)
{
	struct report_item *item = arg;
	item->disk = spool_del(item->report->config.spool, item->name);
}

static void delete_done(void *arg)
{
	struct report_item *item = arg;
	if (!back_from_pool(item))
		return;
	if (item->disk)
		log_error("result cannot be removed from the spool", LOG_S("file", item->name),
		          LOG_S("error", strerrordesc_np(-item->disk)));
	if (item->left_over) {
		item->report->left_tries = 0;
		loop_timer_arm(item->report->next_left, 0);
	}
	if (item->fn)
		item->fn(item, item->fate, item->arg);
	free_item(item->report, item);
}

static void settle(struct report_item *item, enum report_event fate)
{
	item->fate = fate;
	in_background(item, delete_work, delete_done);
}

/* Moves an item of an earlier process behind the others, as only one of these is in memory at a
 * time: the server may be able to store results of other clusters. */
static void try_later(struct report_item *item, const struct wire_answer *a)
{
	struct report *r = item->report;
	char **first = &r->left.v[--r->left_at], *name = *first;
	size_t behind = r->left.n - r->left_at - 1;
	memmove(first, first + 1, behind * sizeof(*first));
	first[behind] = name;
	item->overdue = false; /* its file still counts as overdue */
	loop_timer_arm(r->next_left, wire_pause_ms(a, r->left_tries++, BACKOFF_CAP_MS));
	free_item(r, item);
}

static void try_again(struct report_item *item, const struct wire_answer *a)
{
	char why[160];
	unsigned tries = item->left_over ? item->report->left_tries : item->tries;
	metric_add(&stats[STAT_CALLS_FAILED], 1);
	if (!item->overdue)
		metric_add(&stats[STAT_RESULTS_OVERDUE], 1);
	item->overdue = true;
	if (tries == 0)
		log_warn("result not delivered yet; it is kept", LOG_S("file", item->name),
		         LOG_S("reason", wire_reason(a, why)));
	if (item->left_over)
		try_later(item, a);
	else
		loop_timer_arm(item->timer, wire_pause_ms(a, item->tries++, BACKOFF_CAP_MS));
}

/* Is this a final refusal by the server itself? Other statuses may come from something in between,
 * and may change. */
static bool refused(const struct report_item *item, int status)
{
	return status == BAD_REQUEST || status == TOO_LARGE || status == NOT_HELD ||
	       (status == FORBIDDEN && item->foreign);
}

/* Replaces a result that the server will never accept by a failure with the server's text. A crash
 * here does no harm: the result in the spool is refused and replaced again. */
static bool replace(struct report_item *item, const struct wire_answer *a)
{
	LOOM_CLEANUP(json_free) struct json *old = NULL;
	if (item->replaced ||
	    json_parse(item->body, strlen(item->body), SPOOL_MAX_BYTES, &old, NULL))
		return false;
	LOOM_CLEANUP_STR char *words = wire_words(a);
	loom_free(item->refusal);
	item->refusal = loom_asprintf("the server refused the result: %s", words);
	LOOM_CLEANUP(json_free) struct json *failed = task_result_failure(old, item->refusal);
	loom_free(item->body);
	item->body = json_text(failed);
	item->replaced = true;
	item->tries = 0;
	return true;
}

static void on_answer(const struct wire_answer *a, void *arg)
{
	struct report_item *item = arg;
	struct report *r = item->report;
	char why[160];
	item->call = NULL;
	if (item->asked)
		r->config.on_next(
			&(struct report_next){ item->asked, item->worker, item->since, a },
			r->config.arg);
	if (wire_ok(a)) {
		if (item->left_over || item->tries)
			log_info("kept result delivered", LOG_S("file", item->name));
		settle(item, REPORT_ACCEPTED);
	} else if (refused(item, a->status)) {
		log_warn("result refused by the server", LOG_S("file", item->name),
		         LOG_S("reason", wire_reason(a, why)));
		if ((a->status == BAD_REQUEST || a->status == TOO_LARGE) && replace(item, a))
			item->fn ? item->fn(item, REPORT_REPLACED, item->arg) : post(item);
		else
			settle(item, REPORT_REFUSED);
	} else {
		try_again(item, a);
		if (a->status == FORBIDDEN)
			r->config.on_unregistered(r->config.arg);
	}
}

/* The result with a request for next tasks, if there is room for any. Returns owned. */
static char *message(struct report_item *item)
{
	const struct report_config *config = &item->report->config;
	size_t len = strlen(item->body);
	bool may_ask = item->worker && len + NEXT_BYTES <= TASK_RESULT_MAX;
	item->asked = may_ask ? config->ask_next(config->arg) : 0;
	item->since = clock_mono_ms();
	if (!item->asked)
		return loom_strdup(item->body);
	return loom_asprintf("%.*s,\"next\":%zu,\"lease\":true}", (int)len - 1, item->body,
	                     item->asked);
}

static void post(void *arg)
{
	struct report_item *item = arg;
	LOOM_CLEANUP_STR char *text = message(item);
	item->call = wire_start(item->report->config.wire,
	                        &(struct wire_request){ .method = "POST",
	                                                .path = "/v2/tasks/finish",
	                                                .text = text,
	                                                .timeout_ms = CALL_MS },
	                        on_answer, item);
}

/* ---- new results ------------------------------------------------------------------------------
 */

static void save_work(void *arg)
{
	struct report_item *item = arg;
	item->disk =
		spool_put(item->report->config.spool, item->name, item->body, strlen(item->body));
}

static void save_done(void *arg)
{
	struct report_item *item = arg;
	if (!back_from_pool(item))
		return;
	if (item->disk)
		log_error("result cannot be kept on disk; it is sent from memory",
		          LOG_S("file", item->name), LOG_S("error", strerrordesc_np(-item->disk)));
	item->fn(item, REPORT_SAVED, item->arg);
}

struct report_item *report_save(struct report *r, const char *task, int64_t attempt,
                                const struct json *finish, report_fn fn, void *arg)
{
	struct report_item *item = new_item(r, spool_name(task, attempt), json_text(finish));
	item->worker = loom_strdup(json_get_str(finish, "workerId"));
	item->fn = fn;
	item->arg = arg;
	in_background(item, save_work, save_done);
	return item;
}

void report_send(struct report_item *item)
{
	post(item);
}

const char *report_refusal(const struct report_item *item)
{
	return item->refusal;
}

/* ---- results left by an earlier process -------------------------------------------------------
 */

static void read_work(void *arg)
{
	struct report_item *item = arg;
	struct spool *spool = item->report->config.spool;
	LOOM_CLEANUP(json_free) struct json *finish = NULL;
	size_t len = 0;

	item->disk = spool_get(spool, item->name, &item->body, &len);
	if (item->disk)
		return;
	if (json_parse(item->body, len, SPOOL_MAX_BYTES, &finish, NULL) ||
	    !json_get_str(finish, "taskId")) {
		item->disk = -EBADMSG;
		(void)spool_set_aside(spool, item->name);
		return;
	}
	item->foreign =
		!str_eq(json_get_str(finish, "provisionerId"), item->report->config.provisioner);
}

static void read_done(void *arg)
{
	struct report_item *item = arg;
	if (!back_from_pool(item))
		return;
	if (!item->disk) {
		post(item);
		return;
	}
	log_error("kept result cannot be read", LOG_S("file", item->name),
	          LOG_S("error", strerrordesc_np(-item->disk)));
	loop_timer_arm(item->report->next_left, 0);
	free_item(item->report, item);
}

static void send_next_left(void *arg)
{
	struct report *r = arg;
	struct report_item *item;
	if (r->left_at == r->left.n)
		return;
	item = new_item(r, loom_strdup(r->left.v[r->left_at++]), NULL);
	item->left_over = item->overdue = true;
	in_background(item, read_work, read_done);
}

int report_resend(struct report *r)
{
	int error = spool_list(r->config.spool, &r->left);
	if (error)
		return error;
	if (r->left.n)
		log_info("results were left in the spool", LOG_I("count", r->left.n));
	metric_add(&stats[STAT_RESULTS_OVERDUE], (int64_t)r->left.n);
	send_next_left(r);
	return 0;
}
