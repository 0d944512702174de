/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operation - the one table of what can be asked of a cluster. The API takes its routes and checks
 * from it, the scheduler the action of a job, the command line its commands, and the page (over
 * GET /v2/operations) its menu and its words. A new operation is a row here, and in the scheduler
 * what only it does.
 *
 * Fields are those of a request's body: config, restart, services, count, nodes, grow, skip, tasks.
 * Pure data without database and bus, so that clients by REST may include it. Any thread.
 */
#ifndef LOOM_OPERATION_H
#define LOOM_OPERATION_H

#include <stdbool.h>
#include <stddef.h>

struct operation_kind {
	const char *name;   /* "expand": as POST /v2/clusters/{id}/plan calls it */
	const char *action; /* "expand_cluster": of its job, as a cluster's history calls it */
	const char *plain_action; /* of its job with "restart": false; NULL: the same */
	const char *from;  /* statuses in which it may be asked for, separated by blanks; "": not
	                    * on a cluster that exists, or not here */
	const char *needs; /* "count|nodes": one of these fields must be given; "": none */
	const char *takes; /* all fields it reads, separated by blanks; the first one is what the
	                    * command line's argument and a path's {..} stand for */
	const char *method, *path; /* below the cluster's; NULL: none. {service} and {node} stand
	                            * for the only element of "services" or "nodes" */
	const char *one_path;      /* the same for a single one, where `path` is for all; or NULL */
	bool makes_job;            /* there is something to wait for */
	const char *command, *arguments; /* "cluster start", "ID|NAME [SERVICE]"; NULL: none */
	const char *help;                /* of the command: what it does */
	const char *title;               /* of a button: "Add nodes" */
	const char *doing, *done;        /* "adding nodes", "nodes added" */
};

extern const struct operation_kind operation_kinds[]; /* ends with a NULL name */

/* NULL when there is none. */
const struct operation_kind *operation_kind_find(const char *name);
/* By the action of a job, in any letter case. */
const struct operation_kind *operation_kind_of_action(const char *action);
/* By what a request says: path is what follows "/v2/clusters/{id}/", decoded. */
const struct operation_kind *operation_kind_at(const char *method, const char *path);

/* May it be asked for while a cluster has this status? */
bool operation_kind_allowed(const struct operation_kind *k, const char *status);
bool operation_kind_takes(const struct operation_kind *k, const char *field);

/* What a path's {parameter} stands for. */
struct operation_parameter {
	const char *name, *field; /* "service", "services" */
	bool number;              /* of its elements; else they are names */
};
extern const struct operation_parameter operation_parameters[]; /* ends with a NULL name */
/* The parameter in a path, NULL: it has none. */
const struct operation_parameter *operation_parameter_in(const char *path);

/* Is word one of a list's, separated by any of the separators? */
bool operation_has_word(const char *list, const char *separators, const char *word);

#endif
