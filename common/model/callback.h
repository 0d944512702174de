/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callback - the outbox: one row for each thing that a target outside is to be told, written in the
 * transaction that changed the state, gone when the target has it. Told in the order of the rows to
 * each target of a cluster, at least once; one that cannot be told in so many tries is `dead`,
 * keeps nobody waiting, and may be replayed.
 */
#ifndef LOOM_MODEL_CALLBACK_H
#define LOOM_MODEL_CALLBACK_H

#include "common/db/db.h"
#include "common/json/json.h"

enum callback_kind {
	CALLBACK_START,
	CALLBACK_SUCCESS,
	CALLBACK_FAILURE,
	CALLBACK_LEASE_WARNING,
	CALLBACK_LEASE_EXPIRED,
	CALLBACK_KINDS_
};

const char *callback_kind_name(enum callback_kind k); /* "start", "lease_warning" */
bool callback_kind_parse(const char *name, enum callback_kind *ret);

#define CALLBACK_MAX_URL    2000
#define CALLBACK_MAX_SECRET 255

struct callback {
	int64_t id;
	char delivery[37]; /* stays the same at each try */
	int64_t cluster_id, job_num /* 0: none */, create_time;
	enum callback_kind kind;
	char *tenant_id, *url;
	char *secret;          /* how it is signed: "" not, "global", "ref:NAME", "tenant:NAME" */
	struct json *snapshot; /* what may be otherwise by now: {"clusterStatus":.., "job":{..}} */
	int64_t attempts;      /* that failed */
};
void callback_fini(struct callback *c);

/* What waits for one target, claimed together: told one after the other, first to last. Of 13 ms
 * for one told alone 12 were the two transactions (`make bench FIGURES=told`); shared by 16 they
 * cost as little as the rest, and a larger number would gain less than it tells again after a kill.
 */
#define CALLBACK_MAX_CLAIM 16
struct callbacks {
	struct callback v[CALLBACK_MAX_CLAIM];
	size_t n;
	int64_t claim; /* the fence */
};
void callbacks_fini(struct callbacks *l);

/* The targets that a cluster's template names, then those of its tenant (callback_target.h).
 * *ret owned. */
LOOM_MUST_CHECK int callback_of_cluster(struct db *db, int64_t cluster, const char *tenant,
                                        struct json **ret);
/* In the transaction that changes the state, the cluster locked. id, attempts are not read. */
LOOM_MUST_CHECK int callback_insert(struct db *db, const struct callback *c);

/* The first ones for the target that has waited longest, at most `most` and none but in the order
 * of their cluster's, for lease_ms; none: nothing is due. Its own transactions. Each target is told
 * one thing at a time, and of a tenant's only with fewer than `share` under way, so that those who
 * do not answer hold up only themselves. What it costs grows with the number of targets, not with
 * that of callbacks. */
LOOM_MUST_CHECK int callback_claim(struct db_pool *p, int64_t lease_ms, int64_t share, size_t most,
                                   struct callbacks *ret);
/* The end of a claim, in one transaction: the first `told` were told, and the one at `at` could not
 * be; or nothing was begun. What comes after is due again. What another has claimed since stays. */
LOOM_MUST_CHECK int callback_delivered(struct db *db, const struct callbacks *l, size_t told);
/* Tried again in retry_ms, dead when that is negative. status: of the answer, 0 none. */
LOOM_MUST_CHECK int callback_failed(struct db *db, const struct callbacks *l, size_t at,
                                    int64_t status, const char *reason, int64_t retry_ms);
LOOM_MUST_CHECK int callback_not_begun(struct db *db, const struct callbacks *l);
/* No answer from its target: the others for it wait at least so long. */
LOOM_MUST_CHECK int callback_put_off(struct db *db, const struct callback *c, int64_t wait_ms);
/* Those that are over go, 1000 at a time. */
LOOM_MUST_CHECK int callback_silences_expire(struct db *db);

/* For administrators. tenant NULL: all, and the URLs of global targets too. state NULL: all. */
LOOM_MUST_CHECK int callback_list(struct db *db, const char *tenant, const char *state,
                                  int64_t limit, struct json **ret);
/* What follows it for the same cluster and target is due at once, too. CALLBACK_E_NONE when there
 * is no such callback, or not of this tenant. */
LOOM_MUST_CHECK int callback_replay(struct db *db, const char *tenant, int64_t id);
LOOM_MUST_CHECK int callback_delete(struct db *db, const char *tenant, int64_t id);

#endif
