/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhook_targets - decides which targets get an event: the operator's (configuration) and those of
 * the cluster's template (`administration.callbacks`) and tenant. Pure.
 */
#ifndef LOOM_SCHEDULER_WEBHOOK_TARGETS_H
#define LOOM_SCHEDULER_WEBHOOK_TARGETS_H

#include "common/base/config.h"
#include "common/json/json.h"
#include "common/model/callback/callback.h"

struct webhook_config {
	char *callback_url, *callback_events, *callback_triggers, *callback_secret_file;
	char *callback_secrets_dir, *callback_allow;
	bool callback_veto;
	int64_t callback_timeout_ms, callback_veto_ms, callback_tries;
	int64_t callback_base_ms, callback_cap_ms, callback_at_once, callback_threads;
};
extern const struct config_key webhook_config_keys[];

/* 0, or positive with err: a word is not an event, action or address. */
LOOM_MUST_CHECK int webhook_config_check(const struct webhook_config *cfg, struct loom_err *err);

/* After WEBHOOK_SENDING_MS no further callback of a claim is started, so that outcomes are recorded
 * soon. The claim lasts for that time, the last post and the two transactions around it: a callback
 * that takes longer is sent twice, and its target recognizes it by its delivery id. */
#define WEBHOOK_SENDING_MS 1000
int64_t webhook_lease_ms(const struct webhook_config *cfg);

/* [{"url":..,"secret":"" | "global" | "ref:NAME" | "tenant:NAME","veto":bool}], the targets that
 * want this event. cfg and of_cluster may be NULL; action NULL: no job is concerned. */
struct json *webhook_targets(const struct webhook_config *cfg, const struct json *of_cluster,
                             enum callback_kind k, const char *action);

#endif
