/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job_params - a job's input and the notes added to it later, as one struct with one conversion to
 * JSON and back. The API sends this JSON to a scheduler, and job.params stores it; its field names
 * are those of the table in job_params.c, and of a request's body.
 *
 * Different releases may run side by side: an absent field reads as 0 or NULL, and so does one of
 * the wrong type; fields unknown to this release are kept and written back. A field is never
 * renamed, only added.
 *
 * A struct of zeros is that of a job without parameters. It owns what it points to. Pure; any
 * thread.
 */
#ifndef LOOM_JOB_PARAMS_H
#define LOOM_JOB_PARAMS_H

#include "common/json/json.h"
#include "common/operation/operation.h"

struct job_params {
	/* Requested by a user; an operation reads the fields that its row in operation.c names. */
	char *operation;       /* "expand"; NULL for jobs that no user requested */
	struct json *config;   /* the whole new configuration */
	bool no_restart;       /* "restart": false in JSON */
	struct json *services; /* names */
	int64_t count;         /* of nodes */
	struct json *nodes;    /* numbers */
	struct json *grow;     /* names of services */
	struct json *skip;     /* retry: ids of tasks to leave out */
	struct json *tasks;    /* retry: ids of the only tasks to do */

	/* Added by the API. */
	int64_t job;           /* retry or rollback: number of the failed job */
	struct json *template; /* sync: the newest version, resolved */
	char *hash;            /* do it only if the plan has this hash */
	char *ask;             /* identifies the request, so that its repetition finds this job */
	char *trace;           /* traceparent of the request */
	char *trace_state;     /* tracestate beside it */
	char *was;             /* the cluster's previous status */
	struct json *before;   /* the configuration replaced by `config` */

	/* Noted by a scheduler. */
	char *because;        /* follow-up of a failed job: that job's message */
	bool expired;         /* the cluster has expired */
	struct json *leaving; /* ids of nodes that are deleted when the job is complete */
	struct json *added;   /* ids of nodes added by the job */
	struct json *placed;  /* names of services added to nodes by it */
	char *to;             /* rollback: the cluster's status afterwards */
	int64_t later;        /* retry of some tasks: how many remain */
	int64_t replacements; /* how many nodes were replaced */
	struct json *kept;    /* [{nodenum, hostname, reason}]: nodes that the provider did not
	                       * delete */

	struct json *unknown; /* fields of another release; an object, or NULL */
};

/* Overwrites p. from NULL, or not an object: nothing is set. */
void job_params_decode(const struct json *from, struct job_params *p);
/* Owned; NULL when nothing is set. */
struct json *job_params_encode(const struct job_params *p);
void job_params_copy(struct job_params *to, const struct job_params *from);
void job_params_fini(struct job_params *p); /* frees and clears */

size_t job_params_size(const struct job_params *p); /* approximate bytes of its members */

/* Copies the fields set in `from`; only: names separated by blanks, NULL: all. */
void job_params_merge(struct job_params *to, const struct job_params *from, const char *only);

/* Reads the operation's fields from a request's body, and checks them; ignores other fields. 0, or
 * 400 with err; overwrites ret, which must be freed even then. */
LOOM_MUST_CHECK int job_params_read(const struct operation_kind *k, const struct json *body,
                                    struct job_params *ret, struct loom_err *err);

/* Were they requested as this operation? p may be NULL. */
bool job_params_is(const struct job_params *p, const char *operation);

/* Sets a text: copies s. */
void job_params_set(char **member, const char *s);

static inline void job_params_fini_p(struct job_params *p)
{
	job_params_fini(p);
}

#endif
