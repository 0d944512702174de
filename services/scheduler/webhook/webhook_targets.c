/* SPDX-License-Identifier: Apache-2.0 */
/* webhook_targets - merges the targets of the operator, the template and the tenant. */
#include "services/scheduler/webhook/webhook_targets.h"

#include "common/base/str.h"
#include "common/net/http_client.h"
#include "common/operation/operation.h"
#include "services/scheduler/webhook/webhook_policy.h"

#include <string.h>

#define LEASE_MARGIN_MS 5000

#define SEPARATORS ", \t"

#define KEY(...) CONFIG_KEY(struct webhook_config, __VA_ARGS__)

const struct config_key webhook_config_keys[] = {
	KEY(callback_url, CFG_STR, "", 0, 0,
	    "target of messages about the jobs and leases of all clusters"),
	KEY(callback_events, CFG_STR, "start,success,failure,lease_warning,lease_expired", 0, 0,
	    "the events reported to callback_url"),
	KEY(callback_triggers, CFG_STR, "", 0, 0,
	    "the operations reported to callback_url, as cluster_create; empty: all"),
	KEY(callback_secret_file, CFG_STR, "", 0, 0,
	    "file with the secret that signs messages to callback_url"),
	KEY(callback_veto, CFG_BOOL, "false", 0, 0, "ask callback_url before a job starts"),
	KEY(callback_secrets_dir, CFG_STR, "", 0, 0,
	    "folder of TENANT-ID/NAME files: the secrets that templates name"),
	KEY(callback_allow, CFG_STR, "", 0, 0,
	    "private or local hosts and networks that callbacks may go to"),
	KEY(callback_timeout_ms, CFG_DURATION, "10s", 50, 120000, "time limit of one callback"),
	KEY(callback_veto_ms, CFG_DURATION, "10s", 50, 60000,
	    "time in which a target with a veto must answer"),
	KEY(callback_tries, CFG_INT, "10", 1, 1000, "tries before a callback is put aside as dead"),
	KEY(callback_base_ms, CFG_DURATION, "1s", 1, 600000,
	    "first wait before a callback is tried again"),
	KEY(callback_cap_ms, CFG_DURATION, "10m", 1, 86400000, "longest such wait"),
	KEY(callback_at_once, CFG_INT, "256", 2, 4096,
	    "callbacks under way at once; a tenant gets at most as many as stay free for others"),
	KEY(callback_threads, CFG_INT, "4", 1, 64,
	    "threads that claim callbacks and record their outcomes"),
	{ 0 },
};

static bool has_word(const char *list, const char *word)
{
	for (const char *p = list; p && *p;) {
		size_t n = strcspn(p, SEPARATORS);
		LOOM_CLEANUP_STR char *w = loom_strndup(p, n);
		if (n && str_ieq(w, word))
			return true;
		p += n + strspn(p + n, SEPARATORS);
	}
	return false;
}

static bool is_event(const char *word)
{
	enum callback_kind k;
	return callback_kind_parse(word, &k);
}

static bool is_action(const char *word)
{
	return operation_kind_of_action(word) != NULL;
}

/* A word that is no event or action would never match. */
static int check_words(const char *list, bool (*ok)(const char *word), const char *what,
                       struct loom_err *err)
{
	for (const char *p = list; p && *p;) {
		size_t n = strcspn(p, SEPARATORS);
		LOOM_CLEANUP_STR char *word = loom_strndup(p, n);
		if (n && !ok(word))
			return err_set(err, 0, "%s '%s'", what, word);
		p += n + strspn(p + n, SEPARATORS);
	}
	return 0;
}

int64_t webhook_lease_ms(const struct webhook_config *cfg)
{
	return WEBHOOK_SENDING_MS + cfg->callback_timeout_ms + LEASE_MARGIN_MS;
}

int webhook_config_check(const struct webhook_config *cfg, struct loom_err *err)
{
	LOOM_CLEANUP_STR char *bad = NULL;
	if (!webhook_allow_valid(cfg->callback_allow, &bad))
		return err_set(
			err, 0,
			"callback_allow: '%s' is not a host name, an address, a network or *", bad);
	LOOM_CLEANUP_STR char *host = http_url_host(cfg->callback_url);
	if (!str_blank(cfg->callback_url) && !host)
		return err_set(err, 0,
		               "callback_url is no http:// or https:// URL without a user or "
		               "password");
	int rc = check_words(cfg->callback_events, is_event, "callback_events: there is no event",
	                     err);
	return rc ? rc
	          : check_words(cfg->callback_triggers, is_action,
	                        "callback_triggers: no job has the action", err);
}

/* Solving the layout is the beginning of a create. */
static bool triggers(const char *list, const char *action)
{
	return str_blank(list) || !action || has_word(list, action) ||
	       (str_eq(action, "solve_layout") && has_word(list, "cluster_create"));
}

static bool wanted(const struct json *target, const char *action)
{
	const struct json *list = json_get(target, "triggers");
	return !json_len(list) || !action || json_arr_has_str(list, action) ||
	       (str_eq(action, "solve_layout") && json_arr_has_str(list, "cluster_create"));
}

static struct json *target(const char *url, const char *secret, bool veto)
{
	struct json *o = json_set_str(json_new_obj(), "url", url);
	json_set_str(o, "secret", secret);
	return json_set_bool(o, "veto", veto);
}

struct json *webhook_targets(const struct webhook_config *cfg, const struct json *of_cluster,
                             enum callback_kind k, const char *action)
{
	struct json *out = json_new_arr();
	const char *event = callback_kind_name(k);
	bool start = k == CALLBACK_START;
	if (cfg && !str_blank(cfg->callback_url) && has_word(cfg->callback_events, event) &&
	    triggers(cfg->callback_triggers, action))
		json_push(out, target(cfg->callback_url, "global", start && cfg->callback_veto));
	for (size_t i = 0; i < json_len(of_cluster); i++) {
		const struct json *t = json_at(of_cluster, i);
		const char *url = json_get_str(t, "url"), *ref = json_get_str(t, "secretRef");
		const char *name = json_get_str(t, "name"); /* name of a tenant's target */
		LOOM_CLEANUP_STR char *secret = ref    ? loom_asprintf("ref:%s", ref)
		                                : name ? loom_asprintf("tenant:%s", name)
		                                       : NULL;
		if (url && json_arr_has_str(json_get(t, "events"), event) && wanted(t, action))
			json_push(out, target(url, secret ? secret : "",
			                      start && json_get_bool(t, "veto", false)));
	}
	return out;
}
