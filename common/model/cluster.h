/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster - a cluster's row: locked for every change, numbering its events and jobs.
 *
 * All functions inside db_tx() or db_read(). Lock order: tenant, cluster, job, node, task.
 * A change is: cluster_lock(), set fields and append events, cluster_save().
 */
#ifndef LOOM_MODEL_CLUSTER_H
#define LOOM_MODEL_CLUSTER_H

#include "common/base/ids.h"
#include "common/db/db.h"
#include "common/json/json.h"
#include "common/model/precondition.h"
#include "common/model/row.h"
#include "common/model/state.h"

struct cluster {
	int64_t id;
	char *tenant_id, *owner_id, *name, *description, *message;
	char *own_name; /* its name while it lives, which no other is to have; NULL: not kept from
	                   others */
	enum cluster_status status;
	int64_t create_time, expire_time, num_nodes, asked_nodes;
	int64_t last_node; /* highest node number ever used */
	int64_t latest_job, next_job, event_seq;
	struct json *brief;    /* {"provider":{..},"clusterTemplate":{..}}: common fields only */
	struct json *services; /* names */
	struct json *labels;   /* {"key":"value"}: labels.h */
	int64_t now;           /* the database's clock when the row was read, after its lock */
	/* Loaded by cluster_load_docs(): */
	struct json *request, *template, *provider, *config, *service_docs;
	int64_t sealed; /* the generation that its secrets are sealed by (sealing.h) */
	/* Appended and not yet written: the last n of event_seq. */
	struct unsaved {
		char type[16];
		char *data;
	} * unsaved;
	size_t n_unsaved, max_unsaved;
};

extern const struct row_table cluster_table; /* with the documents */

void cluster_free(struct cluster *c);

/* Small columns only. CLUSTER_E_NONE when there is none. */
LOOM_MUST_CHECK int cluster_lock(struct db *db, int64_t id, struct cluster **ret);
LOOM_MUST_CHECK int cluster_get(struct db *db, int64_t id, struct cluster **ret);
/* Whose it is, which it stays: tenant and user, both owned. */
LOOM_MUST_CHECK int cluster_owner(struct db *db, int64_t id, char **ret_tenant, char **ret_owner);
LOOM_MUST_CHECK int cluster_load_docs(struct db *db, struct cluster *c);

/* Locks several at once, never waiting: those that somebody else holds are left out, as are those
 * that are not there. By id. */
LOOM_MUST_CHECK int clusters_lock_free(struct db *db, const int64_t *ids, size_t n,
                                       struct cluster ***ret, size_t *ret_n);

/* Writes status, message, num_nodes, services, times and the counters of a locked row, and the
 * events that were appended. */
LOOM_MUST_CHECK int cluster_save(struct db *db, struct cluster *c);
/* Only the events of locked rows, and their counters. */
LOOM_MUST_CHECK int clusters_save_events(struct db *db, struct cluster **v, size_t n);
/* The definitions of its services as they were when it was solved: name -> document. */
LOOM_MUST_CHECK int cluster_save_service_docs(struct db *db, struct cluster *c,
                                              const struct json *docs);
/* Replaces the template's copy; the brief (c->brief) is written with it. */
LOOM_MUST_CHECK int cluster_save_template(struct db *db, struct cluster *c,
                                          const struct json *template);
LOOM_MUST_CHECK int cluster_save_config(struct db *db, struct cluster *c,
                                        const struct json *config);
LOOM_MUST_CHECK int cluster_save_labels(struct db *db, struct cluster *c,
                                        const struct json *labels);
/* The only way to change a status; asserts that the step is allowed; appends the event. */
void cluster_transition(struct cluster *c, enum cluster_status to, const char *message,
                        int64_t now);

/* Appends event number ++event_seq of a locked cluster; data is taken and gets "time". It is
 * written by cluster_save(). */
void cluster_event(struct cluster *c, const char *type, struct json *data, int64_t now);

#define EVENT_TEXT_MAX (1u << 30)
/* The same with the whole text of the data, which is taken: for the most frequent ones. */
void cluster_event_text(struct cluster *c, const char *type, char *text);

struct event {
	int64_t seq;
	const char *type, *data;
};
/* Events after a number, in order, at most limit; fn's non-zero ends the walk. */
LOOM_MUST_CHECK int cluster_events(struct db *db, int64_t id, int64_t after, int limit,
                                   int (*fn)(const struct event *e, void *arg), void *arg);
/* Those up to a number that are not about a single task. */
LOOM_MUST_CHECK int cluster_events_but_tasks(struct db *db, int64_t id, int64_t upto,
                                             int (*fn)(const struct event *e, void *arg),
                                             void *arg);

/* Its version is the number of its newest event. rest: a text beside it that an answer shows. */
void cluster_tag(char tag[TAG_MAX], const struct cluster *c, const char *rest);

/* What details, lists and callbacks show alike of a cluster. Returns owned. */
struct json *cluster_shown(const struct cluster *c);

/* The next cluster id, start and step as configured; its own transaction. A gap is harmless. */
LOOM_MUST_CHECK int cluster_next_id(struct db_pool *p, int64_t start, int64_t step, int64_t *ret);

/* Inserts a new cluster (all fields and documents set), pending, with no event yet. The tenant's
 * row is locked and its quota checked: CLUSTER_E_QUOTA, with *ret as for cluster_quota. DB_E_DUP
 * when the id exists. */
struct quota;
LOOM_MUST_CHECK int cluster_insert(struct db *db, const struct cluster *c, struct quota *ret);

/* What a tenant may have, has, and is to have in addition. */
struct quota {
	int64_t max_clusters, max_nodes, clusters, nodes, more_clusters, more_nodes;
};
/* The living cluster of the tenant that has the name; *ret 0: none. One that has ended gives it
 * free. */
LOOM_MUST_CHECK int cluster_named(struct db *db, const char *tenant, const char *name,
                                  int64_t *ret);
/* May it have so many more? Its row is locked until the transaction ends, so that what is counted
 * grows by this transaction only; never wait for a cluster's row after this. 0 or CLUSTER_E_QUOTA,
 * with *ret as it was counted. Counted again it may fit: a cluster ends without the tenant's row.
 * So a refusal is worded from *ret. */
LOOM_MUST_CHECK int cluster_quota(struct db *db, const char *tenant, int64_t clusters,
                                  int64_t nodes, struct quota *ret);
/* Returns owned: why not. */
char *quota_words(const struct quota *q);

LOOM_DEFINE_CLEANUP(struct cluster *, cluster_free)

#endif
