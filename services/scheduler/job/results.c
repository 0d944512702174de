/* SPDX-License-Identifier: Apache-2.0 */
/* results - the fence, and what is kept of a result and of a failed attempt's output. */
#include "services/scheduler/job/results.h"

#include "common/base/fault.h"
#include "common/base/str.h"
#include "common/model/secret.h"
#include "services/scheduler/job/job_lifecycle.h"

#include <string.h>

#define KEPT_OUTPUT 2048 /* characters of a failed attempt's output (rest-api 5.5) */

/* Does the result belong to the attempt that runs now? Workers of the original send no attempt and
 * know no claim: theirs is known by who holds the task. */
static int fence(const struct msg_finish *said, const struct task *t)
{
	if (fault_enabled("fence"))
		return t->state == TASK_RUNNING ? 0 : 417;
	int64_t attempt = said->attempt;
	bool theirs = str_eq(t->provisioner_id, said->provisioner) &&
	              str_eq(t->worker_id, said->worker) && task_claim_is(t, said->claim);
	if (!theirs || (attempt && attempt != t->attempt))
		return 417;
	if (attempt && t->done_attempt == attempt)
		return 200;
	return t->state == TASK_RUNNING ? 0 : 417;
}

static struct task_result result_of(const struct msg_finish *said)
{
	return (struct task_result){ .status = said->status,
		                     .never_again = !said->retry,
		                     .result = said->result,
		                     .ipaddresses = said->ipaddresses,
		                     .hostname = said->hostname };
}

bool result_about_node(const struct msg_finish *said, const struct task *t)
{
	const struct task_result res = result_of(said);
	return lifecycle_about_node(t, &res);
}

/* The end of a text, marked where it was cut. NULL gives NULL. */
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

/* ---- what a plugin must not say -------------------------------------------------------------- */

/* The original's workers pass on all that a plugin says; our own take its secrets out of it. */
static bool may_tell_secrets(const struct msg_finish *said)
{
	return str_blank(said->claim) && (json_len(said->result) || !str_blank(said->message) ||
	                                  !str_blank(said->out) || !str_blank(said->err));
}

/* What is sealed in the documents that a task was told. err says why it cannot be opened. */
static int secrets_of(struct unit *u, const struct task *t, struct redact **ret,
                      struct loom_err *err)
{
	struct cluster *c = unit_held(u, t->cluster_id)->tx.c;
	struct redact *r = *ret = redact_create();
	const struct secret_of of = { u->policy->secret_key, c->tenant_id,
		                      *t->service ? ENTITY_SERVICE : ENTITY_PROVIDER, false };
	int rc = u->store->documents(u->db, c);
	if (rc)
		return rc;
	const struct json *doc = *t->service ? json_get(c->service_docs, t->service) : c->provider;
	if (secrets_to_redact(&of, doc, r, err))
		loom_assert(*err->msg);
	redact_compile(r);
	return 0;
}

/* What is kept of what was said. */
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

static int words_of(struct unit *u, const struct task *t, const struct msg_finish *said,
                    struct words *ret)
{
	LOOM_CLEANUP(redact_destroy) struct redact *r = NULL;
	struct loom_err err = { 0 };
	int rc = u->policy->secret_key && may_tell_secrets(said) ? secrets_of(u, t, &r, &err) : 0;
	if (rc)
		return rc;
	*ret = (struct words){ .out = clean_tail(r, said->out, &err),
		               .err = clean_tail(r, said->err, &err),
		               .message = clean_tail(r, said->message, &err) };
	if (!redact_is_empty(r))
		ret->result = redact_json(r, said->result, "ssh-auth");
	return 0;
}

/* ---------------------------------------------------------------------------------------------- */

int result_apply(struct unit *u, struct task *t, const struct msg_finish *said, bool unstorable,
                 int *ret_status)
{
	static const struct task_result none = { .status = -1,
		                                 .never_again = true,
		                                 .message = "its result could not be stored" };
	*ret_status = fence(said, t);
	if (*ret_status)
		return 0;
	*ret_status = 200;
	if (said->lost) /* the worker was late and knows it */
		return lifecycle_lost(u, t, LOST_LEASE);
	if (unstorable)
		return lifecycle_finish(u, t, &none);
	struct words w = { 0 };
	int rc = words_of(u, t, said, &w);
	if (!rc) {
		struct task_result res = result_of(said);
		res.message = !str_blank(w.message) ? w.message : !str_blank(w.err) ? w.err : w.out;
		res.out = w.out;
		res.err = w.err;
		res.result = w.result ? w.result : res.result;
		rc = lifecycle_finish(u, t, &res);
	}
	words_fini(&w);
	return rc;
}
