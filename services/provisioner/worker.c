/* SPDX-License-Identifier: Apache-2.0 */
/* Assigns tasks to slots, and stops them before their leases end. */
#include "worker.h"

#include "common/base/ids.h"
#include "slot.h"
#include "spawn.h"

#include <string.h>

enum { BAD = 1 };

struct workers {
	struct workers_config config;
	struct slot *slots;
	size_t n; /* twice the capacity: while results are delivered, other tasks run */
	struct loop_timer *begin;
};

static size_t count_states(const struct workers *w, enum slot_state from, enum slot_state to)
{
	size_t n = 0;
	for (size_t i = 0; i < w->n; i++)
		n += w->slots[i].state >= from && w->slots[i].state <= to;
	return n;
}

size_t workers_free(const struct workers *w)
{
	size_t n = count_states(w, SLOT_FREE, SLOT_FREE), running = workers_running(w);
	size_t may_run = w->config.capacity > running ? w->config.capacity - running : 0;
	return n < may_run ? n : may_run;
}

size_t workers_running(const struct workers *w)
{
	return count_states(w, SLOT_RUNNING, SLOT_RUNNING);
}

size_t workers_busy(const struct workers *w)
{
	return count_states(w, SLOT_RUNNING, SLOT_FLUSHING);
}

bool workers_about_to_report(const struct workers *w)
{
	bool any = false;
	for (size_t i = 0; i < w->n; i++)
		any = any || (w->slots[i].state == SLOT_REPORTING && !w->slots[i].sent);
	return any;
}

/* Starts one task at a time, the oldest first: starting a plugin's process may take a while on a
 * busy machine (a quarter of a second was seen), and the loop must hear of leases in between. */
static void begin_next(void *arg)
{
	struct workers *w = arg;
	struct slot *next = NULL;
	size_t waiting = 0;
	for (size_t i = 0; i < w->n; i++) {
		struct slot *s = &w->slots[i];
		if (!slot_begins(s))
			continue;
		waiting++;
		if (!next || s->taken < next->taken)
			next = s;
	}
	if (waiting > 1)
		loop_timer_arm(w->begin, 0);
	if (next)
		slot_begin(next);
}

struct workers *workers_create(const struct workers_config *config)
{
	struct workers *w = loom_calloc(1, sizeof(*w));
	w->config = *config;
	w->n = 2 * config->capacity;
	w->slots = loom_calloc(w->n, sizeof(*w->slots));
	_Atomic int64_t *leases = spawn_shared(w->n);
	for (size_t i = 0; i < w->n; i++)
		slot_init(&w->slots[i], &w->config, &leases[i]);
	w->begin = loop_timer_create(config->loop, "begin", begin_next, w);
	return w;
}

void workers_destroy(struct workers *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n; i++)
		slot_fini(&w->slots[i]);
	loop_timer_destroy(w->begin);
	loom_free(w->slots);
	loom_free(w);
}

static struct slot *free_slot(const struct workers *w)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->slots[i].state == SLOT_FREE)
			return &w->slots[i];
	}
	return NULL;
}

char *workers_take_id(const struct workers *w)
{
	const struct slot *s = free_slot(w);
	size_t n = s ? (size_t)(s - w->slots) : 0;
	return loom_asprintf("%s.%zu", w->config.provisioner, n);
}

int workers_start(struct workers *w, const char *worker, int64_t claimed, struct json *task,
                  struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *owned = task;
	struct slot *s = free_slot(w);
	const char *id = json_get_str(task, "taskId");
	struct task_ref ref;

	if (!s)
		return err_set(err, BAD, "no free slot");
	if (!id || id_parse_task(id, &ref) || strlen(id) >= ID_MAX)
		return err_set(err, BAD, "it has no task id");
	if (json_get_int(task, "attempt", 0) < 0)
		return err_set(err, BAD, "its attempt is negative");
	slot_start(s, worker, claimed, loom_take(owned));
	loop_timer_arm(w->begin, 0);
	return 0;
}

/* ---- what the server knows --------------------------------------------------------------------
 */

struct json *workers_tasks(const struct workers *w)
{
	struct json *list = json_new_arr();
	for (size_t i = 0; i < w->n; i++) {
		const struct slot *s = &w->slots[i];
		if (!slot_needs_lease(s))
			continue;
		struct json *one = json_set_str(json_new_obj(), "taskId", s->id);
		(void)json_set_str(one, "claim", s->claim);
		(void)json_push(list, json_set_int(one, "attempt", s->attempt));
	}
	return list;
}

struct json *workers_usage(const struct workers *w)
{
	struct json *usage = json_new_obj();
	for (size_t i = 0; i < w->n; i++) {
		const char *tenant = w->slots[i].tenant;
		if (slot_needs_lease(&w->slots[i]))
			(void)json_set_int(usage, tenant, json_get_int(usage, tenant, 0) + 1);
	}
	return usage;
}

/* The slot that holds this attempt; NULL: none. */
static struct slot *slot_of(const struct workers *w, const char *task, int64_t attempt)
{
	for (size_t i = 0; i < w->n; i++) {
		if (str_eq(w->slots[i].id, task) && w->slots[i].attempt == attempt)
			return &w->slots[i];
	}
	return NULL;
}

void workers_renewed_all(struct workers *w, int64_t since)
{
	for (size_t i = 0; i < w->n; i++)
		slot_extend(&w->slots[i], since);
}

static void hear_lease(struct workers *w, const struct json *one, int64_t since)
{
	struct slot *s = slot_of(w, json_get_str(one, "taskId"), json_get_int(one, "attempt", 0));
	if (s && json_get_bool(one, "ok", true))
		slot_extend(s, since);
	else if (s)
		slot_lose(s, "its lease is gone");
}

void workers_heard(struct workers *w, const struct json *answer, int64_t since)
{
	const struct json *leases = json_get(answer, "leases"),
			  *cancel = json_get(answer, "cancel");
	for (size_t i = 0; i < json_len(leases); i++)
		hear_lease(w, json_at(leases, i), since);
	for (size_t i = 0; i < json_len(cancel); i++) {
		const struct json *one = json_at(cancel, i);
		struct slot *s =
			slot_of(w, json_get_str(one, "taskId"), json_get_int(one, "attempt", 0));
		if (s)
			slot_cancel(s);
	}
}

void workers_lost_all(struct workers *w, const char *why)
{
	for (size_t i = 0; i < w->n; i++)
		slot_lose(&w->slots[i], why);
}
