/* SPDX-License-Identifier: Apache-2.0 */
/* task_payload - makes the JSON about a task, and caches its parts. */
#include "services/scheduler/dispatch/task_payload.h"

#include "common/base/lru.h"
#include "common/base/str.h"
#include "common/json/json_emit.h"
#include "common/model/cluster/expander.h"
#include "services/scheduler/plan/planner.h"

#include <stdatomic.h>
#include <string.h>

/* ---- the cache ------------------------------------------------------------------------------- */

/* As many jobs as cluster_cache keeps clusters. */
enum { MAX_JOBS = 512 };

struct kept {
	char *provider, *bare, *config;
	char *locked_provider, *locked_services;
	struct json *macros; /* the configuration, if it contains macros */
	struct json *service_docs;
};

struct payload_cache {
	struct keyring *ring;
	struct lru *jobs;
	_Atomic size_t bytes;
};

static void kept_free(void *arg)
{
	struct kept *k = arg;
	loom_free(k->provider);
	loom_free(k->bare);
	loom_free(k->locked_provider);
	loom_free(k->locked_services);
	loom_free(k->config);
	json_free(k->macros);
	json_free(k->service_docs);
	loom_free(k);
}

struct payload_cache *payload_cache_create(struct keyring *ring)
{
	struct payload_cache *d = loom_calloc(1, sizeof(*d));
	d->ring = ring;
	d->jobs = lru_create(MAX_JOBS, PAYLOAD_CACHE_MAX, kept_free);
	return d;
}

void payload_cache_destroy(struct payload_cache *d)
{
	if (!d)
		return;
	lru_destroy(d->jobs);
	loom_free(d);
}

size_t payload_cache_bytes(struct payload_cache *d)
{
	return atomic_load(&d->bytes);
}

/* *why: owned, the reason why secrets cannot be opened. Returns only DB_E_ codes. */
static int open_one(const struct secret_of *of, struct json *doc, char **why)
{
	struct loom_err err = { 0 };
	int rc = *why ? 0 : secrets_open(of, doc, &err);
	if (err_is_refusal(rc))
		*why = loom_strdup(err.msg);
	return err_is_refusal(rc) ? 0 : rc;
}

static int open_all(const struct secret_of *of, struct json *docs, char **why)
{
	int rc = 0;
	for (size_t i = 0; !rc && i < json_len(docs); i++)
		rc = open_one(of, json_value_at(docs, i), why);
	return rc;
}

/* The secrets of a provider are for its own plugin, so tasks of services get it without them. */
static int open_secrets(const struct payload_cache *d, struct db *db, struct cluster *c,
                        struct kept *k)
{
	const struct secret_of provider = { d->ring, db, c->tenant_id, ENTITY_PROVIDER, false };
	const struct secret_of services = { d->ring, db, c->tenant_id, ENTITY_SERVICE, false };
	LOOM_CLEANUP(json_free) struct json *bare = json_copy(c->provider);
	(void)secrets_drop(ENTITY_PROVIDER, bare, NULL);
	k->bare = json_text(bare);
	int rc = open_one(&provider, c->provider, &k->locked_provider);
	k->provider = json_text(c->provider);
	return rc ? rc : open_all(&services, c->service_docs, &k->locked_services);
}

static int load(struct payload_cache *d, struct db *db, struct cluster *c, int64_t job)
{
	int rc = cluster_load_task_docs(db, c);
	if (rc)
		return rc;
	struct kept *k = loom_malloc(sizeof(*k));
	*k = (struct kept){ .config = json_text(c->config) };
	rc = open_secrets(d, db, c, k);
	if (rc) {
		kept_free(k);
		return rc;
	}
	k->service_docs = loom_take(c->service_docs);
	if (strchr(k->config, '%'))
		k->macros = loom_take(c->config);
	lru_put(d->jobs, c->id, job, k,
	        sizeof(*k) + strlen(k->config) + 2 * strlen(k->provider) + json_size(k->macros) +
	                json_size(k->service_docs));
	atomic_store(&d->bytes, lru_cost(d->jobs));
	return 0;
}

int payload_cache_config_size(struct payload_cache *d, struct db *db, const struct cluster *c,
                              int64_t job, int64_t *ret)
{
	const struct kept *k = lru_get(d->jobs, c->id, job);
	if (!k)
		return cluster_config_size(db, c->id, ret);
	*ret = (int64_t)strlen(k->config);
	return 0;
}

int payload_cache_get(struct payload_cache *d, struct db *db, struct cluster *c, int64_t job,
                      struct payload_parts *ret)
{
	const struct kept *k = lru_get(d->jobs, c->id, job);
	int rc = k ? 0 : load(d, db, c, job);
	if (rc)
		return rc;
	k = lru_get(d->jobs, c->id, job);
	loom_assert(k);
	*ret = (struct payload_parts){ .provider = k->provider,
		                       .bare_provider = k->bare,
		                       .config = k->config,
		                       .macros = k->macros,
		                       .service_docs = k->service_docs,
		                       .locked_provider = k->locked_provider,
		                       .locked_services = k->locked_services };
	return 0;
}

/* ---- the payload ---------------------------------------------------------------------------- */

struct node_view {
	struct nodes nodes; /* its array is borrowed */
	struct expander *expander;
	struct json *properties; /* of all machines, by id */
	char *text;              /* of the properties */
};

struct node_view *node_view_create(const struct node *v, size_t n, const char *owner)
{
	struct node_view *s = loom_calloc(1, sizeof(*s));
	s->nodes.v = loom_calloc(n + 1, sizeof(*v));
	memcpy(s->nodes.v, v, n * sizeof(*v));
	s->nodes.n = n;
	s->expander = expander_create(&s->nodes, owner);
	s->properties = json_new_obj();
	for (size_t i = 0; i < n; i++)
		json_set(s->properties, v[i].id, node_properties(&v[i]));
	s->text = json_text(s->properties);
	return s;
}

void node_view_destroy(struct node_view *s)
{
	if (!s)
		return;
	expander_destroy(s->expander);
	json_free(s->properties);
	loom_free(s->text);
	loom_free(s->nodes.v);
	loom_free(s);
}

size_t node_view_size(const struct node_view *s)
{
	/* The expander has another index of the nodes. */
	return s ? sizeof(*s) + strlen(s->text) + json_size(s->properties) +
	                       s->nodes.n * (sizeof(*s->nodes.v) + 128)
	         : 0;
}

int node_view_config(const struct node_view *s, const struct payload_parts *payloads,
                     const struct task *t, char **ret, struct loom_err *err)
{
	struct json *expanded = NULL;
	int rc = 0;
	if (*t->service && payloads->macros)
		rc = expander_config(s->expander, t->node_id, payloads->macros, &expanded, err);
	if (!rc)
		*ret = expanded ? json_text(expanded) : loom_strdup(payloads->config);
	json_free(expanded);
	return rc;
}

/* Keys of the payload that a plug-in's stored results must not replace. */
static bool is_fixed(const char *key)
{
	static const char *const keys[] = { "cluster", "service", "provider", "nodes", "nodenum" };
	for (size_t i = 0; i < LOOM_COUNT(keys); i++) {
		if (str_eq(keys[i], key))
			return true;
	}
	return false;
}

static void add_service(struct buf *b, const struct payload_parts *payloads, const struct task *t)
{
	enum plan_step step;
	if (!*t->service || !plan_step_parse(t->name, &step))
		return;
	const struct json *doc = json_get(payloads->service_docs, t->service);
	const struct json *actions = json_get(json_get(doc, "provisioner"), "actions");
	const struct json *action = json_get(actions, plan_step_action(step));
	json_emit_text(b, "service", "{");
	json_emit_str(b, "name", t->service);
	json_emit_value(b, "action", action);
	buf_addc(b, '}');
}

/* Adds the machine's properties and the facts that plug-ins reported. */
static void add_machine(struct buf *b, const struct node_view *s, const struct node *n,
                        const struct json *results)
{
	const struct json *known = json_get(s->properties, n->id);
	for (size_t i = 0; i < json_len(known); i++) {
		const char *key = json_key_at(known, i);
		if (is_fixed(key) || !json_get(results, key))
			json_emit_value(b, key, json_value_at(known, i));
	}
	for (size_t i = 0; i < json_len(results); i++) {
		if (!is_fixed(json_key_at(results, i)))
			json_emit_value(b, json_key_at(results, i), json_value_at(results, i));
	}
}

char *node_view_payload(const struct node_view *s, const struct payload_parts *payloads,
                        const struct payload_task *of, size_t max)
{
	const struct task *t = of->t;
	char id[ID_MAX];
	struct buf b = BUF_INIT(max);
	buf_addc(&b, '{');
	id_task(id, t->cluster_id, t->job_num, t->num);
	json_emit_str(&b, "taskId", id);
	id_job(id, t->cluster_id, t->job_num);
	json_emit_str(&b, "jobId", id);
	id_cluster(id, t->cluster_id);
	json_emit_str(&b, "clusterId", id);
	json_emit_str(&b, "taskName", t->name);
	json_emit_str(&b, "nodeId", t->node_id);
	json_emit_int(&b, "attempt", t->attempt);
	json_emit_int(&b, "leaseMs", t->lease_ms);
	if (*of->claim)
		json_emit_str(&b, "claim", of->claim);
	if (*of->traceparent)
		json_emit_str(&b, "traceparent", of->traceparent);
	if (*of->traceparent && of->tracestate)
		json_emit_str(&b, "tracestate", of->tracestate);
	json_emit_text(&b, "config", "{");
	if (of->n)
		add_machine(&b, s, of->n, of->results);
	json_emit_text(&b, "cluster", of->config);
	add_service(&b, payloads, t);
	json_emit_text(&b, "provider", *t->service ? payloads->bare_provider : payloads->provider);
	json_emit_text(&b, "nodes", s->text);
	buf_adds(&b, "}}");
	if (!b.full)
		return buf_take(&b);
	buf_fini(&b);
	return NULL;
}
