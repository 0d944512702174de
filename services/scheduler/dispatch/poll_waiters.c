/* SPDX-License-Identifier: Apache-2.0 */
/* poll_waiters - the list of waiting takes, and their answers. */
#include "services/scheduler/dispatch/poll_waiters.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"

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

void poll_waiters_answer(struct waiter *p, struct json *payloads, int64_t claimed)
{
	struct json *tasks = payloads ? payloads : json_new_arr();
	const struct msg_tasks m = { .tasks = tasks,
		                     .held_ms = claimed > p->since ? claimed - p->since : 0 };
	bus_answer(p->call, &m);
	json_free(tasks);
	message_free(p->asked);
	loom_free(p);
}

static void answer_nothing(struct poll_waiters *k, struct waiter *p)
{
	poll_waiters_remove(k, p);
	poll_waiters_answer(p, NULL, 0);
}

bool poll_waiters_add(struct poll_waiters *k, struct bus_call *call, struct msg_take *asked,
                      int64_t lease_ms, bool draining)
{
	int64_t now = clock_mono_ms();
	struct waiter *p = loom_calloc(1, sizeof(*p));
	*p = (struct waiter){ .call = call,
		              .asked = asked,
		              .take = { .id = asked->id,
		                        .tenant = asked->tenant,
		                        .provisioner = asked->provisioner,
		                        .worker = asked->worker,
		                        .max = asked->max,
		                        .lease_ms = lease_ms,
		                        .claim = asked->claim },
		              .since = now - asked->held_ms,
		              .until = now + asked->wait_ms };
	if (draining) {
		poll_waiters_answer(p, NULL, 0);
		return false;
	}
	poll_waiters_cancel(k, p->take.id); /* repeated: the first answer would be lost */
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
