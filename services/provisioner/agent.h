/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent - the provisioner's registration with the server: registers itself and its plugin types,
 * heartbeats, takes tasks. Loop thread only, but for agent_registered().
 *
 * It never gives up: a failed call is retried with backoff, and it registers again with a server
 * that does not know it (404 to a heartbeat, 403 to anything else). While another process runs
 * under its id (409) it does no work. Losing contact to the server stops no task: only its explicit
 * answer that a lease is gone does.
 */
#ifndef LOOM_PROVISIONER_AGENT_H
#define LOOM_PROVISIONER_AGENT_H

#include "plugins.h"
#include "report.h"
#include "wire.h"
#include "worker.h"

struct agent;

struct agent_config {
	struct loop *loop;
	struct wire *wire;
	const struct plugins *plugins;
	const char *id;
	const char *place; /* tells this process from another one with our id */
	const char *host;  /* the host of our admin port */
	int port;
	const char *tenant; /* "*": any */
	int64_t capacity;
};

struct agent *agent_create(const struct agent_config *config); /* borrows all of it */
void agent_destroy(struct agent *a);
/* Starts; takes tasks for w once registered. */
void agent_start(struct agent *a, struct workers *w);

void agent_slots_changed(struct agent *a); /* a slot may be free */
/* For report.h: how many tasks fit in beside those that open calls may bring; and the result of
 * such a call. */
size_t agent_ask_next(struct agent *a);
void agent_next_came(struct agent *a, const struct report_next *next);
void agent_unregistered(struct agent *a);     /* a call was refused because we are not registered */
bool agent_registered(const struct agent *a); /* any thread */
bool agent_is_twin(const struct agent *a);    /* another process runs under its id; any thread */

/* Takes no more tasks, and returns those that arrive; heartbeats go on. */
void agent_stop_taking(struct agent *a);
/* Ends heartbeats and deletes the registration; calls done(arg) afterwards, at the latest after 3
 * s. */
void agent_leave(struct agent *a, loop_fn done, void *arg);

#endif
