/* SPDX-License-Identifier: Apache-2.0 */
/* poll_waiters - the list of takes that wait, and their answers. */
#include "services/scheduler/dispatch/poll_waiters.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"

enum { MOST = 64, LONGEST_MS = 3600 * 1000 }; /* tasks for one take; of a wait */

static int64_t span(const struct json *body, const char *name)
{
	int64_t ms = json_get_int(body, name, 0);
	return ms < 0 ? 0 : ms > LONGEST_MS ? LONGEST_MS : ms;
}

static void put(struct poll_waiters *k, struct waiter *p)
{
	struct waiter **at = &k->first;
	while (*at)
		at = &(*at)->next;
	p->next = NULL;
	*at = p;
}

void poll_waiters_remove(struct poll_waiters *k, const struct waiter *p)
{
	struct waiter **at = &k->first;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
}

struct json *poll_waiters_tasks(struct json *payloads, bool as_texts)
{
	if (as_texts && payloads)
		return payloads;
	struct json *values = json_new_arr();
	for (size_t i = 0; i < json_len(payloads); i++) {
		struct json *v = NULL;
		struct loom_err err;
		if (!json_parse_str(json_str(json_at(payloads, i)), &v, &err))
			json_push(values, v);
		else /* its lease brings it back */
			log_error("a task cannot be told to an older API",
			          LOG_S("reason", err.msg));
	}
	json_free(payloads);
	return values;
}

void poll_waiters_answer(struct waiter *p, struct json *payloads, int64_t claimed)
{
	LOOM_CLEANUP(json_free)
	struct json *body =
		json_set(json_new_obj(), "tasks", poll_waiters_tasks(payloads, p->take.texts));
	json_set_int(body, "heldMs", claimed > p->since ? claimed - p->since : 0);
	bus_answer(p->call, body);
	loom_free(p->take.id);
	loom_free(p->take.tenant);
	loom_free(p->take.provisioner);
	loom_free(p->take.worker);
	loom_free(p);
}

static void answer_nothing(struct poll_waiters *k, struct waiter *p)
{
	poll_waiters_remove(k, p);
	poll_waiters_answer(p, NULL, 0);
}

bool poll_waiters_add(struct poll_waiters *k, struct bus_call *call, const struct json *body,
                      int64_t lease_ms, bool draining)
{
	int64_t max = json_get_int(body, "max", 1), now = clock_mono_ms();
	struct waiter *p = loom_calloc(1, sizeof(*p));
	p->call = call;
	p->take = (struct take){ .id = loom_strdup(json_get_str(body, "takeId")),
		                 .tenant = loom_strdup(json_get_str(body, "tenantId")),
		                 .provisioner = loom_strdup(json_get_str(body, "provisionerId")),
		                 .worker = loom_strdup(json_get_str(body, "workerId")),
		                 .max = max < 1      ? 1
		                        : max > MOST ? MOST
		                                     : max,
		                 .lease_ms = lease_ms,
		                 .texts = json_get_bool(body, "texts", false) };
	p->since = now - span(body, "heldMs");
	p->until = now + span(body, "waitMs");
	if (draining || !p->take.tenant || !p->take.provisioner || !p->take.worker) {
		poll_waiters_answer(p, NULL, 0);
		return false;
	}
	poll_waiters_cancel(k, p->take.id); /* asked again: nobody hears the first one's answer */
	put(k, p);
	return true;
}

void poll_waiters_cancel(struct poll_waiters *k, const char *id)
{
	struct waiter *p = k->first;
	while (p && !(id && str_eq(p->take.id, id)))
		p = p->next;
	if (!p)
		return;
	p->withdrawn = true;
	if (!p->in_batch)
		answer_nothing(k, p);
}

void poll_waiters_answer_expired(struct poll_waiters *k, bool all)
{
	int64_t now = clock_mono_ms();
	for (struct waiter *p = k->first, *next; p; p = next) {
		next = p->next;
		if (!p->in_batch && (all || p->until <= now))
			answer_nothing(k, p);
	}
}

void poll_waiters_searched(struct poll_waiters *k, const struct waiter *by, uint64_t epoch)
{
	for (struct waiter *p = k->first; p; p = p->next) {
		if (p->searched < epoch &&
		    (p == by || (p->searched && str_eq(p->take.tenant, by->take.tenant))))
			p->searched = epoch;
	}
}

size_t poll_waiters_places(const struct poll_waiters *k, size_t enough)
{
	size_t cursors = 0;
	for (const struct waiter *p = k->first; p && cursors <= enough; p = p->next)
		cursors += (size_t)p->take.max;
	return cursors;
}

size_t poll_waiters_count(const struct poll_waiters *k)
{
	size_t n = 0;
	for (const struct waiter *p = k->first; p; p = p->next)
		n += !p->in_batch;
	return n;
}
