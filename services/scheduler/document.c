/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/document.h"

#include "common/base/str.h"
#include "common/model/expander.h"
#include "services/scheduler/planner.h"

#include <string.h>

/* ---- the cache ------------------------------------------------------------------------------- */

enum { KEPT = 512 };
#define KEPT_BYTES (4u << 20) /* of all configurations together, as text */

struct kept {
	int64_t cluster, job;
	uint64_t used;
	size_t size;
	struct json *provider, *config, *service_docs;
};

struct documents {
	struct kept v[KEPT];
	size_t n, size;
	uint64_t ticks;
};

struct documents *documents_create(void)
{
	return loom_calloc(1, sizeof(struct documents));
}

static void forget(struct documents *d, size_t i)
{
	json_free(d->v[i].provider);
	json_free(d->v[i].config);
	json_free(d->v[i].service_docs);
	d->size -= d->v[i].size;
	d->v[i] = d->v[--d->n];
}

void documents_destroy(struct documents *d)
{
	if (!d)
		return;
	while (d->n)
		forget(d, d->n - 1);
	loom_free(d);
}

static void make_room(struct documents *d)
{
	while (d->n == KEPT || (d->n && d->size > KEPT_BYTES)) {
		size_t oldest = 0;
		for (size_t i = 1; i < d->n; i++)
			if (d->v[i].used < d->v[oldest].used)
				oldest = i;
		forget(d, oldest);
	}
}

static size_t text_size(const struct json *v)
{
	LOOM_CLEANUP_STR char *text = json_text(v);
	return strlen(text);
}

static int load(struct documents *d, struct db *db, struct cluster *c, int64_t job)
{
	int rc = cluster_load_docs(db, c);
	if (rc)
		return rc;
	make_room(d);
	struct kept *k = &d->v[d->n++];
	*k = (struct kept){ .cluster = c->id,
		            .job = job,
		            .provider = loom_take(c->provider),
		            .config = loom_take(c->config),
		            .service_docs = loom_take(c->service_docs) };
	k->size = text_size(k->config) + text_size(k->service_docs) + text_size(k->provider);
	d->size += k->size;
	return 0;
}

int documents_get(struct documents *d, struct db *db, struct cluster *c, int64_t job,
                  struct docset *ret)
{
	size_t i = 0;
	while (i < d->n && (d->v[i].cluster != c->id || d->v[i].job != job))
		i++;
	int rc = i < d->n ? 0 : load(d, db, c, job);
	if (rc)
		return rc;
	struct kept *k = &d->v[i < d->n ? i : d->n - 1];
	k->used = ++d->ticks;
	*ret = (struct docset){ k->provider, k->config, k->service_docs, k->size };
	return 0;
}

/* ---- the document ---------------------------------------------------------------------------- */

struct sight {
	struct nodes nodes; /* its array is borrowed */
	struct expander *expander;
	struct json *properties; /* of all machines, by id */
	size_t size;             /* of their text */
};

struct sight *sight_create(const struct node *v, size_t n, const char *owner)
{
	struct sight *s = loom_calloc(1, sizeof(*s));
	s->nodes.v = loom_calloc(n + 1, sizeof(*v));
	memcpy(s->nodes.v, v, n * sizeof(*v));
	s->nodes.n = n;
	s->expander = expander_create(&s->nodes, owner);
	s->properties = json_new_obj();
	for (size_t i = 0; i < n; i++)
		json_set(s->properties, v[i].id, node_properties(&v[i]));
	s->size = text_size(s->properties);
	return s;
}

void sight_destroy(struct sight *s)
{
	if (!s)
		return;
	expander_destroy(s->expander);
	json_free(s->properties);
	loom_free(s->nodes.v);
	loom_free(s);
}

int sight_config(const struct sight *s, const struct docset *docs, const struct task *t,
                 struct json **ret, struct loom_err *err)
{
	if (*t->service)
		return expander_config(s->expander, t->node_id, docs->config, ret, err);
	*ret = json_copy(docs->config);
	return 0;
}

static struct json *service_action(const struct docset *docs, const struct task *t)
{
	enum plan_step step;
	if (!*t->service || !plan_step_parse(t->name, &step))
		return NULL;
	const struct json *doc = json_get(docs->service_docs, t->service);
	const struct json *actions = json_get(json_get(doc, "provisioner"), "actions");
	struct json *s = json_set_str(json_new_obj(), "name", t->service);
	return json_set(s, "action", json_copy(json_get(actions, plan_step_action(step))));
}

/* Names of the task document that a plug-in's stored results must not replace. */
static bool is_fixed(const char *key)
{
	static const char *const keys[] = { "cluster", "service", "provider", "nodes", "nodenum" };
	for (size_t i = 0; i < LOOM_COUNT(keys); i++)
		if (str_eq(keys[i], key))
			return true;
	return false;
}

size_t sight_size(const struct sight *s, const struct docset *docs, const struct node *n,
                  const struct json *config)
{
	return 1024 + s->size + docs->size + text_size(config) + (n ? text_size(n->results) : 0);
}

struct json *sight_document(const struct sight *s, const struct docset *docs, const struct task *t,
                            const struct node *n, struct json *config)
{
	struct json *conf = n ? node_properties(n) : json_new_obj();
	json_set(conf, "cluster", config);
	json_set(conf, "service", service_action(docs, t));
	json_set(conf, "provider", json_copy(docs->provider));
	json_set(conf, "nodes", json_copy(s->properties));
	for (size_t i = 0; n && i < json_len(n->results); i++)
		if (!is_fixed(json_key_at(n->results, i)))
			json_set(conf, json_key_at(n->results, i),
			         json_copy(json_value_at(n->results, i)));
	char id[ID_MAX];
	struct json *d = json_new_obj();
	id_task(id, t->cluster_id, t->job_num, t->num);
	json_set_str(d, "taskId", id);
	id_job(id, t->cluster_id, t->job_num);
	json_set_str(d, "jobId", id);
	id_cluster(id, t->cluster_id);
	json_set_str(d, "clusterId", id);
	json_set_str(d, "taskName", t->name);
	json_set_str(d, "nodeId", t->node_id);
	json_set_int(d, "attempt", t->attempt);
	json_set_int(d, "leaseMs", t->lease_ms);
	return json_set(d, "config", conf);
}
