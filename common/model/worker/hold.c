/* SPDX-License-Identifier: Apache-2.0 */
/* hold - the table of reasons. */
#include "common/model/worker/hold.h"

static const struct {
	const char *name, *words;
} holds[HOLDS_] = {
	[HOLD_NOT] = { "ready", "nothing holds it" },
	[HOLD_PAUSED] = { "paused", "its job is paused" },
	[HOLD_ADDRESSES] = { "addresses", "it needs addresses of nodes that are still being made" },
	[HOLD_RETRY] = { "retry", "it failed and is tried again later" },
	[HOLD_LATER] = { "later", "it failed, or needs addresses: it may begin later" },
	[HOLD_NO_PROVISIONER] = { "no_provisioner", "no provisioner is registered" },
	[HOLD_QUARANTINE] = { "quarantine", "those that ask are in quarantine" },
	[HOLD_NO_PROVISIONER_FOR_TENANT] = { "no_provisioner_for_tenant",
	                                     "no provisioner asks for tasks of its tenant" },
	[HOLD_PROVIDER_CREATES] = { "provider_creates",
	                            "its provider's limit of creates is reached" },
	[HOLD_PROVIDER_CALLS] = { "provider_calls", "its provider's limit of calls is reached" },
	[HOLD_AVOIDED] = { "avoided", "it is kept for other provisioners after a failure" },
	[HOLD_BUSY] = { "busy", "all who ask have enough" },
	[HOLD_UNHEARD] = { "unheard", "no scheduler can be heard" },
	[HOLD_CONTENDED] = { "contended", "another transaction holds its cluster or its limit" },
};

const char *hold_name(enum hold h)
{
	return holds[h].name;
}

const char *hold_words(enum hold h)
{
	return holds[h].words;
}
