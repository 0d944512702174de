/* SPDX-License-Identifier: Apache-2.0 */
/* Brings results to the server: durable before they are sent, sent until they are answered. */
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
	NOT_HELD = 417, /* the attempt is not ours any more */
	FAILED = 1,
	REFUSAL_MAX = 512, /* bytes of a refusal that are passed on */
	NEXT_BYTES = 64,   /* of what asks for the next tasks */
};

/*
 * The life of an item: save (pool) -> SAVED -> post, again and again -> the server's word ->
 * remove (pool) -> gone. While a job for it is in the pool, its memory must stay: destroying the
 * report then leaves an orphan, which the job's end frees.
 */
struct report_item {
	struct report *report;
	struct report_item *prev, *next;
	char *name; /* in the spool */
	char *body;
	char *worker;   /* id that the task was taken with; NULL: of an earlier process */
	size_t asked;   /* tasks that the answer to the call may bring */
	int64_t since;  /* mono ms, of the call */
	bool left_over; /* by an earlier process */
	bool foreign;   /* and under another id than ours */
	bool replaced;  /* by a failure: the server refused what was first sent */
	char *refusal;  /* and said this */
	unsigned tries;
	int disk; /* result of the last disk job */
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
	struct strs left; /* names still to be sent from the spool */
	size_t left_at;
	struct loop_timer *next_left;
};

static void post(void *arg);
static void send_next_left(void *arg);

/* Work on the pool, done on the loop; at once when the pool does not take it. */
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
	item->report = NULL;
	if (!item->in_pool)
		free_memory(item);
}

/* First thing in the loop's half of a disk job: false when the item is an orphan, now freed. */
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
	if (item->left_over)
		loop_timer_arm(item->report->next_left, 0);
	if (item->fn)
		item->fn(item, item->fate, item->arg);
	free_item(item->report, item);
}

static void settle(struct report_item *item, enum report_event fate)
{
	item->fate = fate;
	in_background(item, delete_work, delete_done);
}

static void try_again(struct report_item *item, const struct wire_answer *a)
{
	char why[160];
	int64_t pause = wire_pause_ms(a, item->tries, BACKOFF_CAP_MS);
	metric_add(&stats[STAT_CALLS_FAILED], 1);
	if (item->tries++ == 0)
		log_warn("result not delivered yet; it is kept", LOG_S("file", item->name),
		         LOG_S("reason", wire_reason(a, why)));
	loop_timer_arm(item->timer, pause);
}

/* The server's own "no". Any other word is that of something in between, and may change. */
static bool refused(const struct report_item *item, int status)
{
	return status == BAD_REQUEST || status == TOO_LARGE || status == NOT_HELD ||
	       (status == FORBIDDEN && item->foreign);
}

/* What a refusal says, in one piece of text. Returns owned. */
static char *servers_words(const struct wire_answer *a)
{
	LOOM_CLEANUP(json_free) struct json *problem = NULL;
	size_t n = a->len < REFUSAL_MAX ? a->len : REFUSAL_MAX;

	if (json_parse(a->body, a->len, SPOOL_MAX_BYTES, &problem, NULL) == 0 &&
	    json_get_str(problem, "detail"))
		return loom_strdup(json_get_str(problem, "detail"));
	while (n && (a->body[n - 1] == '\n' || a->body[n - 1] == ' '))
		n--;
	return n ? loom_asprintf("%.*s", (int)n, a->body) : loom_asprintf("HTTP %d", a->status);
}

/*
 * The server does not take this result and never will. The task has failed then, in the server's
 * words: dropped, it would be done again and again, and in the end a lost worker be blamed. The
 * name that the provider gave is kept, so that what was made can be removed. A crash in here costs
 * nothing: the result in the spool is refused and replaced again.
 */
static bool replace(struct report_item *item, const struct wire_answer *a)
{
	static const char *const kept[] = { "provisionerId", "workerId", "tenantId",
		                            "taskId",        "attempt",  "claim" };
	LOOM_CLEANUP(json_free) struct json *old = NULL, *failed = json_new_obj();

	if (item->replaced ||
	    json_parse(item->body, strlen(item->body), SPOOL_MAX_BYTES, &old, NULL))
		return false;
	for (size_t i = 0; i < LOOM_COUNT(kept); i++) {
		if (json_get(old, kept[i]))
			(void)json_set(failed, kept[i], json_copy(json_get(old, kept[i])));
	}
	LOOM_CLEANUP_STR char *words = servers_words(a);
	loom_free(item->refusal);
	item->refusal = loom_asprintf("the server refused the result: %s", words);
	(void)json_set_int(failed, "status", FAILED);
	(void)json_set_str(failed, "message", item->refusal);
	const char *name = json_get_str(json_get(old, "result"), "providerid");
	if (name && strlen(name) <= TASK_RESULT_TEXT)
		(void)json_set(failed, "result", json_set_str(json_new_obj(), "providerid", name));
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

/* The result, which asks for the next tasks, too, if there is room. Returns owned. */
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
	item->left_over = true;
	in_background(item, read_work, read_done);
}

int report_resend(struct report *r)
{
	int error = spool_list(r->config.spool, &r->left);
	if (error)
		return error;
	if (r->left.n)
		log_info("results were left in the spool", LOG_I("count", r->left.n));
	send_next_left(r);
	return 0;
}
