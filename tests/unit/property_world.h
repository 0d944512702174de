/* SPDX-License-Identifier: Apache-2.0 */
/* property_world - random templates, services and clusters, and the rules they must keep. */
#ifndef LOOM_TESTS_PROPERTY_WORLD_H
#define LOOM_TESTS_PROPERTY_WORLD_H

#include "common/base/buf.h"
#include "services/scheduler/plan/planner.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICES  6
#define NODES     7
#define KINDS     128
#define SETS      4
#define UNLIMITED INT32_MAX
#define STRANGER  (1u << SERVICES) /* a service that is never on the cluster */

static uint64_t random_state;
static long seed_shown;

static int pick(int n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return n > 0 ? (int)((random_state >> 33) % (unsigned)n) : 0;
}

#define check_that(x, ...)                                                 \
	do {                                                               \
		if (!(x)) {                                                \
			fprintf(stderr, "seed %ld: %s: ", seed_shown, #x); \
			fprintf(stderr, __VA_ARGS__);                      \
			fputc('\n', stderr);                               \
			ck_abort_msg("seed %ld: %s", seed_shown, #x);      \
		}                                                          \
	} while (0)

/* ---- problems ------------------------------------------------------------------------------- */

/* Services are a, b, c ..., hardware types h0, h1 ..., images i0, i1. */
struct rules {
	unsigned must[SETS], cant[SETS];
	int n_must, n_cant;
	bool limited[SERVICES];
	int min[SERVICES], max[SERVICES];
	unsigned hw[SERVICES], img[SERVICES]; /* 0: any */
};

/* What a service is: masks of others. */
struct nature {
	unsigned runtime_requires, runtime_uses, install_requires, conflicts;
	unsigned provides; /* of the two names p0 and p1 */
	unsigned needs;    /* of these names, at run time */
	bool acts[STEPS_];
};

struct machine {
	int num, hw, img;
	unsigned on;
};

enum state { NONE, INSTALLED, RUNNING, STOPPED };

/* A cluster. */
struct farm {
	struct rules rules;
	struct nature natures[SERVICES];
	int hardware, images;
	struct machine nodes[NODES];
	enum state states[NODES][SERVICES];
	int n, last;
};

static unsigned pick_set(void)
{
	unsigned set = (unsigned)pick(1 << SERVICES) & (unsigned)pick(1 << SERVICES);
	set |= 1u << pick(SERVICES);
	return set | (pick(8) ? 0 : STRANGER);
}

static struct rules make_rules(const struct farm *c)
{
	struct rules r = { .n_must = pick(3) ? 0 : 1 + pick(2),
		           .n_cant = pick(4) ? pick(SETS) : 0 };
	for (int i = 0; i < r.n_must; i++)
		r.must[i] = pick_set();
	for (int i = 0; i < r.n_cant; i++)
		r.cant[i] = pick_set() | 1u << pick(SERVICES);
	for (int s = 0; s < SERVICES; s++) {
		r.max[s] = UNLIMITED;
		r.limited[s] = pick(2);
		if (!r.limited[s])
			continue;
		r.min[s] = pick(3) ? pick(2) : pick(4);
		r.max[s] = pick(2) ? UNLIMITED : r.min[s] + pick(3);
		r.hw[s] = pick(4) ? 0 : (unsigned)pick(1 << c->hardware);
		r.img[s] = pick(5) ? 0 : (unsigned)pick(1 << c->images);
	}
	return r;
}

/* Services depend on those before them only: there are no circles. */
static void make_natures(struct farm *c)
{
	static const enum plan_step steps[] = { STEP_INSTALL,   STEP_REMOVE, STEP_INITIALIZE,
		                                STEP_CONFIGURE, STEP_START,  STEP_STOP };
	for (int s = 0; s < SERVICES; s++) {
		struct nature *n = &c->natures[s];
		const int below = 1 << s;
		n->runtime_requires = (unsigned)(pick(below) & pick(below) & pick(below));
		n->runtime_uses = (unsigned)(pick(below) & pick(below));
		n->install_requires = (unsigned)(pick(below) & pick(below) & pick(below));
		n->conflicts = pick(12) ? 0 : 1u << pick(SERVICES);
		n->conflicts &= ~(1u << s);
		/* names go from the first services to the last ones */
		n->provides = s < 3 && !pick(3) ? 1u + (unsigned)pick(3) : 0;
		n->needs = s >= 3 && !pick(4) ? 1u + (unsigned)pick(3) : 0;
		for (size_t i = 0; i < LOOM_COUNT(steps); i++)
			n->acts[steps[i]] = pick(4) != 0;
		n->acts[STEP_STOP] = n->acts[STEP_START] && pick(8);
	}
}

/* ---- documents ------------------------------------------------------------------------------ */

static struct json *names_of(unsigned set, char first)
{
	struct json *list = json_new_arr();
	for (int s = 0; s < 8; s++) {
		const char name[] = { (char)(first + s), '\0' };
		if (set & (1u << s))
			json_push(list, json_new_str(name));
	}
	return list;
}

static struct json *types_of(unsigned set, const char *prefix)
{
	struct json *list = json_new_arr();
	for (int t = 0; t < 8; t++) {
		LOOM_CLEANUP_STR char *name = loom_asprintf("%s%d", prefix, t);
		if (set & (1u << t))
			json_push(list, json_new_str(name));
	}
	return list;
}

static struct json *sets_of(const unsigned *sets, int n)
{
	struct json *list = json_new_arr();
	for (int i = 0; i < n; i++)
		json_push(list, names_of(sets[i], 'a'));
	return list;
}

static struct json *limit_of(const struct rules *r, int s)
{
	struct json *q = json_set_int(json_new_obj(), "min", r->min[s]);
	struct json *limit = json_set(json_new_obj(), "quantities", q);
	json_set_int(q, "max", r->max[s]);
	json_set(limit, "hardwaretypes", types_of(r->hw[s], "h"));
	return json_set(limit, "imagetypes", types_of(r->img[s], "i"));
}

static struct json *template_of(const struct rules *r)
{
	struct json *limits = json_new_obj();
	struct json *layout = json_set(json_new_obj(), "mustcoexist", sets_of(r->must, r->n_must));
	struct json *all = json_set(json_new_obj(), "layout", layout);
	json_set(layout, "cantcoexist", sets_of(r->cant, r->n_cant));
	for (int s = 0; s < SERVICES; s++) {
		const char name[] = { (char)('a' + s), '\0' };
		if (r->limited[s])
			json_set(limits, name, limit_of(r, s));
	}
	json_set(all, "services", limits);
	return json_set(json_set_str(json_new_obj(), "name", "T"), "constraints", all);
}

static struct json *service_of(const struct nature *n, int s)
{
	const char name[] = { (char)('a' + s), '\0' };
	struct json *actions = json_new_obj();
	struct json *runtime = json_new_obj();
	struct json *install = json_new_obj();
	struct json *deps = json_new_obj();
	struct json *requires = names_of(n->runtime_requires, 'a');
	for (int step = 0; step < STEPS_; step++) {
		if (n->acts[step]) {
			json_set(actions, plan_step_action((enum plan_step)step),
			         json_set_str(json_new_obj(), "type", "shell"));
		}
	}
	for (int k = 0; k < 2; k++) {
		if (n->needs & (1u << k))
			json_push(requires, json_new_str(k ? "q" : "p"));
	}
	json_set(runtime, "requires", requires);
	json_set(runtime, "uses", names_of(n->runtime_uses, 'a'));
	json_set(install, "requires", names_of(n->install_requires, 'a'));
	json_set(json_set(deps, "runtime", runtime), "install", install);
	json_set(deps, "conflicts", names_of(n->conflicts, 'a'));
	json_set(deps, "provides", names_of(n->provides, 'p'));
	return json_set(json_set(json_set_str(json_new_obj(), "name", name), "dependencies", deps),
	                "provisioner", json_set(json_new_obj(), "actions", actions));
}

static struct json *services_of(const struct farm *c)
{
	struct json *list = json_new_arr();
	for (int s = 0; s < SERVICES; s++)
		json_push(list, service_of(&c->natures[s], s));
	return list;
}

/* h0, h1 ... with a flavor, or i0, i1 ... with an image */
static struct json *catalog_of(int n, const char *prefix, const char *key)
{
	struct json *list = json_new_arr();
	for (int t = 0; t < n; t++) {
		LOOM_CLEANUP_STR char *name = loom_asprintf("%s%d", prefix, t);
		struct json *entry = json_set_str(json_new_obj(), key, name);
		struct json *map = json_set(json_new_obj(), "prov", entry);
		json_push(list,
		          json_set(json_set_str(json_new_obj(), "name", name), "providermap", map));
	}
	return list;
}

static void strs_of(unsigned set, struct strs *out)
{
	for (int s = 0; s < SERVICES; s++) {
		const char name[] = { (char)('a' + s), '\0' };
		if (set & (1u << s))
			strs_add(out, name);
	}
}

static unsigned set_of(const struct strs *names)
{
	unsigned set = 0;
	for (size_t i = 0; i < names->n; i++)
		set |= 1u << (names->v[i][0] - 'a');
	return set;
}

/* ---- the rules, once more ------------------------------------------------------------------- */

static unsigned present(const struct farm *c)
{
	unsigned on = 0;
	for (int i = 0; i < c->n; i++)
		on |= c->nodes[i].on;
	return on;
}

static int count_of(const struct farm *c, int s)
{
	int n = 0;
	for (int i = 0; i < c->n; i++)
		n += (c->nodes[i].on >> s) & 1;
	return n;
}

static bool sets_allow(const struct rules *r, unsigned set, unsigned on)
{
	for (int i = 0; i < r->n_cant; i++) {
		if (!(r->cant[i] & ~set))
			return false;
	}
	for (int i = 0; i < r->n_must; i++) {
		const unsigned must = r->must[i] & on;
		if ((set & must) && (must & ~set))
			return false;
	}
	return true;
}

static bool fits(const struct rules *r, unsigned set, int hw, int img)
{
	for (int s = 0; s < SERVICES; s++) {
		if (!(set & (1u << s)))
			continue;
		if ((r->hw[s] && !(r->hw[s] & (1u << hw))) ||
		    (r->img[s] && !(r->img[s] & (1u << img))))
			return false;
	}
	return true;
}

static bool is_valid(const struct farm *c, const struct rules *r, unsigned on)
{
	for (int i = 0; i < c->n; i++) {
		const struct machine *m = &c->nodes[i];
		if (!sets_allow(r, m->on, on) || !fits(r, m->on, m->hw, m->img))
			return false;
	}
	for (int s = 0; s < SERVICES; s++) {
		const int n = count_of(c, s);
		if (on & (1u << s) && r->limited[s] && (n < r->min[s] || n > r->max[s]))
			return false;
	}
	return true;
}

/* Do these services have what they require, and no conflict? */
static bool agree(const struct farm *c, unsigned on)
{
	unsigned names = 0;
	for (int s = 0; s < SERVICES; s++)
		names |= on & (1u << s) ? c->natures[s].provides : 0;
	for (int s = 0; s < SERVICES; s++) {
		const struct nature *n = &c->natures[s];
		if (on & (1u << s) && ((n->runtime_requires | n->install_requires) & ~on ||
		                       n->needs & ~names || n->conflicts & on))
			return false;
	}
	return true;
}

static struct farm without(const struct farm *c, unsigned gone)
{
	struct farm rest = *c;
	rest.n = 0;
	for (int i = 0; i < c->n; i++) {
		if (gone & (1u << i))
			continue;
		memcpy(rest.states[rest.n], c->states[i], sizeof(rest.states[0]));
		rest.nodes[rest.n++] = c->nodes[i];
	}
	return rest;
}

static int index_of(const struct farm *c, int num)
{
	for (int i = 0; i < c->n; i++) {
		if (c->nodes[i].num == num)
			return i;
	}
	return -1;
}

/* ---- clusters ------------------------------------------------------------------------------- */

static bool make_cluster(struct farm *c)
{
	*c = (struct farm){ .hardware = 1 + pick(3), .images = 1 + pick(2), .n = 1 + pick(4) };
	c->rules = make_rules(c);
	c->last = 999 + c->n;
	make_natures(c);
	for (int tries = 0; tries < 60; tries++) {
		const unsigned from = (unsigned)pick(1 << SERVICES);
		unsigned same = from;
		for (int i = 0; i < c->n; i++) {
			same = pick(2) ? same
			               : from & (unsigned)(pick(1 << SERVICES) |
			                                   pick(1 << SERVICES));
			c->nodes[i] = (struct machine){ 1000 + i, pick(c->hardware),
				                        pick(c->images), same };
		}
		if (present(c) && agree(c, present(c)) && is_valid(c, &c->rules, present(c)))
			return true;
	}
	return false;
}

#endif
