/* SPDX-License-Identifier: Apache-2.0 */
/* Expands links and configuration of one cluster, with its nodes indexed once. */
#include "common/model/cluster/expander.h"

struct expander {
	const struct nodes *nodes;
	struct macro_node *v;
	struct strs *services;
	struct macro *macro;
};

struct expander *expander_create(const struct nodes *ns, const char *owner)
{
	struct expander *e = loom_calloc(1, sizeof(*e));
	e->nodes = ns;
	e->v = loom_calloc(ns->n + 1, sizeof(*e->v));
	e->services = loom_calloc(ns->n + 1, sizeof(*e->services));
	for (size_t i = 0; i < ns->n; i++) {
		const struct node *n = &ns->v[i];
		for (size_t k = 0; k < json_len(n->services); k++)
			strs_add(&e->services[i], json_str(json_at(n->services, k)));
		e->v[i] = (struct macro_node){ n->id, (int)n->num, n->hostname, n->ipaddresses,
			                       &e->services[i] };
	}
	e->macro = macro_create(e->v, ns->n, owner);
	return e;
}

void expander_destroy(struct expander *e)
{
	if (!e)
		return;
	macro_destroy(e->macro);
	for (size_t i = 0; i < e->nodes->n; i++)
		strs_fini(&e->services[i]);
	loom_free(e->services);
	loom_free(e->v);
	loom_free(e);
}

static size_t self(const struct expander *e, const char *node_id)
{
	const struct node *n = node_id ? nodes_find(e->nodes, node_id) : NULL;
	return n ? (size_t)(n - e->nodes->v) : MACRO_NO_SELF;
}

int expander_config(const struct expander *e, const char *node_id, const struct json *config,
                    struct json **ret, struct loom_err *err)
{
	return macro_expand(e->macro, self(e, node_id), config, ret, err);
}

int expander_check(const struct expander *e, const struct json *config, struct loom_err *err)
{
	return macro_check(e->macro, config, err);
}

struct json *expander_links(const struct expander *e, const char *node_id, const struct json *links)
{
	struct json *out = json_new_arr();
	for (size_t i = 0; i < json_len(links); i++) {
		struct json *l = json_copy(json_at(links, i));
		const char *url = json_get_str(l, "url");
		char *expanded;
		struct loom_err err;
		if (url && !macro_expand_str(e->macro, self(e, node_id), url, &expanded, &err)) {
			json_set_str(l, "url", expanded);
			loom_free(expanded);
		}
		json_push(out, l);
	}
	return out;
}
