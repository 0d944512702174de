/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/dispatch/parking.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"

enum { MOST = 64, LONGEST_MS = 3600 * 1000 }; /* tasks for one take; of a wait */

static int64_t span(const struct json *body, const char *name)
{
	int64_t ms = json_get_int(body, name, 0);
	return ms < 0 ? 0 : ms > LONGEST_MS ? LONGEST_MS : ms;
}

static void put(struct parking *k, struct parked *p)
{
	struct parked **at = &k->first;
	while (*at)
		at = &(*at)->next;
	p->next = NULL;
	*at = p;
}

void parking_take_out(struct parking *k, const struct parked *p)
{
	struct parked **at = &k->first;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
}

struct json *parking_tasks(struct json *docs, bool as_texts)
{
	if (as_texts && docs)
		return docs;
	struct json *values = json_new_arr();
	for (size_t i = 0; i < json_len(docs); i++) {
		struct json *v = NULL;
		struct loom_err err;
		if (!json_parse_str(json_str(json_at(docs, i)), &v, &err))
			json_push(values, v);
		else /* its lease brings it back */
			log_error("a task cannot be told to an older API",
			          LOG_S("reason", err.msg));
	}
	json_free(docs);
	return values;
}

void parking_answer(struct parked *p, struct json *docs, int64_t claimed)
{
	LOOM_CLEANUP(json_free)
	struct json *body = json_set(json_new_obj(), "tasks", parking_tasks(docs, p->take.texts));
	json_set_int(body, "heldMs", claimed > p->since ? claimed - p->since : 0);
	bus_answer(p->call, body);
	loom_free(p->take.id);
	loom_free(p->take.tenant);
	loom_free(p->take.provisioner);
	loom_free(p->take.worker);
	loom_free(p);
}

static void answer_nothing(struct parking *k, struct parked *p)
{
	parking_take_out(k, p);
	parking_answer(p, NULL, 0);
}

bool parking_take(struct parking *k, struct bus_call *call, const struct json *body,
                  int64_t lease_ms, bool draining)
{
	int64_t max = json_get_int(body, "max", 1), now = clock_mono_ms();
	struct parked *p = loom_calloc(1, sizeof(*p));
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
		parking_answer(p, NULL, 0);
		return false;
	}
	put(k, p);
	return true;
}

void parking_withdraw(struct parking *k, const char *id)
{
	struct parked *p = k->first;
	while (p && !(id && str_eq(p->take.id, id)))
		p = p->next;
	if (!p)
		return;
	p->withdrawn = true;
	if (!p->in_turn)
		answer_nothing(k, p);
}

void parking_answer_expired(struct parking *k, bool all)
{
	int64_t now = clock_mono_ms();
	for (struct parked *p = k->first, *next; p; p = next) {
		next = p->next;
		if (!p->in_turn && (all || p->until <= now))
			answer_nothing(k, p);
	}
}

void parking_tried(struct parking *k, const struct parked *by, uint64_t epoch)
{
	for (struct parked *p = k->first; p; p = p->next)
		if (p->tried < epoch &&
		    (p == by || (p->tried && str_eq(p->take.tenant, by->take.tenant))))
			p->tried = epoch;
}

size_t parking_places(const struct parking *k, size_t enough)
{
	size_t places = 0;
	for (const struct parked *p = k->first; p && places <= enough; p = p->next)
		places += (size_t)p->take.max;
	return places;
}

size_t parking_count(const struct parking *k)
{
	size_t n = 0;
	for (const struct parked *p = k->first; p; p = p->next)
		n += !p->in_turn;
	return n;
}
