/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/dispatch/turn_private.h"

static void forget_touched(struct turn *t)
{
	for (size_t i = 0; i < t->n_touched; i++) {
		engine_fini(&t->touched[i].ch);
		page_free(t->touched[i].page);
	}
	loom_free(t->touched);
	t->touched = NULL;
	t->n_touched = 0;
}

static void begin(struct turn *t)
{
	forget_touched(t);
	for (size_t i = 0; i < t->n_results; i++)
		t->results[i].status = 417;
	for (size_t i = 0; i < t->n_takes; i++) {
		json_free(t->takes[i].docs);
		t->takes[i].docs = NULL;
		t->takes[i].size = 0;
	}
}

static void unit_fini(struct unit *u)
{
	for (size_t i = 0; i < u->n_jobs; i++)
		job_fini(&u->jobs[i].job);
	for (size_t i = 0; i < u->n_refusals; i++)
		loom_free(u->refusals[i].why);
	limits_hold_fini(&u->limits);
	for (size_t i = 0; i < u->n_sets; i++)
		tasks_free(u->sets[i]);
	if (!u->turn->successors)
		successors_destroy(u->successors);
	void *const all[] = { u->sets, u->items, u->index,   u->jobs,    u->machines,
		              u->done, u->born,  u->own_way, u->choices, u->refusals };
	for (size_t i = 0; i < LOOM_COUNT(all); i++)
		loom_free(all[i]);
}

static int turn_tx(struct db *db, void *arg)
{
	static int (*const steps[])(struct unit * u) = { rows_load,           results_apply,
		                                         claims_make,         rows_write,
		                                         results_own_way,     claims_refuse,
		                                         rows_write_clusters, rows_to_pages };
	struct turn *t = arg;
	struct unit u = { .turn = t, .db = db };
	u.successors = t->successors ? t->successors : successors_create();
	int rc = 0;
	begin(t);
	for (size_t i = 0; !rc && i < LOOM_COUNT(steps); i++)
		rc = steps[i](&u);
	unit_fini(&u);
	return rc;
}

int turn_run(struct turn *t)
{
	t->more = false;
	t->look_ms = -1;
	int rc = t->search ? candidates_find(t) : t->n_takes ? turn_know_rules(t) : 0;
	if (!rc && (t->n_results || t->n_candidates))
		rc = db_tx(t->db, turn_tx, t);
	for (size_t i = 0; !rc && i < t->n_touched; i++)
		if (t->touched[i].page)
			book_put(t->book, loom_take(t->touched[i].page));
	return rc;
}

void turn_fini(struct turn *t)
{
	forget_touched(t);
	for (size_t i = 0; i < t->n_takes; i++)
		json_free(t->takes[i].docs);
	loom_free(t->candidates);
	loom_free(t->handed);
}
