/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document - what a worker is told about a task (REST spec 10.1, plus attempt and leaseMs), and a
 * cache of the parts that no task of a job changes. One worker thread at a time.
 *
 * The documents of a cluster (provider, configuration, services) are written only by the
 * transaction that starts a job, so for the tasks of one job they stay what they are.
 */
#ifndef LOOM_SCHEDULER_DOCUMENT_H
#define LOOM_SCHEDULER_DOCUMENT_H

#include "common/model/node.h"
#include "common/model/task.h"

struct documents;
struct docset { /* borrowed until the next documents_get() */
	const struct json *provider, *config, *service_docs;
	size_t size; /* of their texts */
};

struct documents *documents_create(void);
void documents_destroy(struct documents *d);
/* The documents of a locked cluster, as the tasks of this job see them. */
LOOM_MUST_CHECK int documents_get(struct documents *d, struct db *db, struct cluster *c,
                                  int64_t job, struct docset *ret);

/* The machines of a cluster as its tasks see them: hostnames and addresses are borrowed, and must
 * stay what they are. */
struct sight;
struct sight *sight_create(const struct node *v, size_t n, const char *owner);
void sight_destroy(struct sight *s);
/* The cluster's configuration as the task's node sees it: macros expanded, but for machine-level
 * steps. 0, or a MACRO_E_ code with err. */
LOOM_MUST_CHECK int sight_config(const struct sight *s, const struct docset *docs,
                                 const struct task *t, struct json **ret, struct loom_err *err);
/* The document's bytes, or somewhat more. n: the task's machine; NULL: there is none. */
size_t sight_size(const struct sight *s, const struct docset *docs, const struct node *n,
                  const struct json *config);
/* config is taken. */
struct json *sight_document(const struct sight *s, const struct docset *docs, const struct task *t,
                            const struct node *n, struct json *config);

LOOM_DEFINE_CLEANUP(struct sight *, sight_destroy)

#endif
