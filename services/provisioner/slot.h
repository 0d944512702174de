/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot - a task at a provisioner, from its start to the server's answer. Loop thread only.
 *
 * worker.h describes it; only slot.c changes a slot.
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
	SLOT_FLUSHING,  /* only the rest of the log is being sent */
};

struct slot {
	const struct workers_config *config;
	enum slot_state state;
	struct json *task;
	char *input;  /* the task as text, for the plugins */
	char *id;     /* of the task */
	char *worker; /* worker id of the take */
	char *claim;  /* the claim's secret; NULL: the server gave none */
	const char *tenant;
	struct trace trace;           /* the attempt's span; its id is "" if there is none */
	struct trace run_trace;       /* span of the running plugin */
	int64_t run_began;            /* wall us */
	int64_t attempt;              /* 0: the server does not count attempts */
	int64_t taken;                /* mono ms */
	int64_t lease_ms;             /* 0: the server sets none */
	_Atomic int64_t *lease_until; /* mono ms; shared with the plugin's guard */
	struct loop_timer *lease;     /* asks the plugin to stop a little earlier */
	bool begun;
	struct plugin_steps steps;
	size_t step;
	char *scratch;
	struct run *run;
	struct redact *secrets; /* of the task */
	struct redact_stream clean[RUN_STREAMS_];
	struct outcome outcome;
	struct tasklog *log;
	struct report_item *item; /* from saving the result to the server's answer */
	bool sent;                /* at least once */
	bool lost;                /* not ours any more: no result is sent */
	bool cancelled;           /* stopped at the server's request, which is the result */
	bool lapsed;              /* stopped as its lease was not renewed, which is the result */
};

/* Makes a free slot; borrows both for its life. */
void slot_init(struct slot *s, const struct workers_config *config, _Atomic int64_t *lease_until);
void slot_fini(struct slot *s); /* kills a running plugin */

/* Gives the slot a task (taken) that was claimed not before `claimed` (monotonic ms); slot_begin()
 * runs it. */
void slot_start(struct slot *s, const char *worker, int64_t claimed, struct json *task);
bool slot_begins(const struct slot *s); /* is a task waiting for slot_begin()? */
void slot_begin(struct slot *s);
/* The lease was renewed by a call made at `since` (monotonic ms). */
void slot_extend(struct slot *s, int64_t since);
void slot_lose(struct slot *s, const char *why); /* another worker has the task: no result is
                                                  * sent */
void slot_cancel(struct slot *s);                /* the result says that it was stopped */
bool slot_needs_lease(const struct slot *s);

#endif
