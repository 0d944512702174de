/* SPDX-License-Identifier: Apache-2.0 */
/* plans - the jobs of a cluster and their tasks by stages (REST spec 5.9). */
#include "services/api/resources.h"

#include "common/base/str.h"
#include "services/api/list_query.h"
#include "services/api/request.h"
#include "services/api/view.h"
#include "services/api/visible.h"

struct plans_call {
	struct api *a;
	int64_t id, job; /* job 0: all */
	struct json *out;
};

static int one(struct db *db, struct plans_call *k, int64_t num, struct json **ret)
{
	struct job j = { 0 };
	LOOM_CLEANUP(tasks_free) struct tasks *ts = NULL;
	bool found;
	int rc = job_get(db, k->id, num, &j, &found);
	if (!rc && found)
		rc = tasks_load(db, k->id, num, &ts);
	if (!rc && found)
		*ret = view_plan(&j, ts);
	job_fini(&j);
	return rc ? rc : found ? 0 : JOB_E_NONE;
}

static int plans_read(struct db *db, void *arg)
{
	struct plans_call *k = arg;
	json_free(k->out);
	k->out = NULL;
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	int rc = cluster_get(db, k->id, &c);
	if (rc || k->job)
		return rc ? rc : one(db, k, k->job, &k->out);
	LOOM_CLEANUP(json_free) struct json *list = json_new_arr();
	for (int64_t num = c->next_job - 1; num > 0; num--) {
		struct json *p;
		rc = one(db, k, num, &p);
		if (rc)
			return rc;
		json_push(list, p);
	}
	k->out = loom_take(list);
	return 0;
}

static void answer(struct http_req *req, struct plans_call *k)
{
	static const struct list_rules rules = { "id", &schema_job, NULL, true };
	int rc = db_read(k->a->db, plans_read, k);
	if (rc == JOB_E_NONE)
		http_reply_text(req, 404, "cluster %08lld has no job %lld", (long long)k->id,
		                (long long)k->job);
	else if (rc)
		visible_refuse(req, rc, k->id);
	else if (!k->job)
		list_reply(req, k->out, &rules);
	else
		http_reply_json(req, 200, k->out);
	json_free(k->out);
}

void plans_list(struct http_req *req, void *ctx)
{
	struct plans_call k = { .a = ctx, .id = request_cluster(req) };
	answer(req, &k);
}

void plans_get(struct http_req *req, void *ctx)
{
	struct plans_call k = { .a = ctx, .id = request_cluster(req) };
	struct task_ref ref;
	const char *job = http_param(req, "job");
	if (id_parse_job(job, &ref) || ref.cluster != k.id) {
		http_reply_text(req, 400, "'%.64s' is not the id of a job of cluster %08lld", job,
		                (long long)k.id);
		return;
	}
	k.job = ref.job;
	answer(req, &k);
}
