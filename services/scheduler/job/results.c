/* SPDX-License-Identifier: Apache-2.0 */
/* results - the fence, and the parts of results and failed output that are stored. */
#include "services/scheduler/job/results.h"

#include "common/base/fault.h"
#include "common/base/str.h"
#include "common/model/keys/machine_secret.h"
#include "common/model/keys/secret.h"
#include "services/scheduler/job/job_lifecycle.h"

#include <string.h>

#define KEPT_OUTPUT 2048 /* characters of a failed attempt's output (rest-api 5.5) */

/* May this worker have taken the task? Schedulers and APIs of before do not pass on the tenant. */
static bool has_tenant(const struct msg_finish *finish, const struct task *t)
{
	return str_blank(finish->tenant) || str_eq(finish->tenant, "*") ||
	       str_eq(finish->tenant, t->tenant_id);
}

/* Does the result belong to the running attempt? Workers of the original send no attempt and know
 * no claim; for them the provisioner, the worker and the tenant must match. */
static int fence(const struct msg_finish *finish, const struct task *t)
{
	if (fault_enabled("fence"))
		return t->state == TASK_RUNNING ? 0 : 417;
	int64_t attempt = finish->attempt;
	bool theirs = str_eq(t->provisioner_id, finish->provisioner) &&
	              str_eq(t->worker_id, finish->worker) && has_tenant(finish, t) &&
	              task_claim_is(t, finish->claim);
	if (!theirs || (attempt && attempt != t->attempt))
		return 417;
	if (attempt && t->done_attempt == attempt)
		return 200;
	return t->state == TASK_RUNNING ? 0 : 417;
}

static struct task_result result_of(const struct msg_finish *finish)
{
	return (struct task_result){ .status = finish->status,
		                     .never_again = !finish->retry,
		                     .result = finish->result,
		                     .ipaddresses = finish->ipaddresses,
		                     .hostname = finish->hostname };
}

bool result_about_node(const struct msg_finish *finish, const struct task *t)
{
	const struct task_result res = result_of(finish);
	return lifecycle_about_node(t, &res);
}

/* The end of a text, with a mark if it was cut. NULL gives NULL. */
static char *tail(const char *s)
{
	size_t n = s ? strlen(s) : 0;
	if (n <= KEPT_OUTPUT)
		return loom_strdup(s);
	const char *from = s + n - KEPT_OUTPUT;
	while ((*from & 0xc0) == 0x80) /* not inside a character */
		from++;
	return loom_asprintf("[snipped]%s", from);
}

/* ---- secrets in a plugin's output ------------------------------------------------------------ */

/* The original's workers pass on everything that a plugin prints; ours remove its secrets first. */
static bool may_hold_secrets(const struct msg_finish *finish)
{
	return str_blank(finish->claim) &&
	       (json_len(finish->result) || !str_blank(finish->message) ||
	        !str_blank(finish->out) || !str_blank(finish->err));
}

/* Adds the machine's password, both as the task received it and as its result reports it. */
static int add_password(struct unit *u, const struct task *t, const struct msg_finish *finish,
                        struct redact *r, struct loom_err *err)
{
	const struct node *n = unit_node(u, t);
	const struct machine_of of = { u->policy->ring, u->db, t->tenant_id, t->node_id };
	LOOM_CLEANUP(json_free) struct json *open = NULL;
	int rc = n ? machine_secret_open(&of, n->results, &open, err) : 0;
	const struct json *stored = open ? open : n ? n->results : NULL;
	redact_add_json(r, json_path(stored, "ssh-auth/password"));
	redact_add_json(r, json_path(finish->result, "ssh-auth/password"));
	return rc;
}

/* Collects the secrets in the documents that the task received. err tells why they cannot be
 * opened. */
static int secrets_of(struct unit *u, const struct task *t, const struct msg_finish *finish,
                      struct redact **ret, struct loom_err *err)
{
	struct cluster *c = unit_held(u, t->cluster_id)->tx.c;
	struct redact *r = *ret = redact_create();
	const struct secret_of of = { u->policy->ring, u->db, c->tenant_id,
		                      *t->service ? ENTITY_SERVICE : ENTITY_PROVIDER, false };
	int rc = u->store->documents(u->db, c);
	if (rc)
		return rc;
	const struct json *doc = *t->service ? json_get(c->service_docs, t->service) : c->provider;
	rc = secrets_to_redact(&of, doc, r, err);
	if (!rc)
		rc = add_password(u, t, finish, r, err);
	redact_compile(r);
	return err_is_refusal(rc) ? 0 : rc;
}

/* The parts of a result to store, without secrets. */
struct words {
	char *out, *err, *message;
	struct json *result;
};

static void words_fini(struct words *w)
{
	loom_free(w->out);
	loom_free(w->err);
	loom_free(w->message);
	json_free(w->result);
}

static char *clean_tail(const struct redact *r, const char *s, const struct loom_err *err)
{
	if (*err->msg && !str_blank(s))
		return loom_asprintf("(not kept, for it may hold a secret: %s)", err->msg);
	LOOM_CLEANUP_STR char *clean = redact_text(r, s);
	return tail(clean);
}

static int words_of(struct unit *u, const struct task *t, const struct msg_finish *finish,
                    struct words *ret)
{
	LOOM_CLEANUP(redact_destroy) struct redact *r = NULL;
	struct loom_err err = { 0 };
	int rc = u->policy->ring && may_hold_secrets(finish) ? secrets_of(u, t, finish, &r, &err)
	                                                     : 0;
	if (rc)
		return rc;
	*ret = (struct words){ .out = clean_tail(r, finish->out, &err),
		               .err = clean_tail(r, finish->err, &err),
		               .message = clean_tail(r, finish->message, &err) };
	if (!redact_is_empty(r))
		ret->result = redact_json(r, finish->result, "ssh-auth");
	return 0;
}

/* *ret: the result with its secret sealed, owned; NULL: nothing to seal. */
static int seal_result(struct unit *u, const struct task *t, struct task_result *res,
                       struct json **ret, struct loom_err *err)
{
	const struct machine_of of = { u->policy->ring, u->db, t->tenant_id, t->node_id };
	int rc = of.ring && *t->node_id ? machine_secret_seal(&of, res->result, ret, err) : 0;
	if (*ret)
		res->result = *ret;
	if (!err_is_refusal(rc))
		return rc;
	res->result = NULL;
	res->status = res->status ? res->status : -1;
	res->message = err->msg;
	return 0;
}

/* ---------------------------------------------------------------------------------------------- */

int result_apply(struct unit *u, struct task *t, const struct msg_finish *finish, bool unstorable,
                 int *ret_status)
{
	static const struct task_result none = { .status = -1,
		                                 .never_again = true,
		                                 .message = "its result could not be stored" };
	*ret_status = fence(finish, t);
	if (*ret_status)
		return 0;
	*ret_status = 200;
	if (finish->lost) /* the worker was late and knows it */
		return lifecycle_lost(u, t, LOST_LEASE);
	if (unstorable)
		return lifecycle_finish(u, t, &none);
	struct words w = { 0 };
	int rc = words_of(u, t, finish, &w);
	if (!rc) {
		struct task_result res = result_of(finish);
		res.message = !str_blank(w.message) ? w.message : !str_blank(w.err) ? w.err : w.out;
		res.out = w.out;
		res.err = w.err;
		res.result = w.result ? w.result : res.result;
		struct loom_err err = { 0 };
		LOOM_CLEANUP(json_free) struct json *sealed = NULL;
		rc = seal_result(u, t, &res, &sealed, &err);
		rc = rc ? rc : lifecycle_finish(u, t, &res);
	}
	words_fini(&w);
	return rc;
}
