/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callback - the outbox: one row per message to an external target, written in the transaction that
 * changed the state, and deleted when the target has received it. Each target receives the messages
 * of a cluster in order, at least once. A message that failed too often is `dead`: it blocks no
 * others, and may be replayed.
 */
#ifndef LOOM_MODEL_CALLBACK_H
#define LOOM_MODEL_CALLBACK_H

#include "common/db/db.h"
#include "common/json/json.h"
#include "common/model/list_part.h"

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
	char delivery[37]; /* the same at each try */
	int64_t cluster_id, job_num /* 0: none */, create_time;
	enum callback_kind kind;
	char *tenant_id, *url;
	char *secret;          /* signing secret: "" none, "global", "ref:NAME", "tenant:NAME" */
	struct json *snapshot; /* state that may have changed since: {"clusterStatus":..,
	                        * "job":{..}} */
	int64_t attempts;      /* failed attempts */
};
void callback_fini(struct callback *c);

/* Callbacks for one target, claimed together and delivered one after the other. A single delivery
 * took 13 ms, 12 of them for the two transactions (`make bench FIGURES=told`); shared by 16 they
 * cost as little as the rest. A larger number would save less than it repeats after a kill. */
#define CALLBACK_MAX_CLAIM 16
struct callbacks {
	struct callback v[CALLBACK_MAX_CLAIM];
	size_t n;
	int64_t claim; /* the fence */
};
void callbacks_fini(struct callbacks *l);

/* The targets of the cluster's template, then those of its tenant (callback_target.h). *ret
 * owned. */
LOOM_MUST_CHECK int callback_of_cluster(struct db *db, int64_t cluster, const char *tenant,
                                        struct json **ret);
/* In the transaction that changes the state, the cluster locked. Ignores id and attempts. */
LOOM_MUST_CHECK int callback_insert(struct db *db, const struct callback *c);

/* Claims the first callbacks for the target that has waited longest, at most `most`, in order per
 * cluster, for lease_ms; an empty list: nothing is due. Uses its own transactions. A target
 * receives one message at a time, and a tenant's target only while fewer than `share` are in
 * progress for that tenant, so that targets that do not answer delay only their owners. The cost
 * grows with the number of targets, not of callbacks. */
LOOM_MUST_CHECK int callback_claim(struct db_pool *p, int64_t lease_ms, int64_t share, size_t most,
                                   struct callbacks *ret);
/* End of a claim, in one transaction: the first n_delivered were delivered; or the one at `at`
 * failed; or none was begun. The rest becomes due again. Rows that another process has claimed
 * since are left alone. */
LOOM_MUST_CHECK int callback_delivered(struct db *db, const struct callbacks *l,
                                       size_t n_delivered);
/* Retried in retry_ms, or dead if that is negative. status: of the answer, 0 none. */
LOOM_MUST_CHECK int callback_failed(struct db *db, const struct callbacks *l, size_t at,
                                    int64_t status, const char *reason, int64_t retry_ms);
LOOM_MUST_CHECK int callback_not_begun(struct db *db, const struct callbacks *l);
/* The target did not answer: its other callbacks wait at least this long. */
LOOM_MUST_CHECK int callback_put_off(struct db *db, const struct callback *c, int64_t wait_ms);
/* The database's clock was set back: nothing waits until later than not_before, and no claim lasts
 * for longer than until busy_until. */
LOOM_MUST_CHECK int callbacks_rewind(struct db *db, int64_t not_before, int64_t busy_until);
/* Deletes expired waiting times, 1000 at a time. */
LOOM_MUST_CHECK int callback_silences_expire(struct db *db);

/* By id, for administrators. tenant NULL: all, and the URLs of global targets too. state NULL: all.
 * part->after is a number. */
LOOM_MUST_CHECK int callback_list(struct db *db, const char *tenant, const char *state,
                                  const struct list_part *part, struct json **ret);
/* A number that is another one when any of these is (list_part.h). */
LOOM_MUST_CHECK int callback_tally(struct db *db, const char *tenant, int64_t *ret);
/* What follows it for the same cluster and target is due at once, too. CALLBACK_E_NONE when there
 * is no such callback, or not of this tenant. */
LOOM_MUST_CHECK int callback_replay(struct db *db, const char *tenant, int64_t id);
LOOM_MUST_CHECK int callback_delete(struct db *db, const char *tenant, int64_t id);

#endif
