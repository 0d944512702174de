/* SPDX-License-Identifier: Apache-2.0 */
#include "common/model/cluster/state.h"

#include "common/base/mem.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

START_TEST(names_round_trip)
{
	for (int i = 0; i < CLUSTER_STATUSES_; i++) {
		enum cluster_status s;
		ck_assert(cluster_status_parse(cluster_status_name((enum cluster_status)i), &s));
		ck_assert_int_eq(s, i);
	}
	for (int i = 0; i < JOB_STATUSES_; i++) {
		enum job_status s;
		ck_assert(job_status_parse(job_status_name((enum job_status)i), &s));
		ck_assert_int_eq(s, i);
	}
	for (int i = 0; i < TASK_STATES_; i++) {
		enum task_state s;
		ck_assert(task_state_parse(task_state_name((enum task_state)i), &s));
		ck_assert_int_eq(s, i);
	}
}
END_TEST

START_TEST(any_case_but_nothing_else)
{
	enum cluster_status c = CLUSTER_TERMINATED;
	enum job_status j;
	enum task_state t;
	ck_assert(cluster_status_parse("AcTiVe", &c));
	ck_assert_int_eq(c, CLUSTER_ACTIVE);
	ck_assert(job_status_parse("NOT_SUBMITTED", &j));
	ck_assert_int_eq(j, JOB_NOT_SUBMITTED);
	static const char *const wrong[] = { "", "activ", "actives", "active ", "not submitted" };
	for (size_t i = 0; i < LOOM_COUNT(wrong); i++) {
		ck_assert(!cluster_status_parse(wrong[i], &c));
		ck_assert(!job_status_parse(wrong[i], &j));
		ck_assert(!task_state_parse(wrong[i], &t));
	}
	ck_assert(!cluster_status_parse(NULL, &c));
	ck_assert_int_eq(c, CLUSTER_ACTIVE);
}
END_TEST

/* Each line: a state and all that may follow it. */
static const char *const clusters[] = {
	"pending: active incomplete inconsistent terminated",
	"active: pending",
	"incomplete: pending",
	"inconsistent: pending",
	"terminated:",
};

static const char *const jobs[] = {
	"not_submitted: running complete failed paused",
	"running: complete failed paused",
	"complete:",
	"failed:",
	"paused: not_submitted running complete failed",
};

static const char *const tasks[] = {
	"blocked: ready dropped",
	"ready: running failed dropped",
	"running: blocked ready complete failed",
	"complete:",
	"failed:",
	"dropped:",
};

static bool listed(const char *line, const char *name)
{
	const char *p = strchr(line, ':') + 1;
	size_t n = strlen(name);
	while (*p == ' ') {
		p++;
		size_t len = strcspn(p, " ");
		if (len == n && !strncmp(p, name, n))
			return true;
		p += len;
	}
	return false;
}

static const char *line_of(const char *const *lines, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcspn(lines[i], ":") == strlen(name) &&
		    !strncmp(lines[i], name, strlen(name)))
			return lines[i];
	ck_abort_msg("%s is not in the table", name);
	return NULL;
}

START_TEST(cluster_steps)
{
	for (int from = 0; from < CLUSTER_STATUSES_; from++)
		for (int to = 0; to < CLUSTER_STATUSES_; to++) {
			const char *a = cluster_status_name((enum cluster_status)from);
			const char *b = cluster_status_name((enum cluster_status)to);
			ck_assert_msg(cluster_may_become((enum cluster_status)from,
			                                 (enum cluster_status)to) ==
			                      listed(line_of(clusters, LOOM_COUNT(clusters), a), b),
			              "%s -> %s", a, b);
		}
}
END_TEST

START_TEST(job_steps)
{
	for (int from = 0; from < JOB_STATUSES_; from++)
		for (int to = 0; to < JOB_STATUSES_; to++) {
			const char *a = job_status_name((enum job_status)from);
			const char *b = job_status_name((enum job_status)to);
			ck_assert_msg(job_may_become((enum job_status)from, (enum job_status)to) ==
			                      listed(line_of(jobs, LOOM_COUNT(jobs), a), b),
			              "%s -> %s", a, b);
		}
}
END_TEST

START_TEST(task_steps)
{
	for (int from = 0; from < TASK_STATES_; from++)
		for (int to = 0; to < TASK_STATES_; to++) {
			const char *a = task_state_name((enum task_state)from);
			const char *b = task_state_name((enum task_state)to);
			ck_assert_msg(task_may_become((enum task_state)from, (enum task_state)to) ==
			                      listed(line_of(tasks, LOOM_COUNT(tasks), a), b),
			              "%s -> %s", a, b);
		}
}
END_TEST

START_TEST(ended_jobs_stay_ended)
{
	for (int i = 0; i < JOB_STATUSES_; i++) {
		bool ends = i == JOB_COMPLETE || i == JOB_FAILED;
		ck_assert_int_eq(job_ended((enum job_status)i), ends);
		for (int to = 0; ends && to < JOB_STATUSES_; to++)
			ck_assert(!job_may_become((enum job_status)i, (enum job_status)to));
	}
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("state");
	tcase_add_test(c, names_round_trip);
	tcase_add_test(c, any_case_but_nothing_else);
	tcase_add_test(c, cluster_steps);
	tcase_add_test(c, job_steps);
	tcase_add_test(c, task_steps);
	tcase_add_test(c, ended_jobs_stay_ended);
	return UNIT_RUN("model_state", c);
}
