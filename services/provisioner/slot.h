/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot - one task at a provisioner, from its start to the server's answer.  Loop thread only.
 *
 * worker.h says what it does; only slot.c writes to a slot.
 */
#ifndef LOOM_PROVISIONER_SLOT_H
#define LOOM_PROVISIONER_SLOT_H

#include "common/base/trace.h"
#include "result.h"
#include "tasklog.h"
#include "worker.h"

enum slot_state {
	SLOT_FREE,
	SLOT_RUNNING,   /* plugins */
	SLOT_REPORTING, /* the result is being saved and sent */
	SLOT_FLUSHING,  /* only the rest of the log */
};

struct slot {
	const struct workers_config *config;
	enum slot_state state;
	struct json *task;
	char *input;  /* the task as text, for the plugins */
	char *id;     /* of the task */
	char *worker; /* id that it was taken with */
	char *claim;  /* secret of the claim; NULL from a server that gives none */
	const char *tenant;
	struct trace trace;           /* the attempt's span; its id is "" where there is none */
	struct trace run_trace;       /* of the plugin that runs, within it */
	int64_t run_began;            /* wall us */
	int64_t attempt;              /* 0 when the server does not count them */
	int64_t taken;                /* mono ms */
	int64_t lease_ms;             /* 0: the server does not say */
	_Atomic int64_t *lease_until; /* mono ms; the guard of the plugin sees it */
	struct loop_timer *lease;     /* stops the plugin a little earlier */
	bool begun;
	struct plugin_steps steps;
	size_t step;
	char *scratch;
	struct run *run;
	struct redact *secrets; /* of the task */
	struct redact_stream clean[RUN_STREAMS_];
	struct outcome outcome;
	struct tasklog *log;
	struct report_item *item; /* the result, from its saving to the server's answer */
	bool sent;                /* once, at least */
	bool lost;                /* not ours any more: nothing is reported */
	bool cancelled;           /* stopped because the server asked for it, which is reported */
	bool lapsed;              /* stopped because its lease was not renewed, likewise */
};

/* Free; both are borrowed for the slot's life. */
void slot_init(struct slot *s, const struct workers_config *config, _Atomic int64_t *lease_until);
void slot_fini(struct slot *s); /* kills what runs */

/* Holds a task (taken) that was claimed not before `claimed` (monotonic ms), until it begins. */
void slot_start(struct slot *s, const char *worker, int64_t claimed, struct json *task);
bool slot_begins(const struct slot *s); /* is to */
void slot_begin(struct slot *s);
/* The lease was renewed; asked for at `since` (monotonic ms). */
void slot_extend(struct slot *s, int64_t since);
void slot_lose(struct slot *s, const char *why); /* it is somebody else's: nothing is reported */
void slot_cancel(struct slot *s);                /* that it was stopped is its result */
bool slot_needs_lease(const struct slot *s);

#endif
