/* SPDX-License-Identifier: Apache-2.0 */
/* plans - the jobs of a cluster, and their tasks by stages (REST spec 5.9). */
#include "services/api/resources.h"

#include "common/base/str.h"
#include "services/api/cluster/view.h"
#include "services/api/request/request.h"
#include "services/api/request/visible.h"
#include "services/api/watch/listing.h"

#include <stdio.h>

#define MOST 8 /* read at once: each may have thousands of tasks */

struct plan_call {
	struct task_ref ref;
	struct json *out;
};

/* *ret NULL: let go of (model/cluster/history.h). */
static int read_one(struct db *db, const struct task_ref *ref, struct json **ret)
{
	struct job j = { 0 };
	LOOM_CLEANUP(tasks_free) struct tasks *ts = NULL;
	bool found;
	*ret = NULL;
	int rc = job_get(db, ref->cluster, ref->job, &j, &found);
	if (!rc && found)
		rc = tasks_load(db, ref->cluster, ref->job, &ts);
	if (!rc && found)
		*ret = view_plan(&j, ts);
	job_fini(&j);
	return rc;
}

/* ---- all ------------------------------------------------------------------------------------- */

static struct json *id_only(const struct task_ref *ref)
{
	char id[ID_MAX];
	id_job(id, ref->cluster, ref->job);
	return json_set_str(json_new_obj(), "id", id);
}

static int read_part(struct db *db, struct http_req *req, struct list_part *part, struct json **ret)
{
	struct task_ref ref = { .cluster = request_cluster(req) }, after;
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct list_part numbers = *part;
	char num[24];
	if (part->after && id_parse_job(part->after, &after))
		return DB_E_FATAL;
	if (part->after) {
		snprintf(num, sizeof(num), "%lld", (long long)after.job);
		numbers.after = num;
	}
	int rc = job_numbers(db, ref.cluster, http_query(req, "action"), &numbers, &r);
	if (rc)
		return rc;
	*ret = json_new_arr();
	part->more = (int64_t)db_rows(r) == part->limit;
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		struct json *one = NULL;
		ref.job = db_int(r, i, 0);
		if (part->brief)
			one = id_only(&ref);
		else
			rc = read_one(db, &ref, &one);
		if (one)
			json_push(*ret, one);
	}
	return rc;
}

static bool is_place(struct http_req *req, const char *text)
{
	struct task_ref ref;
	return !id_parse_job(text, &ref) && ref.cluster == request_cluster(req);
}

void plans_list(struct http_req *req, void *ctx)
{
	static const char *const brief[] = { "id", NULL };
	static const struct listing_kind plans = {
		.rules = { .key = "id", .down = true, .filters = true },
		.read = read_part,
		.first = 1,
		.most = MOST,
		.brief = brief,
		.is_place = is_place
	};
	listing_answer(req, ctx, &plans, NULL);
}

/* ---- one ------------------------------------------------------------------------------------- */

static int one_read(struct db *db, void *arg)
{
	struct plan_call *k = arg;
	json_free(k->out);
	return read_one(db, &k->ref, &k->out);
}

void plans_get(struct http_req *req, void *ctx)
{
	const struct api *a = ctx;
	struct plan_call k = { 0 };
	int64_t cluster = request_cluster(req);
	const char *job = http_param(req, "job");
	if (id_parse_job(job, &k.ref) || k.ref.cluster != cluster) {
		http_reply_text(req, 400, "'%.64s' is not the id of a job of cluster %08lld", job,
		                (long long)cluster);
		return;
	}
	int rc = db_read(a->db, one_read, &k);
	if (rc)
		visible_refuse(req, rc, cluster);
	else if (!k.out)
		http_reply_text(req, 404, "cluster %08lld has no job %lld", (long long)cluster,
		                (long long)k.ref.job);
	else
		http_reply_json(req, 200, k.out);
	json_free(k.out);
}
