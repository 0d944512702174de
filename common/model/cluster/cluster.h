/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster - a cluster's row: locked for every change; it numbers the cluster's events and jobs.
 *
 * All functions inside db_tx() or db_read(). Lock order: tenant, cluster, job, node, task. A change
 * is: cluster_lock(), set fields and append events, cluster_save().
 */
#ifndef LOOM_MODEL_CLUSTER_H
#define LOOM_MODEL_CLUSTER_H

#include "common/base/ids.h"
#include "common/db/db.h"
#include "common/json/json.h"
#include "common/model/cluster/state.h"
#include "common/model/precondition.h"
#include "common/model/row.h"

struct cluster {
	int64_t id;
	char *tenant_id, *owner_id, *name, *description, *message;
	char *own_name; /* the name while it lives, unique per tenant; NULL: not reserved */
	enum cluster_status status;
	int64_t create_time, expire_time, num_nodes, asked_nodes;
	int64_t last_node; /* highest node number ever used */
	int64_t latest_job, next_job, event_seq;
	struct json *brief;    /* {"provider":{..},"clusterTemplate":{..}}: common fields only */
	struct json *services; /* names */
	struct json *labels;   /* {"key":"value"}: labels.h */
	char *terms_due;       /* not NULL: its search terms may be wrong (cluster_terms.h) */
	int64_t now;           /* the database's clock when the row was read, after its lock */
	/* Loaded by cluster_load_docs(): */
	struct json *request, *template, *provider, *config, *service_docs;
	int64_t sealed; /* generation at which its secrets were sealed (sealing.h) */
	/* Appended, not written yet: the last n up to event_seq. */
	struct unsaved {
		char type[16];
		char *data;
	} * unsaved;
	size_t n_unsaved, max_unsaved;
};

extern const struct row_table cluster_table; /* with the documents */

void cluster_free(struct cluster *c);

/* Reads only the small columns. CLUSTER_E_NONE if it does not exist. */
LOOM_MUST_CHECK int cluster_lock(struct db *db, int64_t id, struct cluster **ret);
LOOM_MUST_CHECK int cluster_get(struct db *db, int64_t id, struct cluster **ret);
/* A cluster's owner, which never changes, and what it was made from. Owned. */
struct cluster_owner {
	char *tenant, *user, *template, *provider;
};
void cluster_owner_fini(struct cluster_owner *o);
LOOM_MUST_CHECK int cluster_owner(struct db *db, int64_t id, struct cluster_owner *ret);
LOOM_MUST_CHECK int cluster_load_docs(struct db *db, struct cluster *c);
/* Only what tasks need: provider, config and service_docs. */
LOOM_MUST_CHECK int cluster_load_task_docs(struct db *db, struct cluster *c);
/* Size of the stored configuration, without reading it. */
LOOM_MUST_CHECK int cluster_config_size(struct db *db, int64_t id, int64_t *ret);

/* Locks several without waiting: leaves out missing ones, and those that others hold. By id. */
LOOM_MUST_CHECK int clusters_lock_free(struct db *db, const int64_t *ids, size_t n,
                                       struct cluster ***ret, size_t *ret_n);

/* Writes status, message, num_nodes, services, times and counters of a locked row, and its appended
 * events. */
LOOM_MUST_CHECK int cluster_save(struct db *db, struct cluster *c);
/* Writes only the events of locked rows, and their counters. */
LOOM_MUST_CHECK int clusters_save_events(struct db *db, struct cluster **v, size_t n);
/* Stores the definitions of its services as of its layout: name -> document. */
LOOM_MUST_CHECK int cluster_save_service_docs(struct db *db, struct cluster *c,
                                              const struct json *docs);
/* Replaces the stored template; writes the brief (c->brief), too. */
LOOM_MUST_CHECK int cluster_save_template(struct db *db, struct cluster *c,
                                          const struct json *template);
LOOM_MUST_CHECK int cluster_save_config(struct db *db, struct cluster *c,
                                        const struct json *config);
LOOM_MUST_CHECK int cluster_save_labels(struct db *db, struct cluster *c,
                                        const struct json *labels);
/* The only way to change a status: asserts that the change is allowed, and appends the event. */
void cluster_transition(struct cluster *c, enum cluster_status to, const char *message,
                        int64_t now);

/* Appends event number ++event_seq to a locked cluster; takes data, and adds "time" to it.
 * cluster_save() writes it. */
void cluster_event(struct cluster *c, const char *type, struct json *data, int64_t now);

#define EVENT_TEXT_MAX (1u << 30)
/* The same for frequent events: takes the finished text of the data. */
void cluster_event_text(struct cluster *c, const char *type, char *text);

struct event {
	int64_t seq;
	const char *type, *data;
};
/* Calls fn for events after a number, in order, at most limit; a non-zero result ends the walk. */
LOOM_MUST_CHECK int cluster_events(struct db *db, int64_t id, int64_t after, int limit,
                                   int (*fn)(const struct event *e, void *arg), void *arg);
/* The same up to a number, without events about a single task. */
LOOM_MUST_CHECK int cluster_events_but_tasks(struct db *db, int64_t id, int64_t upto,
                                             int (*fn)(const struct event *e, void *arg),
                                             void *arg);

/* The version is the number of the newest event. rest: a text that distinguishes answers. */
void cluster_tag(char tag[TAG_MAX], const struct cluster *c, const char *rest);

/* Members that details, lists and callbacks share. Returns owned. */
struct json *cluster_shown(const struct cluster *c);

/* The next cluster id, start and step as configured; its own transaction. A gap is harmless. */
LOOM_MUST_CHECK int cluster_next_id(struct db_pool *p, int64_t start, int64_t step, int64_t *ret);

/* Inserts a new cluster (all fields and documents set), pending, without events. Locks the tenant's
 * row and checks the quota: CLUSTER_E_QUOTA, with *ret as for cluster_quota. DB_E_DUP when the id
 * exists. */
struct quota;
LOOM_MUST_CHECK int cluster_insert(struct db *db, const struct cluster *c, struct quota *ret);

/* A tenant's limits, its use, and the requested addition. */
struct quota {
	int64_t max_clusters, max_nodes, clusters, nodes, more_clusters, more_nodes;
};
/* The tenant's living cluster of this name; *ret 0: none. Frees the name of one that has ended. */
LOOM_MUST_CHECK int cluster_named(struct db *db, const char *tenant, const char *name,
                                  int64_t *ret);
/* May the tenant have this many more? Locks its row until the transaction ends, so that only this
 * transaction can raise the count; never wait for a cluster's row after this. 0 or CLUSTER_E_QUOTA,
 * with the counts in *ret. Word a refusal from *ret: a second count may be lower, as clusters end
 * without locking the tenant's row. */
LOOM_MUST_CHECK int cluster_quota(struct db *db, const char *tenant, int64_t clusters,
                                  int64_t nodes, struct quota *ret);
/* Explains a refusal. Returns owned. */
char *quota_words(const struct quota *q);

LOOM_DEFINE_CLEANUP(struct cluster *, cluster_free)

#endif
