/* SPDX-License-Identifier: Apache-2.0 */
/* Explains what a cluster waits for. Pure; why_read.c reads. */
#include "services/api/cluster/why.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/model/worker/hold.h"

#define MAX_TASKS    200
#define MAX_WAITS_ON 4

static char *task_words(const struct task *t)
{
	return loom_asprintf("%s%s%s on node %lld", t->name, *t->service ? " of " : "", t->service,
	                     (long long)t->node_num);
}

/* ---- ready tasks: the first cause that holds --------------------------------------------------
 */

static const struct limit *limit_of(const struct why_input *in, const struct task *t)
{
	char gate[TASK_GATE_MAX];
	task_gate(t->name, json_get_str(json_get(in->c->brief, "provider"), "name"), gate);
	return *gate ? limits_of_gate(in->limits, in->c->tenant_id, gate) : NULL;
}

static bool is_paused(const struct why_input *in, const struct task *t LOOM_UNUSED)
{
	return in->latest->status == JOB_PAUSED;
}

static char *say_paused(const struct why_input *in, const struct task *t LOOM_UNUSED)
{
	return *in->hold.paused_by ? loom_asprintf("is held back: user %s has paused the job",
	                                           in->hold.paused_by)
	                           : loom_strdup("is held back: the job is paused");
}

static bool needs_addresses(const struct why_input *in, const struct task *t)
{
	return t->not_before > in->now && !t->failures;
}

static char *say_addresses(const struct why_input *in LOOM_UNUSED, const struct task *t LOOM_UNUSED)
{
	return loom_strdup("waits for addresses of machines that are still being made");
}

static bool is_retried(const struct why_input *in, const struct task *t)
{
	return t->not_before > in->now;
}

static char *say_retried(const struct why_input *in, const struct task *t)
{
	char when[32];
	clock_format(t->not_before, when);
	const char *bad = json_get_str(in->supply.bad, t->provisioner_id ? t->provisioner_id : "");
	return loom_asprintf("failed %lld times and is tried again at %s: %s%s%s%s",
	                     (long long)t->failures + t->losses, when,
	                     t->message ? t->message : "no reason given",
	                     bad ? "; provisioner " : "", bad ? t->provisioner_id : "",
	                     bad ? ", where it failed, is in quarantine" : "");
}

static bool has_nobody(const struct why_input *in, const struct task *t LOOM_UNUSED)
{
	return !in->supply.registered;
}

static char *say_nobody(const struct why_input *in LOOM_UNUSED, const struct task *t LOOM_UNUSED)
{
	return loom_strdup("waits for a worker: no provisioner is registered");
}

static bool has_only_bad(const struct why_input *in, const struct task *t LOOM_UNUSED)
{
	return !in->supply.serving && json_len(in->supply.bad);
}

static char *say_only_bad(const struct why_input *in, const struct task *t LOOM_UNUSED)
{
	LOOM_CLEANUP(strs_fini) struct strs names = { 0 };
	for (size_t i = 0; i < json_len(in->supply.bad) && i < MAX_WAITS_ON; i++)
		strs_add(&names, json_key_at(in->supply.bad, i));
	LOOM_CLEANUP_STR char *list = strs_join(&names, ", ");
	return loom_asprintf("waits for a worker of tenant %s: those there were are in quarantine"
	                     " (%s: %s)",
	                     in->tenant, list, json_str(json_value_at(in->supply.bad, 0)));
}

static bool has_no_server(const struct why_input *in, const struct task *t LOOM_UNUSED)
{
	return !in->supply.serving;
}

static char *say_no_server(const struct why_input *in, const struct task *t LOOM_UNUSED)
{
	return loom_asprintf("waits for a worker of tenant %s: %lld provisioners are registered,"
	                     " none of them asks for its tasks",
	                     in->tenant, (long long)in->supply.registered);
}

static bool is_over_creates(const struct why_input *in, const struct task *t)
{
	const struct limit *l = limit_of(in, t);
	return l && l->creates && str_eq(t->name, "CREATE") && l->running >= l->creates;
}

static char *say_creates(const struct why_input *in, const struct task *t)
{
	const struct limit *l = limit_of(in, t);
	return loom_asprintf(
		"waits for provider %s: its limit is %lld creates at once, and %lld run",
		l->provider, (long long)l->creates, (long long)l->running);
}

static bool is_over_calls(const struct why_input *in, const struct task *t)
{
	const struct limit *l = limit_of(in, t);
	int64_t at = 0;
	return l && !limit_room(l, false, in->now, &at) && at;
}

static char *say_calls(const struct why_input *in, const struct task *t)
{
	const struct limit *l = limit_of(in, t);
	char when[32];
	int64_t at;
	(void)limit_room(l, false, in->now, &at);
	clock_format(at, when);
	return loom_asprintf(
		"waits for provider %s: its limit is %lld calls in %lld ms; the next may"
		" be at %s",
		l->provider, (long long)l->calls_max, (long long)l->window_ms, when);
}

static bool is_crowded_out(const struct why_input *in, const struct task *t LOOM_UNUSED)
{
	return in->supply.running >= in->supply.capacity;
}

static char *say_busy(const struct why_input *in, const struct task *t LOOM_UNUSED)
{
	return loom_asprintf("waits for a free worker: all %lld slots of the %lld provisioners that"
	                     " serve tenant %s are busy",
	                     (long long)in->supply.capacity, (long long)in->supply.serving,
	                     in->tenant);
}

static bool is_unheard(const struct why_input *in, const struct task *t LOOM_UNUSED)
{
	return in->unheard;
}

static char *say_unheard(const struct why_input *in LOOM_UNUSED, const struct task *t LOOM_UNUSED)
{
	return loom_strdup("is ready, but no scheduler can be heard: workers ask by way of the "
	                   "database, which takes some seconds");
}

static bool always(const struct why_input *in LOOM_UNUSED, const struct task *t LOOM_UNUSED)
{
	return true;
}

static char *say_ready(const struct why_input *in LOOM_UNUSED, const struct task *t LOOM_UNUSED)
{
	return loom_strdup("is ready: the next worker that asks gets it");
}

/* After a failure the dispatcher keeps a task from that provisioner for a while, as long as others
 * exist. */
static bool is_avoided(const struct why_input *in, const struct task *t)
{
	return t->failures && t->provisioner_id && in->now < t->not_before + HOLD_AVOID_MS &&
	       in->supply.serving > 1;
}

static char *say_avoided(const struct why_input *in LOOM_UNUSED, const struct task *t)
{
	char when[32];
	clock_format(t->not_before + HOLD_AVOID_MS, when);
	return loom_asprintf("failed at provisioner %s, and is kept for others until %s: %s",
	                     t->provisioner_id, when, t->message ? t->message : "no reason given");
}

static const struct cause {
	enum hold hold;
	bool (*holds)(const struct why_input *in, const struct task *t);
	char *(*say)(const struct why_input *in, const struct task *t);
} causes[] = {
	{ HOLD_PAUSED, is_paused, say_paused },
	{ HOLD_ADDRESSES, needs_addresses, say_addresses },
	{ HOLD_RETRY, is_retried, say_retried },
	{ HOLD_NO_PROVISIONER, has_nobody, say_nobody },
	{ HOLD_QUARANTINE, has_only_bad, say_only_bad },
	{ HOLD_NO_PROVISIONER_FOR_TENANT, has_no_server, say_no_server },
	{ HOLD_PROVIDER_CREATES, is_over_creates, say_creates },
	{ HOLD_PROVIDER_CALLS, is_over_calls, say_calls },
	{ HOLD_AVOIDED, is_avoided, say_avoided },
	{ HOLD_BUSY, is_crowded_out, say_busy },
	{ HOLD_UNHEARD, is_unheard, say_unheard },
	{ HOLD_NOT, always, say_ready },
};

static char *ready_words(const struct why_input *in, const struct task *t, const char **cause)
{
	size_t i = 0;
	while (!causes[i].holds(in, t))
		i++;
	*cause = hold_name(causes[i].hold);
	return causes[i].say(in, t);
}

/* ---- blocked and running tasks --------------------------------------------------------------- */

static const struct task *numbered(const struct tasks *ts, int64_t num)
{
	if (num >= 1 && num <= (int64_t)ts->n && ts->v[num - 1].num == num)
		return &ts->v[num - 1];
	for (size_t i = 0; i < ts->n; i++) {
		if (ts->v[i].num == num)
			return &ts->v[i];
	}
	return NULL;
}

struct waits_on {
	struct strs named;
	size_t more;
};

/* Adds the incomplete predecessors of an edge: a task, or the members of a group. */
static void add_waits(const struct why_input *in, int64_t from_num, struct waits_on *on)
{
	for (size_t i = 0; from_num < 0 && i < in->n_edges; i++) {
		if (in->edges[i].to == from_num)
			add_waits(in, in->edges[i].from, on);
	}
	const struct task *from = from_num > 0 ? numbered(in->tasks, from_num) : NULL;
	if (!from || from->state == TASK_COMPLETE)
		return;
	LOOM_CLEANUP_STR char *words = task_words(from);
	if (on->named.n < MAX_WAITS_ON)
		strs_add(&on->named, words);
	else
		on->more++;
}

static char *blocked_words(const struct why_input *in, const struct task *t)
{
	struct waits_on on = { 0 };
	for (size_t i = 0; i < in->n_edges; i++) {
		if (in->edges[i].to == t->num)
			add_waits(in, in->edges[i].from, &on);
	}
	LOOM_CLEANUP_STR char *list = strs_join(&on.named, ", ");
	char *words = !on.named.n ? loom_strdup("waits for another task of its node")
	              : on.more   ? loom_asprintf("waits for %s and %zu more", list, on.more)
	                          : loom_asprintf("waits for %s", list);
	strs_fini(&on.named);
	return words;
}

static char *running_words(const struct why_input *in, const struct task *t, const char **cause)
{
	const char *tail = "";
	*cause = "running";
	if (job_ended(in->latest->status))
		tail = "; the job has failed and waits for it to end";
	else if (json_get(in->supply.bad, t->provisioner_id ? t->provisioner_id : ""))
		tail = "; that provisioner is in quarantine";
	return loom_asprintf("runs at %s since %lld s (attempt %lld)%s", t->provisioner_id,
	                     (long long)(in->now - t->submit_time) / 1000, (long long)t->attempt,
	                     tail);
}

static char *words(const struct why_input *in, const struct task *t, const char **cause)
{
	if (t->state == TASK_READY)
		return ready_words(in, t, cause);
	if (t->state == TASK_RUNNING)
		return running_words(in, t, cause);
	*cause = "task";
	return blocked_words(in, t);
}

static struct json *task_reasons(const struct why_input *in, enum task_state state,
                                 struct json *list)
{
	for (size_t i = 0; i < in->tasks->n && json_len(list) < MAX_TASKS; i++) {
		const struct task *t = &in->tasks->v[i];
		if (t->state != state)
			continue;
		char id[ID_MAX];
		id_task(id, t->cluster_id, t->job_num, t->num);
		const char *cause;
		LOOM_CLEANUP_STR char *what = task_words(t), *why = words(in, t, &cause);
		LOOM_CLEANUP_STR char *reason = loom_asprintf("%s %s", what, why);
		struct json *o = json_set_str(json_new_obj(), "taskId", id);
		json_set_str(o, "state", task_state_name(t->state));
		json_set_str(o, "cause", cause);
		json_push(list, json_set_str(o, "reason", reason));
	}
	return list;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static char *expired_words(const struct why_input *in)
{
	char when[32];
	clock_format(in->expiry.retry_at, when);
	return loom_asprintf(
		"its lease is over and deleting it failed %lld times; tried again at %s",
		(long long)in->expiry.tries, when);
}

static char *settled_words(const struct why_input *in, const char **cause)
{
	const char *message = in->c->message ? in->c->message : in->latest->message;
	bool rest = in->c->status == CLUSTER_ACTIVE || in->c->status == CLUSTER_TERMINATED;
	bool failed = in->latest->status == JOB_FAILED;
	*cause = rest ? "nothing" : "failed";
	bool warned = in->c->status == CLUSTER_ACTIVE && !str_blank(in->c->message);
	if (rest && !failed)
		return loom_asprintf("nothing is going on: the cluster is %s%s%s",
		                     cluster_status_name(in->c->status), warned ? "; " : "",
		                     warned ? in->c->message : "");
	LOOM_CLEANUP_STR char *again =
		in->expiry.tries && in->c->status != CLUSTER_TERMINATED ? expired_words(in) : NULL;
	return loom_asprintf("%s%s%sthe last job, %s, failed: %s%s%s",
	                     rest ? "nothing is going on: the cluster is " : "",
	                     rest ? cluster_status_name(in->c->status) : "", rest ? "; " : "",
	                     in->latest->action, message ? message : "no reason given",
	                     again ? "; " : "", again ? again : "");
}

static char *paused_words(const struct why_input *in)
{
	char when[32];
	if (!*in->hold.paused_by)
		return loom_asprintf("%s Resume it, or abort it.",
		                     in->latest->message ? in->latest->message : "Paused.");
	clock_format(in->hold.paused_at, when);
	return loom_asprintf("Paused by user %s. Since %s: resume it, or abort it.",
	                     in->hold.paused_by, when);
}

static char *plan_words(const struct why_input *in)
{
	long long since = (long long)(in->now - in->latest->create_time) / 1000;
	if (!*in->hold.owner)
		return loom_asprintf("the job %s waits for a scheduler to plan it, since %lld s",
		                     in->latest->action, since);
	if (in->hold.planned_until > in->now)
		return loom_asprintf("the job %s is being planned by scheduler %s, since %lld s",
		                     in->latest->action, in->hold.owner, since);
	return loom_asprintf("the job %s waits for a scheduler to plan it: %s began to and stopped",
	                     in->latest->action, in->hold.owner);
}

/* Describes the running tasks, and ready ones that do not start. */
static char *task_sentence(const struct json *tasks, const char **cause)
{
	const struct json *first = json_at(tasks, 0), *held = NULL;
	size_t more = 0;
	*cause = json_get_str(first, "cause");
	for (size_t i = 1; i < json_len(tasks); i++) {
		const struct json *t = json_at(tasks, i);
		if (!str_eq(json_get_str(t, "state"), "ready") ||
		    str_eq(json_get_str(first, "state"), "ready"))
			continue;
		held = held ? held : t;
		more++;
	}
	return held ? loom_asprintf("%s; %zu more %s ready: %s", json_get_str(first, "reason"),
	                            more, more == 1 ? "is" : "are", json_get_str(held, "reason"))
	            : loom_strdup(json_get_str(first, "reason"));
}

static char *sentence(const struct why_input *in, const struct json *tasks, const char **cause)
{
	if (in->c->status != CLUSTER_PENDING)
		return settled_words(in, cause);
	*cause = "paused";
	if (in->latest->status == JOB_PAUSED)
		return paused_words(in);
	*cause = "planning";
	if (str_eq(in->latest->phase, "plan"))
		return plan_words(in);
	if (json_len(tasks))
		return task_sentence(tasks, cause);
	*cause = "job";
	return loom_asprintf("the job %s is %s", in->latest->action,
	                     job_status_name(in->latest->status));
}

struct json *why_answer(const struct why_input *in)
{
	struct json *tasks = json_new_arr();
	const char *cause;
	if (in->c->status == CLUSTER_PENDING) {
		static const enum task_state order[] = { TASK_RUNNING, TASK_READY, TASK_BLOCKED };
		for (size_t i = 0; i < LOOM_COUNT(order); i++)
			task_reasons(in, order[i], tasks);
	}
	LOOM_CLEANUP_STR char *reason = sentence(in, tasks, &cause);
	struct json *o = json_set_str(json_new_obj(), "status", cluster_status_name(in->c->status));
	json_set_str(json_set_str(o, "cause", cause), "reason", reason);
	if (in->latest->status == JOB_PAUSED && *in->hold.paused_by) {
		json_set_str(o, "pausedBy", in->hold.paused_by);
		json_set_int(o, "pausedAt", in->hold.paused_at);
	}
	json_set_str(o, "note", in->unequal);
	return json_set(o, "tasks", tasks);
}
