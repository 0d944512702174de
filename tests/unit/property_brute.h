/* SPDX-License-Identifier: Apache-2.0 */
/* property_brute - changes of clusters by plain enumeration, written straight from the rules. */
#ifndef LOOM_TESTS_PROPERTY_BRUTE_H
#define LOOM_TESTS_PROPERTY_BRUTE_H

#include "tests/unit/property_world.h"

/* ---- adding, by trying it all --------------------------------------------------------------- */

struct trial {
	struct farm c;
	int order[SERVICES], n;
	unsigned on;
};

static int compare_masks(unsigned a, unsigned b)
{
	for (int s = 0; a != b; s++) {
		const unsigned bit = 1u << s;
		if ((a & bit) != (b & bit))
			return a & bit ? -1 : 1;
	}
	return 0;
}

static int compare_machines(const void *x, const void *y)
{
	const struct machine *a = x;
	const struct machine *b = y;
	const int na = __builtin_popcount(a->on);
	const int nb = __builtin_popcount(b->on);
	if (na != nb)
		return nb - na;
	if (a->hw != b->hw)
		return a->hw - b->hw;
	return a->img != b->img ? a->img - b->img : compare_masks(a->on, b->on);
}

static bool place_from(struct trial *t, int at);

/* The kinds of machines that a service can go on, each with its machines (a mask). */
struct spots {
	struct machine kind[NODES];
	unsigned nodes[NODES];
	int n;
};

static struct spots find_spots(const struct trial *t, int s, unsigned on)
{
	const struct rules *r = &t->c.rules;
	struct spots p = { .n = 0 };
	for (int i = 0; i < t->c.n; i++) {
		const struct machine *m = &t->c.nodes[i];
		const unsigned set = m->on | 1u << s;
		bool found = false;
		if (!sets_allow(r, set, on) || !fits(r, set, m->hw, m->img))
			continue;
		for (int k = 0; k < p.n && !found; k++)
			found = !compare_machines(&p.kind[k], m);
		if (!found)
			p.kind[p.n++] = *m;
	}
	qsort(p.kind, (size_t)p.n, sizeof(p.kind[0]), compare_machines);
	for (int k = 0; k < p.n; k++) {
		for (int i = 0; i < t->c.n; i++)
			p.nodes[k] |= compare_machines(&p.kind[k], &t->c.nodes[i]) ? 0 : 1u << i;
	}
	return p;
}

/* Gives a service to `left` machines of the kinds from k on, most of the first ones first. */
static bool spread(struct trial *t, int at, const struct spots *p, int k, int left, unsigned on)
{
	const unsigned bit = 1u << t->order[at];
	int most;
	if (k == p->n)
		return !left && is_valid(&t->c, &t->c.rules, on) && place_from(t, at + 1);
	most = __builtin_popcount(p->nodes[k]);
	for (int n = left < most ? left : most; n >= 0; n--) {
		int given = 0;
		for (int i = 0; i < t->c.n; i++) {
			if (p->nodes[k] & (1u << i) && given < n) {
				t->c.nodes[i].on |= bit;
				given++;
			}
		}
		if (spread(t, at, p, k + 1, left - n, on))
			return true;
		for (int i = 0; i < t->c.n; i++)
			t->c.nodes[i].on &= p->nodes[k] & (1u << i) ? ~bit : ~0u;
	}
	return false;
}

static bool place_from(struct trial *t, int at)
{
	const struct rules *r = &t->c.rules;
	struct spots p;
	unsigned on = t->on;
	int most = 0;
	int s;
	if (at == t->n)
		return true;
	s = t->order[at];
	for (int k = 0; k <= at; k++)
		on |= 1u << t->order[k];
	p = find_spots(t, s, on);
	for (int k = 0; k < p.n; k++)
		most += __builtin_popcount(p.nodes[k]);
	most = r->limited[s] && r->max[s] < most ? r->max[s] : most;
	for (int n = most; n >= (r->min[s] > 1 ? r->min[s] : 1); n--) {
		if (spread(t, at, &p, 0, n, on))
			return true;
	}
	return false;
}

static bool before(const struct rules *r, int a, int b)
{
	if (r->limited[a] != r->limited[b])
		return r->limited[a];
	if (r->max[a] != r->max[b])
		return r->max[a] < r->max[b];
	return r->min[a] != r->min[b] ? r->min[a] > r->min[b] : a < b;
}

static bool brute_add(struct farm *c, unsigned named)
{
	struct trial t = { .c = *c, .on = present(c) };
	if (!named || named & t.on || !agree(c, t.on | named))
		return false;
	for (int s = 0; s < SERVICES; s++) {
		int at = t.n;
		if (!(named & (1u << s)))
			continue;
		for (; at && before(&c->rules, s, t.order[at - 1]); at--)
			t.order[at] = t.order[at - 1];
		t.order[at] = s;
		t.n++;
	}
	if (!place_from(&t, 0))
		return false;
	*c = t.c;
	return true;
}

/* ---- removing ------------------------------------------------------------------------------- */

static bool brute_remove(struct farm *c, unsigned named)
{
	const unsigned on = present(c);
	if (!named || named & ~on || !(on & ~named) || !agree(c, on & ~named))
		return false;
	for (int i = 0; i < c->n; i++)
		c->nodes[i].on &= ~named;
	return true;
}

/* ---- growing, by trying it all -------------------------------------------------------------- */

struct growth {
	const struct farm *c;
	struct machine kinds[KINDS];
	int n, v[KINDS];
	unsigned on; /* services of the cluster */
	unsigned constrained;
	int least[SERVICES], most[SERVICES];
};

static bool add_kind(struct growth *g, unsigned set)
{
	for (int h = 0; h < g->c->hardware; h++) {
		for (int i = 0; i < g->c->images; i++) {
			if (fits(&g->c->rules, set, h, i)) {
				g->kinds[g->n++] = (struct machine){ 0, h, i, set };
				return true;
			}
		}
	}
	return false;
}

static void find_kinds(struct growth *g)
{
	const struct rules *r = &g->c->rules;
	const unsigned on = g->on;
	unsigned everywhere;
	for (int s = 0; s < SERVICES; s++)
		g->constrained |= r->limited[s] ? 1u << s : 0;
	for (int i = 0; i < r->n_must; i++)
		g->constrained |= r->must[i];
	for (int i = 0; i < r->n_cant; i++)
		g->constrained |= r->cant[i];
	g->constrained &= on;
	everywhere = on & ~g->constrained;
	for (unsigned set = 1; set < 1u << SERVICES; set++) {
		if (!(set & ~g->constrained) && sets_allow(r, set, on))
			(void)add_kind(g, set | everywhere);
	}
	if (everywhere)
		(void)add_kind(g, everywhere);
	qsort(g->kinds, (size_t)g->n, sizeof(g->kinds[0]), compare_machines);
}

static int grown_by(const struct growth *g, int s)
{
	int n = 0;
	for (int i = 0; i < g->n; i++)
		n += g->kinds[i].on & (1u << s) ? g->v[i] : 0;
	return n;
}

static bool enumerate(struct growth *g, int i, int left)
{
	if (i == g->n) {
		for (int s = 0; s < SERVICES && !left; s++) {
			if (g->constrained & (1u << s) && grown_by(g, s) < g->least[s])
				return false;
		}
		return !left;
	}
	for (int n = left; n >= 0; n--) {
		bool fine = true;
		g->v[i] = n;
		for (int s = 0; s < SERVICES && n; s++) {
			fine = fine && (!(g->kinds[i].on & g->constrained & (1u << s)) ||
			                grown_by(g, s) <= g->most[s]);
		}
		if (fine && enumerate(g, i + 1, left - n))
			return true;
	}
	g->v[i] = 0;
	return false;
}

/* Those that must be where s is. */
static unsigned tied_to(const struct farm *c, int s)
{
	const unsigned on = present(c);
	unsigned set = 1u << s;
	for (int again = 0; again < SERVICES; again++) {
		for (int i = 0; i < c->rules.n_must; i++)
			set |= c->rules.must[i] & set ? c->rules.must[i] & on : 0;
	}
	return set;
}

/* How many new machines may have s. */
static int room_for(const struct growth *g, int s)
{
	const unsigned tied = tied_to(g->c, s);
	int room = UNLIMITED;
	bool placeable = false;
	for (int k = 0; k < SERVICES; k++) {
		if (tied & (1u << k) && g->c->rules.max[k] - count_of(g->c, k) < room)
			room = g->c->rules.max[k] - count_of(g->c, k);
	}
	for (int i = 0; i < g->n; i++)
		placeable = placeable || g->kinds[i].on & (1u << s);
	return placeable ? room : 0;
}

static void take_kinds(const struct growth *g, struct farm *c)
{
	for (int i = 0; i < g->n; i++) {
		for (int k = 0; k < g->v[i]; k++) {
			c->nodes[c->n] = g->kinds[i];
			c->nodes[c->n++].num = ++c->last;
		}
	}
}

static bool brute_expand(struct farm *c, int count, unsigned grow)
{
	const unsigned on = present(c);
	struct growth g = { .c = c, .on = on };
	if (grow & ~on || !is_valid(c, &c->rules, on))
		return false;
	find_kinds(&g);
	for (int s = 0; s < SERVICES; s++) {
		g.most[s] = c->rules.max[s] - count_of(c, s);
		if (grow & g.constrained & (1u << s) && room_for(&g, s) < 1)
			return false;
	}
	for (int t = grow ? count : 0; t >= (grow ? 1 : 0); t--) {
		for (int s = 0; s < SERVICES; s++) {
			const int room = room_for(&g, s);
			g.least[s] = !(grow & g.constrained & (1u << s)) ? 0 : t < room ? t : room;
		}
		memset(g.v, 0, sizeof(g.v));
		if (!enumerate(&g, 0, count))
			continue;
		take_kinds(&g, c);
		return true;
	}
	return false;
}

/* A new cluster of these services: c has no nodes. */
static bool brute_create(struct farm *c, int count, unsigned on)
{
	struct growth g = { .c = c, .on = on };
	if (!agree(c, on))
		return false;
	find_kinds(&g);
	for (int s = 0; s < SERVICES; s++) {
		g.least[s] = c->rules.min[s] > 1 ? c->rules.min[s] : 1;
		g.most[s] = c->rules.max[s];
		if (!(on & g.constrained & (1u << s)))
			g.least[s] = 0;
	}
	if (!enumerate(&g, 0, count))
		return false;
	take_kinds(&g, c);
	return true;
}

/* ---- shrinking, by trying it all ------------------------------------------------------------ */

static bool may_go(const struct farm *c, unsigned gone)
{
	const struct farm rest = without(c, gone);
	return rest.n && present(&rest) == present(c) && is_valid(&rest, &c->rules, present(c));
}

static bool brute_shrink(const struct farm *c, int count, unsigned *ret)
{
	int best = UNLIMITED;
	for (unsigned gone = 1; gone < 1u << c->n; gone++) {
		int cost = 0;
		for (int i = 0; i < c->n; i++)
			cost += gone & (1u << i) ? __builtin_popcount(c->nodes[i].on) : 0;
		/* of equally cheap ones the last is the one with the highest numbers */
		if (__builtin_popcount(gone) == count && cost <= best && may_go(c, gone)) {
			best = cost;
			*ret = gone;
		}
	}
	return best < UNLIMITED;
}

#endif
