/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relayout_case - clusters whose layout changes.
 */
#ifndef TESTS_RELAYOUT_CASE_H
#define TESTS_RELAYOUT_CASE_H

#include "common/base/buf.h"
#include "services/scheduler/placement/relayout.h"
#include "services/scheduler/placement/removal_search.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_NODES 12

/* Words of text up to the end character are added to out; returns what follows it. */
static const char *split(const char *text, char end, struct strs *out)
{
	while (*text && *text != end) {
		const char stop[] = { ' ', end, '\0' };
		const size_t n = strcspn(text, stop);
		if (n) {
			LOOM_CLEANUP_STR char *word = loom_strndup(text, n);
			strs_add(out, word);
		}
		text += n + (text[n] == ' ');
	}
	return *text ? text + 1 : text;
}

/* ---- the world ------------------------------------------------------------------------------ */

static const char provider[] = "{'name':'p'}";
static const char hardware[] = "[{'name':'large','providermap':{'p':{'flavor':'L'}}},"
			       "{'name':'small','providermap':{'p':{'flavor':'S'}}},"
			       "{'name':'other','providermap':{'q':{'flavor':'O'}}}]";
static const char images[] = "[{'name':'i1','providermap':{'p':{'image':'one','sshuser':'me'}}},"
			     "{'name':'i2','providermap':{'p':{'image':'two'}}}]";

#define SERVICE(name, deps)                                                          \
	"{'name':'" name "','provisioner':{'actions':{'install':{'type':'shell'}}}," \
	"'dependencies':{" deps "}}"

static const char services[] =
	"[" SERVICE("a", "") "," SERVICE("b", "") "," SERVICE("c", "") "," SERVICE("d", "") "," SERVICE("m", "") "," SERVICE("w", "") "," SERVICE("db", "'provides':['sql']") "," SERVICE("pg", "'provides':['sql'],'conflicts':['x']") "," SERVICE(
		"app",
		"'runtime':{'requires':['sql']}") "," SERVICE("lib",
                                                              "'install':{'requires':['a']}") "," SERVICE("log",
                                                                                                          "'runtime':{'uses':['a','zz']}") "," SERVICE("x",
                                                                                                                                                       "'conflicts':['pg']") ","
																					     "{'name':'chef','provisioner':{'actions':{'install':{'type':'chef-solo'},"
																					     "'start':{'type':'shell'}}}}]";

#define TEMPLATE(constraints) "{'name':'T','constraints':{" constraints "}}"
#define MUST(sets)            "'layout':{'mustcoexist':[" sets "]}"
#define CANT(sets)            "'layout':{'cantcoexist':[" sets "]}"
#define LIMITS(l)             "'services':{" l "}"
#define MIN_MAX(s, n, x)      "'" s "':{'quantities':{'min':" #n ",'max':" #x "}}"
#define AT_LEAST(s, n)        "'" s "':{'quantities':{'min':" #n "}}"
#define AT_MOST(s, n)         "'" s "':{'quantities':{'max':" #n "}}"
#define ON(s, hw)             "'" s "':{'hardwaretypes':['" hw "'],'quantities':{'min':0}}"
#define PLAIN                 "{'name':'T'}"

struct row {
	const char *name;
	enum relayout_operation operation;
	const char *template;
	const char *nodes; /* "1000 small i1 a b/1001 large i2 c" */
	const char *named; /* services to add or remove, or to grow */
	int64_t count;
	const char *nodenums; /* "1001 1002" */
	const char *want;     /* see outcome(), or the reason */
};

struct world {
	struct json *template, *provider, *hardware, *images, *services, *docs, *request;
	struct strs words[MOST_NODES], named, nums;
	char ids[MOST_NODES][8];
	struct relayout_node nodes[MOST_NODES];
	int64_t nodenums[MOST_NODES];
	struct relayout_input in;
};

static void add_nodes(struct world *w, const char *text)
{
	while (*text) {
		const size_t i = w->in.n_nodes++;
		struct strs *words = &w->words[i];
		text = split(text, '/', words);
		snprintf(w->ids[i], sizeof(w->ids[i]), "n%zu", i);
		w->nodes[i] = (struct relayout_node){
			.id = w->ids[i],
			.nodenum = atoi(words->v[0]),
			.hardwaretype = words->v[1],
			.imagetype = words->v[2],
			.services = { words->v + 3, words->n - 3, 0 },
		};
	}
}

static void build(struct world *w, const struct row *row)
{
	memset(w, 0, sizeof(*w));
	w->template = unit_json(row->template);
	w->provider = unit_json(provider);
	w->hardware = unit_json(hardware);
	w->images = unit_json(images);
	w->services = unit_json(services);
	w->request = unit_json("{'dnsSuffix':'example.org'}");
	w->in = (struct relayout_input){
		.operation = row->operation,
		.nodes = w->nodes,
		.template = w->template,
		.provider = w->provider,
		.hardwaretypes = w->hardware,
		.imagetypes = w->images,
		.services = w->services,
		.request = w->request,
		.cluster_id = 7,
		.cluster_name = "demo",
		.count = row->count,
		.nodenums = w->nodenums,
	};
	add_nodes(w, row->nodes);
	if (row->named) {
		split(row->named, '\0', &w->named);
		w->in.named = &w->named;
		w->in.grow = &w->named;
	}
	if (row->nodenums)
		split(row->nodenums, '\0', &w->nums);
	for (size_t i = 0; i < w->nums.n; i++)
		w->nodenums[w->in.n_nodenums++] = strtoll(w->nums.v[i], NULL, 10);
}

static void tear_down(struct world *w)
{
	json_free(w->template);
	json_free(w->provider);
	json_free(w->hardware);
	json_free(w->images);
	json_free(w->services);
	json_free(w->docs);
	json_free(w->request);
	for (int i = 0; i < MOST_NODES; i++)
		strs_fini(&w->words[i]);
	strs_fini(&w->named);
	strs_fini(&w->nums);
}

/* "1000 +a,b; 1001 -c; +1003 small i1 a,b; -1002", or the reason. */
static void outcome(const struct relayout_input *in, struct buf *b)
{
	LOOM_CLEANUP(relayout_free) struct relayout *t = NULL;
	struct loom_err err = { 0 };
	const int r = relayout_find(in, &t, &err);
	if (r) {
		ck_assert_int_eq(r, err.status);
		buf_adds(b, err.msg);
		return;
	}
	for (size_t i = 0; i < t->n_changed; i++) {
		const struct relayout_change *c = &t->changed[i];
		LOOM_CLEANUP_STR char *plus = strs_join(&c->added, ",");
		LOOM_CLEANUP_STR char *minus = strs_join(&c->removed, ",");
		buf_addf(b, "%s%d%s%s%s%s", b->len ? "; " : "", in->nodes[c->node].nodenum,
		         *plus ? " +" : "", plus, *minus ? " -" : "", minus);
	}
	for (size_t i = 0; i < t->added.n_nodes; i++) {
		const struct layout_node *n = &t->added.nodes[i];
		LOOM_CLEANUP_STR char *list = strs_join(&n->services, ",");
		buf_addf(b, "%s+%d %s %s %s", b->len ? "; " : "", n->nodenum, n->hardwaretype,
		         n->imagetype, list);
	}
	for (size_t i = 0; i < t->n_removed; i++)
		buf_addf(b, "%s-%d", b->len ? "; " : "", in->nodes[t->removed[i]].nodenum);
}

/* ---- adding services ------------------------------------------------------------------------ */

#define ADD    RELAYOUT_ADD_SERVICES
#define REMOVE RELAYOUT_REMOVE_SERVICES
#define EXPAND RELAYOUT_EXPAND
#define SHRINK RELAYOUT_SHRINK
#define SYNC   RELAYOUT_SYNC
#define MWW    "1000 small i1 m/1001 small i1 w/1002 small i1 w"

#endif
