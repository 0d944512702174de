/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent - the provisioner's standing with the server: registers itself and its plugin types,
 * heartbeats, takes tasks.  Loop thread only, but for agent_registered().
 *
 * It never gives up: whatever call fails is tried again with backoff, and a server that does not
 * know the provisioner (404 to a heartbeat, 403 to anything else) is told again. A server out of
 * reach stops no task: only its explicit word that a lease is gone does.
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
	const char *host; /* where our admin port is */
	int port;
	const char *tenant; /* "*": any */
	int64_t capacity;
};

struct agent *agent_create(const struct agent_config *config); /* borrows all of it */
void agent_destroy(struct agent *a);
/* Begins; takes tasks for w once registered. */
void agent_start(struct agent *a, struct workers *w);

void agent_slots_changed(struct agent *a); /* there may be a free one */
/* For report.h: how many tasks there is room for that no call under way may bring; and what came.
 */
size_t agent_ask_next(struct agent *a);
void agent_next_came(struct agent *a, const struct report_next *next);
void agent_unregistered(struct agent *a);     /* some call was told that we are not known */
bool agent_registered(const struct agent *a); /* any thread */

/* Takes no more, and gives back what is on its way; heartbeats go on. */
void agent_stop_taking(struct agent *a);
/* Ends heartbeats and deletes the registration; done(arg) follows, at the latest after 3 s. */
void agent_leave(struct agent *a, loop_fn done, void *arg);

#endif
