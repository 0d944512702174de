/* SPDX-License-Identifier: Apache-2.0 */
/* Limits the request rates of tenants and tokens, and the connections that a tenant may hold. */
#include "services/api/request/pace.h"

#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/base/metrics.h"
#include "common/base/netlist.h"
#include "services/api/request/audit.h"
#include "services/api/request/budget.h"

#include <stdio.h>

#define HELD_AGAIN   "10"       /* s; by then a stream may have ended */
#define CHANGE_BYTES (16 << 10) /* of a body: each more counts as another change */
#define SECONDS      24         /* bytes of a number */

struct pace {
	struct budget *tenants, *tokens, *changes; /* by tenant, by token, by tenant */
	int64_t most_changes;                      /* at once */
	struct budget *bad, *wrong;                /* bad tokens and wrong passwords, by peer */
	struct map *held; /* int64_t by tenant, for tenants that hold any; loop thread */
	int64_t most_held;
};

enum { M_FAST, M_CHANGES, M_HELD, M_REFUSED, M_BAD, M_WRONG, M_COUNT };
static struct metric metrics[M_COUNT] = {
	[M_FAST] = { "loom_api_too_fast_total",
	             "Requests refused by the rate limit of their tenant or token",
	             METRIC_COUNTER },
	[M_CHANGES] = { "loom_api_too_many_changes_total",
	                "Creates and operations refused by their tenant's rate limit",
	                METRIC_COUNTER },
	[M_HELD] = { "loom_api_held_requests",
	             "Streams, takes and other requests that wait for a change.", METRIC_GAUGE },
	[M_REFUSED] = { "loom_api_too_many_held_total",
	                "Streams and takes refused because their tenant holds too many",
	                METRIC_COUNTER },
	[M_BAD] = { "loom_api_bad_tokens_total", "Requests with a bad token", METRIC_COUNTER },
	[M_WRONG] = { "loom_api_bad_passwords_total", "Wrong passwords", METRIC_COUNTER },
};

struct pace *pace_create(const struct api_config *cfg)
{
	struct pace *p = loom_calloc(1, sizeof(*p));
	metrics_register(metrics, M_COUNT);
	p->tenants = budget_create(cfg->tenant_rate, cfg->tenant_burst);
	p->changes = budget_create(cfg->tenant_change_rate, cfg->tenant_change_burst);
	p->most_changes = cfg->tenant_change_burst;
	p->tokens = budget_create(cfg->token_rate, cfg->token_burst);
	p->bad = budget_create(cfg->bad_token_rate, cfg->bad_token_burst);
	p->wrong = budget_create(cfg->bad_password_rate, cfg->bad_password_burst);
	p->held = map_create(loom_free);
	p->most_held = cfg->tenant_held;
	return p;
}

void pace_destroy(struct pace *p)
{
	if (!p)
		return;
	budget_destroy(p->tenants);
	budget_destroy(p->tokens);
	budget_destroy(p->changes);
	budget_destroy(p->bad);
	budget_destroy(p->wrong);
	map_destroy(p->held);
	loom_free(p);
}

/* false: the caller has to wait; the answer is complete except for its text. */
static bool may_go_on(struct http_req *req, int64_t wait, struct metric *refused,
                      char seconds[SECONDS])
{
	if (!wait)
		return true;
	snprintf(seconds, SECONDS, "%lld", (long long)(wait + 999) / 1000);
	metric_add(refused, 1);
	http_reply_header(req, "Retry-After", seconds);
	return false;
}

bool pace_ask(struct api *a, struct http_req *req, const char *tenant_id, const char *token)
{
	const char *scope = "token";
	int64_t now = clock_mono_ms();
	int64_t wait = *token ? budget_take(a->pace->tokens, token, 1, now) : 0;
	if (!wait && *tenant_id) {
		scope = "tenant";
		wait = budget_take(a->pace->tenants, tenant_id, 1, now);
	}
	char seconds[SECONDS];
	if (may_go_on(req, wait, &metrics[M_FAST], seconds))
		return true;
	http_reply_text(req, 429, "too many requests of this %s; wait %s s (%s_rate, %s_burst)",
	                scope, seconds, scope, scope);
	return false;
}

bool pace_change(struct api *a, struct http_req *req, const char *tenant_id)
{
	size_t len;
	(void)http_body(req, &len);
	int64_t cost = 1 + (int64_t)(len / CHANGE_BYTES);
	if (cost > a->pace->most_changes)
		cost = a->pace->most_changes; /* a cost above the burst could never be met */
	int64_t wait = budget_take(a->pace->changes, tenant_id, cost, clock_mono_ms());
	char seconds[SECONDS];
	if (may_go_on(req, wait, &metrics[M_CHANGES], seconds))
		return true;
	http_reply_text(
		req, 429,
		"too many changes of this tenant's clusters; wait %s s (tenant_change_rate, "
		"tenant_change_burst)",
		seconds);
	return false;
}

static void from(const struct api *a, const struct http_req *req, char ret[NET_OWNER])
{
	char address[64];
	LOOM_CLEANUP_STR char *forwarded = audit_forwarded(req);
	audit_from(a->cfg.trusted_proxies, http_peer(req), forwarded, address);
	net_addr_owner(address, ret);
}

static int64_t wait_of(struct api *a, const struct http_req *req, struct budget *b)
{
	char peer[NET_OWNER];
	from(a, req, peer);
	return budget_wait(b, peer, 1, clock_mono_ms());
}

static void take_of(struct api *a, const struct http_req *req, struct budget *b, struct metric *m)
{
	char peer[NET_OWNER];
	from(a, req, peer);
	metric_add(m, 1);
	(void)budget_take(b, peer, 1, clock_mono_ms());
}

int64_t pace_bad_token_wait(struct api *a, const struct http_req *req)
{
	return wait_of(a, req, a->pace->bad);
}

void pace_bad_token(struct api *a, const struct http_req *req)
{
	take_of(a, req, a->pace->bad, &metrics[M_BAD]);
}

int64_t pace_bad_password_wait(struct api *a, const struct http_req *req)
{
	return wait_of(a, req, a->pace->wrong);
}

void pace_bad_password(struct api *a, const struct http_req *req)
{
	take_of(a, req, a->pace->wrong, &metrics[M_WRONG]);
}

/* False: it holds too many already. */
static bool count_held(struct pace *p, const char *tenant_id)
{
	int64_t *n = map_get(p->held, tenant_id);
	if (n && *n >= p->most_held)
		return false;
	if (!n) {
		n = loom_calloc(1, sizeof(*n));
		map_set(p->held, tenant_id, n);
	}
	++*n;
	return true;
}

bool pace_hold(struct api *a, struct http_req *req, const char *tenant_id)
{
	if (!*tenant_id || count_held(a->pace, tenant_id)) {
		metric_add(&metrics[M_HELD], 1);
		return true;
	}
	metric_add(&metrics[M_REFUSED], 1);
	http_reply_header(req, "Retry-After", HELD_AGAIN);
	http_reply_text(req, 429,
	                "this tenant holds %lld streams and waiting takes open here already "
	                "(tenant_held)",
	                (long long)a->pace->most_held);
	return false;
}

void pace_release(struct api *a, const char *tenant_id)
{
	int64_t *n = map_get(a->pace->held, tenant_id);
	metric_add(&metrics[M_HELD], -1);
	if (n && !--*n)
		map_del(a->pace->held, tenant_id);
}
