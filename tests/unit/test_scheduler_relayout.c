/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of clusters that exist, as tables. JSON is written with ' for ". */
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
	int nodenums[MOST_NODES];
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
		w->nodenums[w->in.n_nodenums++] = atoi(w->nums.v[i]);
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

static const struct row rows[] = {
	{ "on all nodes", ADD, PLAIN, MWW, "a", 0, NULL, "1000 +a; 1001 +a; 1002 +a" },
	{ "several", ADD, PLAIN, "1000 small i1 m", "b a", 0, NULL, "1000 +a,b" },
	{ "at most one: the kind with the preferred name, then the lowest number", ADD,
	  TEMPLATE(LIMITS(AT_MOST("a", 1))), "1002 small i1 w/1001 small i1 w/1000 small i1 x", "a",
	  0, NULL, "1001 +a" },
	{ "nodes with more services first", ADD, TEMPLATE(LIMITS(AT_MOST("a", 1))),
	  "1000 large i1 m/1001 small i2 w x/1002 small i1 w x", "a", 0, NULL, "1002 +a" },
	{ "hardware before names", ADD, TEMPLATE(LIMITS(AT_MOST("a", 1))),
	  "1000 small i1 m/1001 large i1 w", "a", 0, NULL, "1001 +a" },
	{ "the first releases lost b here", ADD,
	  TEMPLATE(LIMITS(AT_MOST("a", 1) "," ON("b", "large"))), MWW, "a b", 0, NULL,
	  "service b cannot be placed: at least 1 node is needed, but of the 3 nodes of the cluster 0 "
	  "can take it: b does not accept hardware type small" },
	{ "a leaves its preferred node to b", ADD,
	  TEMPLATE(CANT("['a','b'],['b','w']") "," LIMITS(AT_MOST("a", 1) "," AT_LEAST("b", 1))),
	  MWW, "a b", 0, NULL, "1000 +b; 1001 +a" },
	{ "a is on fewer nodes so that b has one", ADD, TEMPLATE(CANT("['a','b']")), MWW, "a b", 0,
	  NULL, "1000 +a; 1001 +a; 1002 +b" },
	{ "as many as b leaves", ADD,
	  TEMPLATE(CANT("['a','b']") "," LIMITS(AT_LEAST("a", 0) "," AT_LEAST("b", 2))), MWW, "a b",
	  0, NULL, "1000 +b; 1001 +b; 1002 +a" },
	{ "only the whole set is forbidden", ADD, TEMPLATE(CANT("['a','b','m']")), MWW, "a b", 0,
	  NULL, "1000 +a; 1001 +a,b; 1002 +a,b" },
	{ "where another service is", ADD, TEMPLATE(MUST("['a','w']")), MWW, "a", 0, NULL,
	  "1001 +a; 1002 +a" },
	{ "new ones together", ADD, TEMPLATE(MUST("['a','b']") "," LIMITS(AT_MOST("b", 2))), MWW,
	  "a b", 0, NULL, "1000 +a,b; 1001 +a,b" },
	{ "must-coexist with a service that is not there", ADD, TEMPLATE(MUST("['a','zz']")), MWW,
	  "a", 0, NULL, "1000 +a; 1001 +a; 1002 +a" },
	{ "ties two present services that are apart", ADD, TEMPLATE(MUST("['a','w'],['a','m']")),
	  MWW, "a", 0, NULL,
	  "services a and w must be on the same nodes (mustcoexist), but node 1000 has only a" },
	{ "tied to more nodes than allowed", ADD,
	  TEMPLATE(MUST("['a','w']") "," LIMITS(AT_MOST("a", 1))), MWW, "a", 0, NULL,
	  "service a may be on at most 1 node, but would be on 2" },
	{ "already there", ADD, PLAIN, MWW, "a w", 0, NULL, "service w is already on the cluster" },
	{ "nothing", ADD, PLAIN, MWW, NULL, 0, NULL, "Services to add must be specified." },
	{ "unknown", ADD, PLAIN, MWW, "nope", 0, NULL, "service nope does not exist" },
	{ "incompatible", ADD, "{'name':'T','compatibility':{'services':['m','a']}}", MWW, "a b c",
	  0, NULL, "b,c are incompatible with the cluster" },
	{ "requires what is not there", ADD, PLAIN, MWW, "app lib", 0, NULL,
	  "app requires sql, which is not on the cluster or in the list of services to add.\n"
	  "lib requires a, which is not on the cluster or in the list of services to add." },
	{ "uses is not required", ADD, PLAIN, "1000 small i1 m", "log", 0, NULL, "1000 +log" },
	{ "a provided name will do", ADD, PLAIN, "1000 small i1 db", "app", 0, NULL, "1000 +app" },
	{ "conflict", ADD, PLAIN, "1000 small i1 x", "pg", 0, NULL,
	  "pg conflicts with x.\nx conflicts with pg." },
	{ "more nodes than there are", ADD, TEMPLATE(LIMITS(AT_LEAST("a", 4))), MWW, "a", 0, NULL,
	  "service a needs at least 4 nodes, but the cluster has 3" },
	{ "no node takes it", ADD, TEMPLATE(CANT("['a','m'],['a','w']")), MWW, "a", 0, NULL,
	  "service a cannot be placed: at least 1 node is needed, but of the 3 nodes of the cluster 0 "
	  "can take it: a and m may not share a node (cantcoexist); a and w may not share a node "
	  "(cantcoexist)" },
	{ "too few nodes take it", ADD, TEMPLATE(CANT("['a','w']") "," LIMITS(AT_LEAST("a", 2))),
	  MWW, "a", 0, NULL,
	  "service a cannot be placed: at least 2 nodes are needed, but of the 3 nodes of the cluster 1 "
	  "can take it: a and w may not share a node (cantcoexist)" },
	{ "not together", ADD,
	  TEMPLATE(CANT("['a','b'],['a','c'],['b','c']") "," LIMITS(
		  AT_LEAST("a", 2) "," AT_LEAST("b", 2) "," AT_LEAST("d", 1))),
	  MWW, "a b d", 0, NULL,
	  "services a (min 2), b (min 2) cannot all be placed on the 3 nodes of the cluster: may not "
	  "share a node (cantcoexist): a and b" },
	{ "limited to none", ADD, TEMPLATE(LIMITS(AT_MOST("a", 0))), MWW, "a", 0, NULL,
	  "service a may be on at most 0 nodes" },
	{ "an empty cant-coexist set", ADD, TEMPLATE(CANT("[]")), MWW, "a", 0, NULL,
	  "template T has an empty cantcoexist set, which forbids every set of services" },
	/* removing */
	{ "from all nodes", REMOVE, PLAIN, MWW, "w", 0, NULL, "1001 -w; 1002 -w" },
	{ "not on the cluster", REMOVE, PLAIN, MWW, "a", 0, NULL,
	  "service a is not on the cluster" },
	{ "nothing named", REMOVE, PLAIN, MWW, NULL, 0, NULL,
	  "Services to remove must be specified." },
	{ "everything", REMOVE, PLAIN, MWW, "m w", 0, NULL,
	  "that would leave the cluster without services; delete it instead" },
	{ "needed to install", REMOVE, PLAIN, "1000 small i1 a lib", "a", 0, NULL,
	  "lib requires a, which would no longer be on the cluster." },
	{ "needed at run time, through a provided name", REMOVE, PLAIN, "1000 small i1 db app m",
	  "db", 0, NULL, "app requires sql, which would no longer be on the cluster." },
	{ "another one provides it", REMOVE, PLAIN, "1000 small i1 db app/1001 small i1 pg", "db",
	  0, NULL, "1000 -db" },
	{ "both providers", REMOVE, PLAIN, "1000 small i1 db app/1001 small i1 pg m", "db pg", 0,
	  NULL, "app requires sql, which would no longer be on the cluster." },
	{ "together with what needs it", REMOVE, PLAIN, "1000 small i1 db app m", "db app", 0, NULL,
	  "1000 -app,db" },
	{ "what is only used", REMOVE, PLAIN, "1000 small i1 a log", "a", 0, NULL, "1000 -a" },
	{ "out of a must-coexist set, with a minimum", REMOVE,
	  TEMPLATE(MUST("['a','b']") "," LIMITS(AT_LEAST("a", 2))),
	  "1000 small i1 a b/1001 small i1 a b", "a", 0, NULL, "1000 -a; 1001 -a" },
	/* growing */
	{ "like the others", EXPAND, PLAIN, MWW, NULL, 2, NULL,
	  "+1003 large i1 m,w; +1004 large i1 m,w" },
	{ "what the maxima leave", EXPAND, TEMPLATE(LIMITS(AT_MOST("m", 1) "," AT_LEAST("w", 1))),
	  MWW, NULL, 2, NULL, "+1003 large i1 w; +1004 large i1 w" },
	{ "with unconstrained services", EXPAND, TEMPLATE(LIMITS(AT_MOST("m", 1))),
	  "1000 small i1 m a/1001 small i1 a", NULL, 1, NULL, "+1002 large i1 a" },
	{ "named ones grow as much as they can", EXPAND, TEMPLATE(CANT("['m','w'],['a','w']")),
	  "1000 small i1 m a/1001 small i1 w", "w", 2, NULL, "+1002 large i1 w; +1003 large i1 w" },
	{ "unnamed, the most services", EXPAND, TEMPLATE(CANT("['m','w'],['a','w']")),
	  "1000 small i1 m a/1001 small i1 w", NULL, 2, NULL,
	  "+1002 large i1 a,m; +1003 large i1 a,m" },
	{ "two that are apart grow alike", EXPAND, TEMPLATE(CANT("['m','w'],['a','w']")),
	  "1000 small i1 m a/1001 small i1 w", "w m", 5, NULL,
	  "+1002 large i1 a,m; +1003 large i1 a,m; +1004 large i1 a,m; +1005 large i1 w; "
	  "+1006 large i1 w" },
	{ "two that are apart on one node", EXPAND, TEMPLATE(CANT("['m','w']")), MWW, "w m", 1,
	  NULL,
	  "services m (1 more) and w (1 more) need at least 2 new nodes together, but 1 is asked for: "
	  "m and w may not share a node (cantcoexist)" },
	{ "a named one at its maximum", EXPAND, TEMPLATE(LIMITS(AT_MOST("m", 1))), MWW, "m", 1,
	  NULL, "service m is on 1 node and may be on at most 1" },
	{ "a named one that is not there", EXPAND, PLAIN, MWW, "a", 1, NULL,
	  "service a is not on the cluster" },
	{ "no service for so many", EXPAND, TEMPLATE(LIMITS(AT_MOST("m", 1) "," AT_MOST("w", 3))),
	  MWW, NULL, 2, NULL,
	  "at most 1 node can be added: there would be no service for more: services m (on 1 of at "
	  "most 1) and w (on 2 of at most 3)" },
	{ "no type of node for it", EXPAND,
	  TEMPLATE(LIMITS("'m':{'hardwaretypes':['tiny'],'quantities':{'max':9}}")),
	  "1000 tiny i1 m", NULL, 1, NULL,
	  "at most 0 nodes can be added: there would be no service for more: service m (accepted by no "
	  "type of node that is available)" },
	{ "too large for the template", EXPAND, TEMPLATE("'size':{'min':1,'max':4}"), MWW, NULL, 2,
	  NULL, "template T asks for at least 1 and at most 4 nodes; there would be 5" },
	{ "by nothing", EXPAND, PLAIN, MWW, NULL, 0, NULL,
	  "the number of nodes to add must be greater than 0" },
	{ "a present node breaks a rule", EXPAND, TEMPLATE(CANT("['m','w']")), "1000 small i1 m w",
	  NULL, 1, NULL,
	  "services m and w may not share a node (cantcoexist), but are on node 1000" },
	{ "on the hardware that a service asks for", EXPAND, TEMPLATE(LIMITS(ON("m", "small"))),
	  MWW, NULL, 1, NULL, "+1003 small i1 m,w" },
	{ "a minimum that the cluster does not have yet", EXPAND,
	  TEMPLATE(CANT("['m','w']") "," LIMITS(AT_LEAST("w", 4) "," AT_LEAST("m", 1))), MWW, NULL,
	  3, NULL, "+1003 large i1 m; +1004 large i1 w; +1005 large i1 w" },
	{ "more than so many can give", EXPAND, TEMPLATE(LIMITS(AT_LEAST("w", 5))), MWW, NULL, 1,
	  NULL, "service w is on 2 nodes and needs at least 5, but only 1 is to be added" },
	{ "a minimum above the maximum", EXPAND, TEMPLATE(LIMITS(MIN_MAX("w", 5, 3))), MWW, NULL, 4,
	  NULL, "service w needs at least 5 nodes but may be on at most 3" },
	{ "more nodes than any cluster has", EXPAND, PLAIN, MWW, NULL, INT64_MAX, NULL,
	  "a cluster has at most 1000000 nodes" },
	/* shrinking */
	{ "the fewest services, then the highest number", SHRINK, PLAIN,
	  "1000 small i1 m w/1001 small i1 w/1002 small i1 w/1003 small i1 m w", NULL, 1, NULL,
	  "-1002" },
	{ "two", SHRINK, PLAIN,
	  "1000 small i1 m w/1001 small i1 w/1002 small i1 w/1003 small i1 m w", NULL, 2, NULL,
	  "-1001; -1002" },
	{ "the last instance stays", SHRINK, PLAIN, MWW, NULL, 1, NULL, "-1002" },
	{ "the last instances stay", SHRINK, PLAIN, MWW, NULL, 2, NULL,
	  "at most 1 of the 3 nodes can be removed, not 2: service m is on 1 and needs at least 1, "
	  "service w is on 2 and needs at least 1" },
	{ "a minimum", SHRINK, TEMPLATE(LIMITS(AT_LEAST("w", 2))), MWW, NULL, 1, NULL,
	  "at most 0 of the 3 nodes can be removed, not 1: service m is on 1 and needs at least 1, "
	  "service w is on 2 and needs at least 2" },
	{ "a dearer node where the cheap one is needed", SHRINK, TEMPLATE(LIMITS(AT_LEAST("w", 3))),
	  "1000 small i1 m a/1001 small i1 m a/1002 small i1 w/1003 small i1 w/1004 small i1 w",
	  NULL, 1, NULL, "-1001" },
	{ "a node without services", SHRINK, PLAIN, "1000 small i1/1001 small i1 w", NULL, 1, NULL,
	  "-1000" },
	{ "just this one", SHRINK, PLAIN, MWW, NULL, 0, "1001", "-1001" },
	{ "just these", SHRINK, PLAIN, MWW "/1003 small i1 m w", NULL, 2, "1001 1000 1001",
	  "-1000; -1001" },
	{ "this one is needed", SHRINK, PLAIN, MWW, NULL, 0, "1000",
	  "service m would be on no node; remove the service first" },
	{ "this one is needed for a minimum", SHRINK, TEMPLATE(LIMITS(AT_LEAST("w", 2))), MWW, NULL,
	  0, "1002", "service w needs at least 2 nodes, but would be on 1" },
	{ "no such node", SHRINK, PLAIN, MWW, NULL, 0, "1009",
	  "the cluster has no node with the number 1009" },
	{ "numbers that do not agree", SHRINK, PLAIN, MWW, NULL, 2, "1001",
	  "1 nodes are named, but 2 are to be removed" },
	{ "all", SHRINK, PLAIN, MWW, NULL, 3, NULL,
	  "the cluster has 3 nodes and must keep one; delete it instead" },
	{ "none", SHRINK, PLAIN, MWW, NULL, 0, NULL,
	  "the number of nodes to remove must be greater than 0" },
	{ "too small for the template", SHRINK, TEMPLATE("'size':{'min':3}"), MWW, NULL, 1, NULL,
	  "template T asks for at least 3 nodes; there would be 2" },
	/* another template */
	{ "the same", SYNC, PLAIN, MWW, NULL, 0, NULL, "" },
	{ "obeys", SYNC,
	  "{'name':'T','compatibility':{'services':['m','w','a'],'hardwaretypes':['small'],"
	  "'imagetypes':['i1','i2']},'constraints':{'size':{'min':3,'max':3},"
	  "'layout':{'mustcoexist':[['w','a']],'cantcoexist':[['m','w']]},"
	  "'services':{'m':{'quantities':{'min':1,'max':1}}}}}",
	  MWW, NULL, 0, NULL, "" },
	{ "a service it is not made for", SYNC, "{'name':'T','compatibility':{'services':['m']}}",
	  MWW, NULL, 0, NULL, "w are incompatible with the cluster" },
	{ "hardware it is not made for", SYNC,
	  "{'name':'T','compatibility':{'hardwaretypes':['large']}}", MWW, NULL, 0, NULL,
	  "the hardware type small of node 1000 is incompatible with template T" },
	{ "an image it is not made for", SYNC, "{'name':'T','compatibility':{'imagetypes':['i2']}}",
	  MWW, NULL, 0, NULL, "the image type i1 of node 1000 is incompatible with template T" },
	{ "size", SYNC, TEMPLATE("'size':{'min':1,'max':2}"), MWW, NULL, 0, NULL,
	  "template T asks for at least 1 and at most 2 nodes; there would be 3" },
	{ "must be together", SYNC, TEMPLATE(MUST("['m','w']")), MWW, NULL, 0, NULL,
	  "services m and w must be on the same nodes (mustcoexist), but node 1000 has only m" },
	{ "must not be together", SYNC, TEMPLATE(CANT("['w','m']")), "1000 small i1 m w", NULL, 0,
	  NULL, "services m and w may not share a node (cantcoexist), but are on node 1000" },
	{ "too few", SYNC, TEMPLATE(LIMITS(AT_LEAST("w", 3))), MWW, NULL, 0, NULL,
	  "service w needs at least 3 nodes, but would be on 2" },
	{ "too many", SYNC, TEMPLATE(LIMITS(AT_MOST("w", 1))), MWW, NULL, 0, NULL,
	  "service w may be on at most 1 node, but would be on 2" },
	{ "wrong hardware for a service", SYNC, TEMPLATE(LIMITS(ON("w", "large"))), MWW, NULL, 0,
	  NULL, "service w does not accept the hardware type small of node 1001, which has it" },
};

START_TEST(tables)
{
	LOOM_CLEANUP(buf_fini) struct buf got = BUF_INIT(10000);
	struct world w;
	build(&w, &rows[_i]);
	outcome(&w.in, &got);
	ck_assert_msg(str_eq(buf_str(&got), rows[_i].want), "%s:\n got: %s\nwant: %s",
	              rows[_i].name, buf_str(&got), rows[_i].want);
	tear_down(&w);
}
END_TEST

/* ---- details -------------------------------------------------------------------------------- */

START_TEST(new_node)
{
	static const struct row row = {
		"", EXPAND, PLAIN, "1000 small i1 chef", NULL, 1, NULL, ""
	};
	LOOM_CLEANUP(relayout_free) struct relayout *t = NULL;
	struct loom_err err = { 0 };
	struct world w;
	build(&w, &row);
	w.in.last_nodenum = 1041;
	json_set_str(w.request, "hardwaretype", "small");
	json_set_str(w.request, "imagetype", "i1");
	ck_assert_msg(!relayout_find(&w.in, &t, &err), "%s", err.msg);
	ck_assert_uint_eq(t->added.n_nodes, 1);
	ck_assert_int_eq(t->added.nodes[0].nodenum, 1042);
	ck_assert_str_eq(t->added.nodes[0].hostname, "demo7-1042.example.org");
	ck_assert_str_eq(t->added.nodes[0].flavor, "S");
	ck_assert_str_eq(t->added.nodes[0].image, "one");
	ck_assert_str_eq(t->added.nodes[0].sshuser, "me");
	ck_assert_uint_eq(t->added.nodes[0].automators.n, 2);
	ck_assert_uint_eq(t->added.n_groups, 1);
	ck_assert_int_eq(t->added.groups[0].count, 1);
	tear_down(&w);
}
END_TEST

START_TEST(changed_node)
{
	static const struct row row = { "", ADD, PLAIN, "1000 small i1 w", "chef", 0, NULL, "" };
	LOOM_CLEANUP(relayout_free) struct relayout *t = NULL;
	struct loom_err err = { 0 };
	struct world w;
	build(&w, &row);
	ck_assert_msg(!relayout_find(&w.in, &t, &err), "%s", err.msg);
	ck_assert_uint_eq(t->n_changed, 1);
	ck_assert_uint_eq(t->changed[0].services.n, 2);
	ck_assert_str_eq(t->changed[0].services.v[0], "chef");
	ck_assert_uint_eq(t->changed[0].automators.n, 2);
	ck_assert_str_eq(t->changed[0].automators.v[0], "chef-solo");
	ck_assert_uint_eq(t->services.n, 2);
	tear_down(&w);
}
END_TEST

/* What the cluster was made with counts, not what a service has become. */
START_TEST(frozen_definitions)
{
	static const struct row row = { "", REMOVE, PLAIN, "1000 small i1 a b", "a", 0, NULL, "" };
	LOOM_CLEANUP(buf_fini) struct buf got = BUF_INIT(10000);
	struct world w;
	build(&w, &row);
	w.docs = unit_json("{'b':{'dependencies':{'runtime':{'requires':['a']}}}}");
	w.in.service_docs = w.docs;
	outcome(&w.in, &got);
	ck_assert_str_eq(buf_str(&got), "b requires a, which would no longer be on the cluster.");
	tear_down(&w);
}
END_TEST

START_TEST(no_nodes)
{
	static const struct row row = { "", SYNC, PLAIN, "", NULL, 0, NULL, "" };
	LOOM_CLEANUP(buf_fini) struct buf got = BUF_INIT(1000);
	struct world w;
	build(&w, &row);
	outcome(&w.in, &got);
	ck_assert_str_eq(buf_str(&got), "the cluster has no nodes");
	tear_down(&w);
}
END_TEST

/* ---- size ----------------------------------------------------------------------------------- */

#define MANY 500

/* Machines with pseudo-random sets of twelve services, of which some have minima. */
START_TEST(many_nodes)
{
	static const enum relayout_operation operations[] = { ADD, REMOVE, EXPAND, SHRINK, SHRINK };
	static const char template[] = TEMPLATE(
		CANT("['s0','s1'],['new1','new2'],['new1','s3'],['new2','s4'],['new1','new3','s5']") "," LIMITS(
			AT_LEAST("s2", 90) "," AT_LEAST("s3", 80) "," MIN_MAX(
				"new1", 20, 100) "," MIN_MAX("new2", 30,
	                                                     200) "," MIN_MAX("new3", 150, 300)));
	struct relayout_node *nodes = loom_calloc(MANY, sizeof(*nodes));
	LOOM_CLEANUP(buf_fini) struct buf docs = BUF_INIT(10000);
	LOOM_CLEANUP(json_free) struct json *t = unit_json(template);
	LOOM_CLEANUP(json_free) struct json *p = unit_json(provider);
	LOOM_CLEANUP(json_free) struct json *h = unit_json(hardware);
	LOOM_CLEANUP(json_free) struct json *i = unit_json(images);
	LOOM_CLEANUP(json_free) struct json *s = NULL;
	LOOM_CLEANUP(relayout_free) struct relayout *found = NULL;
	struct strs named = { 0 };
	struct loom_err err = { 0 };
	unsigned seed = 12345;
	struct relayout_input in = {
		.operation = operations[_i],
		.nodes = nodes,
		.n_nodes = MANY,
		.template = t,
		.provider = p,
		.hardwaretypes = h,
		.imagetypes = i,
		.cluster_name = "many",
		.named = &named,
		.count = _i == 4 ? 300 : 100,
	};
	for (int v = 0; v < 15; v++)
		buf_addf(&docs, "%s{'name':'%s%d'}", v ? "," : "[", v < 12 ? "s" : "new",
		         v < 12 ? v : v - 11);
	buf_adds(&docs, "]");
	s = unit_json(buf_str(&docs));
	in.services = s;
	for (size_t n = 0; n < MANY; n++) {
		nodes[n] = (struct relayout_node){ .id = "n",
			                           .nodenum = 1000 + (int)n,
			                           .hardwaretype = "small",
			                           .imagetype = "i1" };
		for (int v = 0; v < 12; v++) {
			seed = seed * 1103515245u + 12345u;
			if ((seed >> 16) % 4 == 0 &&
			    (v != 1 || !strs_has(&nodes[n].services, "s0")))
				strs_addf(&nodes[n].services, "s%d", v);
		}
	}
	if (operations[_i] == ADD) {
		strs_add(&named, "new1");
		strs_add(&named, "new2");
		strs_add(&named, "new3");
	} else if (operations[_i] == REMOVE) {
		strs_add(&named, "s2");
	}
	ck_assert_msg(!relayout_find(&in, &found, &err), "%s", err.msg);
	if (operations[_i] == SHRINK)
		ck_assert_uint_eq(found->n_removed, (size_t)in.count);
	if (operations[_i] == EXPAND)
		ck_assert_uint_eq(found->added.n_nodes, (size_t)in.count);
	for (size_t n = 0; n < MANY; n++)
		strs_fini(&nodes[n].services);
	loom_free(nodes);
	strs_fini(&named);
}
END_TEST

/* Sixty kinds of nodes, each of which draws on eight of thirty limits: too many ways to look at all
 * within so many steps, which are those of a shrink. */
START_TEST(removal_gives_up)
{
	enum { KINDS = 60, LIMITED = 30, DRAWS = 8 };
	struct removal_kind kinds[KINDS];
	size_t draws[KINDS][DRAWS];
	int64_t left[LIMITED], ret[KINDS], cost;
	uint64_t state = 11;
	for (size_t i = 0; i < LIMITED; i++)
		left[i] = 3 + (int64_t)(i % 5);
	for (size_t i = 0; i < KINDS; i++) {
		kinds[i] = (struct removal_kind){ .have = 1 + (int64_t)(i % 4),
			                          .cost = 1 + (int64_t)(i % 9),
			                          .draws = draws[i],
			                          .n_draws = DRAWS };
		for (size_t k = 0; k < DRAWS; k++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			draws[i][k] = (size_t)(state >> 33) % LIMITED;
		}
	}
	struct removal_search p = {
		.kinds = kinds, .n = KINDS, .left = left, .n_limits = LIMITED, .work = 300000000
	};
	ck_assert_int_eq(removal_find(&p, 19, INT64_MAX, false, ret, &cost), REMOVAL_UNKNOWN);
	ck_assert_int_lt(p.work, 0);
	p.work = 300000000;
	ck_assert_int_eq(removal_find(&p, 1, INT64_MAX, false, ret, &cost), REMOVAL_YES);
	ck_assert_int_eq(cost, 1);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("relayout");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, tables, 0, LOOM_COUNT(rows));
	tcase_add_test(t, new_node);
	tcase_add_test(t, changed_node);
	tcase_add_test(t, frozen_definitions);
	tcase_add_test(t, no_nodes);
	tcase_add_loop_test(t, many_nodes, 0, 5);
	tcase_add_test(t, removal_gives_up);
	return UNIT_RUN("scheduler_relayout", t);
}
