/* SPDX-License-Identifier: Apache-2.0 */
/* control - pauses, resumes and aborts the job that a cluster waits for, through a scheduler. */
#include "services/api/cluster/control.h"

#include "common/base/str.h"
#include "services/api/request/audit.h"
#include "services/api/request/repeat.h"
#include "services/api/request/request.h"
#include "services/api/request/visible.h"
#include "services/api/resources.h"

#include <stdio.h>
#include <string.h>

#define CONTROL_MS 8000

struct control {
	struct api *a;
	struct identity who;
	int64_t id, job; /* the cluster's newest job */
	char verb[16];
};

static int see_read(struct db *db, void *arg)
{
	struct control *k = arg;
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	int rc = cluster_get(db, k->id, &c);
	if (!rc)
		k->job = c->latest_job;
	return rc;
}

static void answered(int error, const void *m, void *arg)
{
	struct http_req *req = arg;
	int status = peers_status(error, m);
	if (status == 200)
		repeat_reply_done(req);
	else if (status == 503)
		http_reply_problem(req, 503, "no scheduler could do it; try again");
	else
		http_reply_text(req, status, "%s", http_reason(status));
}

static void ask(struct http_req *req, void *arg)
{
	struct control *k = arg;
	const struct msg_control m = { .cluster = k->id,
		                       .job = k->job,
		                       .verb = k->verb,
		                       .user = k->who.user,
		                       .tenant = k->who.tenant_id };
	peers_ask(k->a, MSG_CONTROL, &m, CONTROL_MS, answered, req);
	loom_free(k);
}

void control_send(struct http_req *req, struct api *a, const struct identity *who, int64_t cluster,
                  int64_t job, const char *verb)
{
	struct control *k;
	int rc = audit_asked(req);
	if (rc) {
		api_reply_db(req, rc);
		return;
	}
	k = loom_calloc(1, sizeof(*k));
	*k = (struct control){ .a = a, .who = *who, .id = cluster, .job = job };
	snprintf(k->verb, sizeof(k->verb), "%s", verb);
	http_defer(req, ask, k);
}

/* The last part of the path is the verb. */
void clusters_control(struct http_req *req, void *ctx)
{
	struct control k = { .a = ctx, .who = *request_who(req), .id = request_cluster(req) };
	int rc = db_read(k.a->db, see_read, &k);
	if (rc) {
		visible_refuse(req, rc, k.id);
		return;
	}
	control_send(req, k.a, &k.who, k.id, k.job, strrchr(http_path(req), '/') + 1);
}
