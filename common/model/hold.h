/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold - why a ready task is not handed out: the reasons that the scheduler's dispatcher decides
 * by, under one name each. Its debug log says them, and so does `loom cluster why`.
 */
#ifndef LOOM_MODEL_HOLD_H
#define LOOM_MODEL_HOLD_H

enum hold {
	HOLD_NOT,                       /* nothing holds it: the next worker that asks gets it */
	HOLD_PAUSED,                    /* its job is paused */
	HOLD_ADDRESSES,                 /* it needs addresses of nodes that are still being made */
	HOLD_RETRY,                     /* it failed, and its next try is later */
	HOLD_LATER,                     /* one of these two; a search does not know which */
	HOLD_NO_PROVISIONER,            /* none is registered */
	HOLD_QUARANTINE,                /* those that ask are in quarantine */
	HOLD_NO_PROVISIONER_FOR_TENANT, /* none asks for this tenant's tasks */
	HOLD_PROVIDER_CREATES,          /* the provider's limit of creates at once */
	HOLD_PROVIDER_CALLS,            /* the provider's limit of calls in a time */
	HOLD_AVOIDED,   /* it failed there a moment ago: it is for other provisioners */
	HOLD_BUSY,      /* all who ask have enough */
	HOLD_CONTENDED, /* another transaction holds its cluster or its limit */
	HOLD_UNHEARD,   /* no scheduler is heard; workers ask by way of the database */
	HOLDS_
};

const char *hold_name(enum hold h);  /* "paused"; HOLD_NOT: "ready" */
const char *hold_words(enum hold h); /* "its job is paused": a clause, for logs */

/* So long after a failed try its provisioner does not get the task again, while there are others:
 * the schedulers' default (quarantine_avoid_ms). */
#define HOLD_AVOID_MS 5000

#endif
