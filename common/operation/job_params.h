/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job_params - what a job was asked for and what is noted of it on its way, as one struct with one
 * way into JSON and back. The same JSON is what the API sends a scheduler and what job.params
 * stores; its field names are those of the table in job_params.c, and of a request's body.
 *
 * Releases side by side: a field that is absent reads as 0 or NULL, one of the wrong type too; what
 * this release does not know is kept and written back. A field is never renamed, only added.
 *
 * A struct of zeros is that of a job without parameters. It owns what it points to. Pure; any
 * thread.
 */
#ifndef LOOM_JOB_PARAMS_H
#define LOOM_JOB_PARAMS_H

#include "common/json/json.h"
#include "common/operation/operation.h"

struct job_params {
	/* Asked for by a user; an operation reads those that its row in operation.c names. */
	char *operation;       /* "expand"; NULL for jobs that nobody asked for by that name */
	struct json *config;   /* the whole new configuration */
	bool no_restart;       /* on the wire "restart": false */
	struct json *services; /* names */
	int64_t count;         /* of nodes */
	struct json *nodes;    /* numbers */
	struct json *grow;     /* names of services */
	struct json *skip;     /* of a retry: ids of tasks that are left out */
	struct json *tasks;    /* of a retry: ids of the only ones that are done */

	/* Added by the API. */
	int64_t job;           /* of a retry or roll back: the number of the failed one */
	struct json *template; /* of a sync: the newest version, resolved */
	char *hash;            /* only the plan with this hash will do */
	char *ask;             /* names the request, so that its repetition finds this job */
	char *trace;           /* traceparent of the request */
	char *was;             /* the cluster's status before */
	struct json *before;   /* the configuration that config has replaced */

	/* Noted by a scheduler. */
	char *because;        /* of a job that follows a failed one: that one's message */
	bool expired;         /* the cluster's time was over */
	struct json *leaving; /* ids of nodes that are gone when the job is complete */
	struct json *added;   /* ids of nodes that the job has added */
	struct json *placed;  /* names of services that it has put on nodes */
	char *to;             /* of a roll back: the cluster's status once it is done */
	int64_t later;        /* of a retry of some tasks: how many are left */
	int64_t replacements; /* how many nodes were replaced */
	struct json *kept;    /* [{nodenum, hostname, reason}]: what a provider did not give up */

	struct json *unknown; /* fields of another release; an object, or NULL */
};

/* p is overwritten. from NULL, or no object: nothing is set. */
void job_params_decode(const struct json *from, struct job_params *p);
/* Owned; NULL when nothing is set. */
struct json *job_params_encode(const struct job_params *p);
void job_params_copy(struct job_params *to, const struct job_params *from);
void job_params_fini(struct job_params *p); /* frees and clears */

/* Copies the fields that `from` has; only: those in a list separated by blanks, NULL: all. */
void job_params_merge(struct job_params *to, const struct job_params *from, const char *only);

/* Reads from a request's body what the operation takes, and checks it; other fields are passed
 * over. 0, or 400 with err; ret is overwritten, and to be freed even then. */
LOOM_MUST_CHECK int job_params_read(const struct operation_kind *k, const struct json *body,
                                    struct job_params *ret, struct loom_err *err);

/* Are they those of this operation? p may be NULL. */
bool job_params_is(const struct job_params *p, const char *operation);

/* Sets a text: copies s. */
void job_params_set(char **member, const char *s);

static inline void job_params_fini_p(struct job_params *p)
{
	job_params_fini(p);
}

#endif
