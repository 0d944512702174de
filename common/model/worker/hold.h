/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold - why a ready task is not handed out. The scheduler's dispatcher uses these reasons under
 * one name each, and so do its debug log and `loom cluster why`.
 */
#ifndef LOOM_MODEL_HOLD_H
#define LOOM_MODEL_HOLD_H

enum hold {
	HOLD_NOT,                       /* nothing: the next worker that asks gets it */
	HOLD_PAUSED,                    /* its job is paused */
	HOLD_ADDRESSES,                 /* it needs addresses of nodes that are still being made */
	HOLD_RETRY,                     /* it failed, and its retry is later */
	HOLD_LATER,                     /* one of these two; a search cannot tell which */
	HOLD_NO_PROVISIONER,            /* no provisioner is registered */
	HOLD_QUARANTINE,                /* all that ask are in quarantine */
	HOLD_NO_PROVISIONER_FOR_TENANT, /* none asks for this tenant's tasks */
	HOLD_PROVIDER_CREATES,          /* the provider's limit of concurrent creates */
	HOLD_PROVIDER_CALLS,            /* the provider's rate limit */
	HOLD_AVOIDED,   /* it just failed there: it is kept for other provisioners */
	HOLD_BUSY,      /* all workers that ask are busy */
	HOLD_CONTENDED, /* another transaction has locked its cluster or its limit */
	HOLD_UNHEARD,   /* no scheduler is heard; workers ask through the database */
	HOLDS_
};

const char *hold_name(enum hold h);  /* "paused"; HOLD_NOT: "ready" */
const char *hold_words(enum hold h); /* "its job is paused": a clause, for logs */

/* For this long after a failed try its provisioner does not get the task again, as long as there
 * are others: default of the schedulers' quarantine_avoid_ms. */
#define HOLD_AVOID_MS 5000

#endif
