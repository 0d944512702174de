/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operation - the one table of operations on clusters. The API takes its routes and checks from it,
 * the scheduler a job's action, the command line its commands, and the web page (by GET
 * /v2/operations) its menu and labels. A new operation needs a row here, and its special behaviour
 * in the scheduler.
 *
 * Fields are those of a request's body: config, restart, services, count, nodes, grow, skip, tasks.
 * Pure data without database and bus, so that REST clients may include it. Any thread.
 */
#ifndef LOOM_OPERATION_H
#define LOOM_OPERATION_H

#include <stdbool.h>
#include <stddef.h>

struct operation_kind {
	const char *name;   /* "expand": its name in POST /v2/clusters/{id}/plan */
	const char *action; /* "expand_cluster": its job's action, as in a cluster's history */
	const char *plain_action; /* the job's action with "restart": false; NULL: the same */
	const char *from;  /* cluster statuses that allow it, separated by blanks; "": not for
	                    * existing clusters, or not here */
	const char *needs; /* "count|nodes": one of these fields must be given; "": none */
	const char *takes; /* all fields it reads, separated by blanks; the first one is the command
	                    * line's argument and the {..} of a path */
	const char *method, *path; /* below the cluster's path; NULL: none. {service} and {node} are
	                            * the only element of "services" or "nodes" */
	const char *one_path;      /* the path for a single element, where `path` is for all; or
	                            * NULL */
	bool makes_job;            /* it makes a job to wait for */
	const char *command, *arguments; /* "cluster start", "ID|NAME [SERVICE]"; NULL: none */
	const char *help;                /* one line about the command */
	const char *title;               /* label of a button: "Add nodes" */
	const char *doing, *done;        /* "adding nodes", "nodes added" */
};

extern const struct operation_kind operation_kinds[]; /* ends with a NULL name */

/* NULL when there is none. */
const struct operation_kind *operation_kind_find(const char *name);
/* By a job's action, in any letter case. */
const struct operation_kind *operation_kind_of_action(const char *action);
/* By a request's method and path: the decoded part after "/v2/clusters/{id}/". */
const struct operation_kind *operation_kind_at(const char *method, const char *path);

/* Is it allowed in this cluster status? */
bool operation_kind_allowed(const struct operation_kind *k, const char *status);
bool operation_kind_takes(const struct operation_kind *k, const char *field);

/* A path's {parameter}. */
struct operation_parameter {
	const char *name, *field; /* "service", "services" */
	bool number;              /* the elements are numbers, not names */
};
extern const struct operation_parameter operation_parameters[]; /* ends with a NULL name */
/* The parameter in a path; NULL: none. */
const struct operation_parameter *operation_parameter_in(const char *path);

/* Is word in the list, which is separated by any of the separators? */
bool operation_has_word(const char *list, const char *separators, const char *word);

#endif
