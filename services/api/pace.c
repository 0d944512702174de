/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a tenant and a token may ask, and what a tenant may hold. */
#include "services/api/pace.h"

#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/base/metrics.h"
#include "services/api/audit.h"
#include "services/api/budget.h"

#include <stdio.h>

#define HELD_AGAIN "10" /* s: until some stream may have ended */

struct pace {
	struct budget *tenants, *tokens;
	struct budget *bad; /* tokens, by peer */
	struct map *held;   /* int64_t by tenant, of those that hold any; loop thread */
	int64_t most_held;
};

enum { M_FAST, M_HELD, M_BAD, M_COUNT };
static struct metric metrics[M_COUNT] = {
	[M_FAST] = { "loom_api_too_fast_total",
	             "Requests refused for their tenant's or token's rate", METRIC_COUNTER },
	[M_HELD] = { "loom_api_too_many_held_total",
	             "Streams and takes refused because their tenant holds too many",
	             METRIC_COUNTER },
	[M_BAD] = { "loom_api_bad_tokens_total", "Requests with a token that was not good",
	            METRIC_COUNTER },
};

struct pace *pace_create(const struct api_config *cfg)
{
	struct pace *p = loom_calloc(1, sizeof(*p));
	metrics_register(metrics, M_COUNT);
	p->tenants = budget_create(cfg->tenant_rate, cfg->tenant_burst);
	p->tokens = budget_create(cfg->token_rate, cfg->token_burst);
	p->bad = budget_create(cfg->bad_token_rate, cfg->bad_token_burst);
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
	budget_destroy(p->bad);
	map_destroy(p->held);
	loom_free(p);
}

bool pace_ask(struct api *a, struct http_req *req, const char *tenant_id, const char *token)
{
	const char *whose = "token";
	int64_t now = clock_mono_ms();
	int64_t wait = *token ? budget_take(a->pace->tokens, token, 1, now) : 0;
	if (!wait && *tenant_id) {
		whose = "tenant";
		wait = budget_take(a->pace->tenants, tenant_id, 1, now);
	}
	if (!wait)
		return true;
	char seconds[24];
	snprintf(seconds, sizeof(seconds), "%lld", (long long)(wait + 999) / 1000);
	metric_add(&metrics[M_FAST], 1);
	http_reply_header(req, "Retry-After", seconds);
	http_reply_text(req, 429, "too many requests of this %s; wait %s s (%s_rate, %s_burst)",
	                whose, seconds, whose, whose);
	return false;
}

static void from(const struct api *a, const struct http_req *req, char ret[64])
{
	audit_from(a->cfg.trusted_proxies, http_peer(req), audit_forwarded(req), ret);
}

int64_t pace_bad_token_wait(struct api *a, const struct http_req *req)
{
	char peer[64];
	from(a, req, peer);
	return budget_wait(a->pace->bad, peer, 1, clock_mono_ms());
}

void pace_bad_token(struct api *a, const struct http_req *req)
{
	char peer[64];
	from(a, req, peer);
	metric_add(&metrics[M_BAD], 1);
	(void)budget_take(a->pace->bad, peer, 1, clock_mono_ms());
}

bool pace_hold(struct api *a, struct http_req *req, const char *tenant_id)
{
	struct pace *p = a->pace;
	int64_t *n = map_get(p->held, tenant_id);
	if (!*tenant_id)
		return true;
	if (n && *n >= p->most_held) {
		metric_add(&metrics[M_HELD], 1);
		http_reply_header(req, "Retry-After", HELD_AGAIN);
		http_reply_text(
			req, 429,
			"this tenant holds %lld streams and waiting takes open here already "
			"(tenant_held)",
			(long long)*n);
		return false;
	}
	if (!n) {
		n = loom_calloc(1, sizeof(*n));
		map_set(p->held, tenant_id, n);
	}
	++*n;
	return true;
}

void pace_release(struct api *a, const char *tenant_id)
{
	int64_t *n = map_get(a->pace->held, tenant_id);
	if (n && !--*n)
		map_del(a->pace->held, tenant_id);
}
