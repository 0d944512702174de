/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The solver against a plain enumeration of everything, written straight from the rules: all
 * subsets, all node layouts, all count vectors in descending lexicographic order.
 */
#include "common/base/buf.h"
#include "services/scheduler/placement/solve.h"
#include "tests/support/unit.h"
#include "tests/unit/brute_problem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the enumeration ------------------------------------------------------------------------ */

struct kind {
	unsigned set;
	int hw, img;
};

struct brute {
	const struct problem *p;
	struct kind kinds[MOST_LAYOUTS];
	int n;
	unsigned constrained;
	int v[MOST_LAYOUTS];
	int min[MOST_SERVICES];
};

static bool set_allowed(const struct brute *b, unsigned set)
{
	const struct problem *p = b->p;
	const unsigned all = (1u << p->services) - 1;
	for (int i = 0; i < p->n_cant; i++) {
		if (!(p->cant[i] & ~set))
			return false;
	}
	for (int i = 0; i < p->n_must; i++) {
		const unsigned must = p->must[i] & all;
		if ((set & must) && (must & ~set))
			return false;
	}
	return true;
}

static bool fits(const struct problem *p, unsigned set, int hw, int img)
{
	for (int s = 0; s < p->services; s++) {
		if (!(set & (1u << s)))
			continue;
		if ((p->hw[s] && !(p->hw[s] & (1u << hw))) ||
		    (p->img[s] && !(p->img[s] & (1u << img))))
			return false;
	}
	return true;
}

static int compare_names(unsigned a, unsigned b)
{
	for (int s = 0; a != b; s++) {
		const unsigned bit = 1u << s;
		if ((a & bit) != (b & bit))
			return a & bit ? -1 : 1;
	}
	return 0;
}

static int compare_kinds(const void *x, const void *y)
{
	const struct kind *a = x;
	const struct kind *b = y;
	const int na = __builtin_popcount(a->set);
	const int nb = __builtin_popcount(b->set);
	if (na != nb)
		return nb - na;
	if (a->hw != b->hw)
		return a->hw - b->hw;
	return a->img != b->img ? a->img - b->img : compare_names(a->set, b->set);
}

static bool is_there(const struct choice *c, int type)
{
	const int want = c->asked >= 0 ? c->asked : c->otherwise;
	return c->there & 1u << type && (!c->allowed || c->allowed & 1u << type) &&
	       (want < 0 || want == type);
}

static bool any_there(const struct choice *c, int n)
{
	bool any = false;
	for (int i = 0; i < n; i++)
		any |= is_there(c, i);
	return any;
}

/* What is checked before anything is placed: a word of the reason, NULL for none. */
static const char *refused(const struct problem *p)
{
	const unsigned all = (1u << p->services) - 1;
	const unsigned names = all | (p->provides ? STRANGER : 0);
	unsigned needs = 0;
	unsigned conflicts = 0;
	for (int s = 0; s < p->services; s++) {
		needs |= p->needs[0][s] | p->needs[1][s];
		conflicts |= p->conflicts[s];
	}
	return p->compatible && all & ~p->compatible ? "compatib"
	       : needs & ~names                      ? " requires h, which"
	       : conflicts & all                     ? " conflicts with "
	       : !any_there(&p->of_hw, p->hardware)  ? "no hardware types"
	       : !any_there(&p->of_img, p->images)   ? "no image types"
	                                             : NULL;
}

static void add_kind(struct brute *b, unsigned set)
{
	for (int h = 0; h < b->p->hardware; h++) {
		for (int i = 0; i < b->p->images; i++) {
			if (is_there(&b->p->of_hw, h) && is_there(&b->p->of_img, i) &&
			    fits(b->p, set, h, i)) {
				b->kinds[b->n++] = (struct kind){ set, h, i };
				return;
			}
		}
	}
}

static void make_kinds(struct brute *b)
{
	const struct problem *p = b->p;
	const unsigned all = (1u << p->services) - 1;
	unsigned free_set;
	for (int s = 0; s < p->services; s++)
		b->constrained |= p->limited[s] ? 1u << s : 0;
	for (int i = 0; i < p->n_must; i++)
		b->constrained |= p->must[i] & all;
	for (int i = 0; i < p->n_cant; i++)
		b->constrained |= p->cant[i] & all;
	free_set = all & ~b->constrained;
	for (unsigned set = 1; set <= all; set++) {
		if (!(set & ~b->constrained) && set_allowed(b, set))
			add_kind(b, set | free_set);
	}
	if (free_set)
		add_kind(b, free_set);
	qsort(b->kinds, (size_t)b->n, sizeof(b->kinds[0]), compare_kinds);
}

static int count_of(const struct brute *b, int s)
{
	int n = 0;
	for (int i = 0; i < b->n; i++)
		n += b->kinds[i].set & (1u << s) ? b->v[i] : 0;
	return n;
}

/* How many more of kind i the maxima allow, given the counts so far. */
static int room_for(const struct brute *b, int i)
{
	int room = UNLIMITED;
	for (int s = 0; s < b->p->services; s++) {
		if (b->kinds[i].set & b->constrained & (1u << s)) {
			const int left = b->p->max[s] - count_of(b, s);
			room = left < room ? left : room;
		}
	}
	return room;
}

static bool enumerate(struct brute *b, int i, int left)
{
	int most;
	if (i == b->n) {
		for (int s = 0; s < b->p->services && !left; s++) {
			if (b->constrained & (1u << s) && count_of(b, s) < b->min[s])
				return false;
		}
		return !left;
	}
	most = room_for(b, i);
	for (b->v[i] = left < most ? left : most; b->v[i] >= 0; b->v[i]--) {
		if (enumerate(b, i + 1, left - b->v[i]))
			return true;
	}
	b->v[i] = 0;
	return false;
}

/* Does the first releases' greedy start reach all machines: only then do they search at all. */
static bool greedy_reaches(struct brute *b)
{
	int left = b->p->machines;
	memset(b->v, 0, sizeof(b->v));
	for (int i = 0; i < b->n; i++) {
		const int most = room_for(b, i);
		b->v[i] = left < most ? left : most;
		left -= b->v[i];
	}
	memset(b->v, 0, sizeof(b->v));
	return !left;
}

static void brute_text(const struct brute *b, struct buf *out)
{
	for (int i = 0; i < b->n; i++) {
		if (!b->v[i])
			continue;
		buf_addf(out, "%d h%d i%d ", b->v[i], b->kinds[i].hw, b->kinds[i].img);
		for (int s = 0; s < b->p->services; s++) {
			if (b->kinds[i].set & (1u << s))
				buf_addc(out, (char)('a' + s));
		}
		buf_addc(out, '\n');
	}
}

/* ---- the solver ----------------------------------------------------------------------------- */

/* twice: the first name comes again at the end. */
static void add_set(struct buf *b, unsigned set, const char *prefix, bool twice)
{
	const char *sep = "";
	buf_addc(b, '[');
	for (int s = 0; s < 8; s++) {
		if (!(set & (1u << s)))
			continue;
		if (*prefix)
			buf_addf(b, "%s\"%s%d\"", sep, prefix, s);
		else
			buf_addf(b, "%s\"%c\"", sep, 'a' + s);
		sep = ",";
	}
	if (twice && set)
		buf_addf(b, ",\"%c\"", 'a' + __builtin_ctz(set));
	buf_addc(b, ']');
}

static void add_sets(struct buf *b, const char *name, const unsigned *sets, int n, bool twice)
{
	buf_addf(b, "\"%s\":[", name);
	for (int i = 0; i < n; i++) {
		buf_adds(b, i ? "," : "");
		add_set(b, sets[i], "", twice);
	}
	buf_addc(b, ']');
}

static struct json *take_json(struct buf *b)
{
	struct json *v = NULL;
	struct loom_err err;
	ck_assert_msg(json_parse(b->data, b->len, 0, &v, &err) == 0, "%s: %s", err.msg, b->data);
	buf_fini(b);
	return v;
}

/* none: an empty text, which is as good as nothing */
static void add_wish(struct buf *b, const char *key, const char *prefix, int type)
{
	if (type < 0)
		buf_addf(b, "\"%s\":\"\"", key);
	else
		buf_addf(b, "\"%s\":\"%s%d\"", key, prefix, type);
}

static struct json *template_of(const struct problem *p)
{
	struct buf b = BUF_INIT(10000);
	const char *sep = "";
	buf_adds(&b, "{\"name\":\"t\",\"defaults\":{");
	add_wish(&b, "hardwaretype", "h", p->of_hw.otherwise);
	buf_addc(&b, ',');
	add_wish(&b, "imagetype", "i", p->of_img.otherwise);
	buf_adds(&b, "},\"compatibility\":{\"hardwaretypes\":");
	add_set(&b, p->of_hw.allowed, "h", false);
	buf_adds(&b, ",\"imagetypes\":");
	add_set(&b, p->of_img.allowed, "i", false);
	buf_adds(&b, ",\"services\":");
	add_set(&b, p->compatible, "", false);
	buf_adds(&b, "},\"constraints\":{\"layout\":{");
	add_sets(&b, "mustcoexist", p->must, p->n_must, p->odd);
	buf_addc(&b, ',');
	add_sets(&b, "cantcoexist", p->cant, p->n_cant, p->odd);
	buf_adds(&b, "},\"services\":{");
	if (p->odd) {
		buf_adds(&b, "\"h\":{\"quantities\":{\"min\":9,\"max\":9}}");
		sep = ",";
	}
	for (int s = 0; s < p->services; s++) {
		if (!p->limited[s])
			continue;
		buf_addf(&b, "%s\"%c\":{\"hardwaretypes\":", sep, 'a' + s);
		add_set(&b, p->hw[s], "h", false);
		buf_adds(&b, ",\"imagetypes\":");
		add_set(&b, p->img[s], "i", false);
		buf_addf(&b, ",\"quantities\":{\"min\":%d", p->min[s]);
		if (p->max[s] != UNLIMITED)
			buf_addf(&b, ",\"max\":%d", p->max[s]);
		buf_adds(&b, "}}");
		sep = ",";
	}
	buf_adds(&b, "}}}");
	return take_json(&b);
}

/* there: those that the provider has; the others are another's */
static struct json *types_of(const char *prefix, int n, const char *key, unsigned there)
{
	struct buf b = BUF_INIT(10000);
	buf_addc(&b, '[');
	for (int i = n; i-- > 0;) {
		buf_addf(&b, "{\"name\":\"%s%d\",\"providermap\":{\"%c\":{\"%s\":\"x\"}}}%s",
		         prefix, i, there & 1u << i ? 'p' : 'q', key, i ? "," : "");
	}
	buf_addc(&b, ']');
	return take_json(&b);
}

static struct json *names_of(const struct problem *p)
{
	struct buf b = BUF_INIT(10000);
	add_set(&b, (1u << p->services) - 1, "", p->odd);
	return take_json(&b);
}

static struct json *services_of(const struct problem *p)
{
	static const char *const when[] = { "install", "runtime" };
	struct buf b = BUF_INIT(10000);
	buf_addc(&b, '[');
	for (int s = 0; s < p->services; s++) {
		buf_addf(&b, "%s{\"name\":\"%c\",\"dependencies\":{", s ? "," : "", 'a' + s);
		for (int k = 0; k < 2; k++) {
			buf_addf(&b, "\"%s\":{\"requires\":", when[k]);
			add_set(&b, p->needs[k][s], "", false);
			buf_adds(&b, "},");
		}
		buf_adds(&b, "\"conflicts\":");
		add_set(&b, p->conflicts[s], "", false);
		buf_adds(&b, ",\"provides\":");
		add_set(&b, p->provides & 1u << s ? STRANGER : 0, "", false);
		buf_adds(&b, "}}");
	}
	buf_addc(&b, ']');
	return take_json(&b);
}

static void ask_for(struct json *request, const char *key, const char *prefix, int type)
{
	LOOM_CLEANUP_STR char *name = loom_asprintf("%s%d", prefix, type);
	if (type >= 0)
		json_set_str(request, key, name);
}

static void solver_text(const struct problem *p, struct buf *out)
{
	LOOM_CLEANUP(json_free) struct json *template = template_of(p);
	LOOM_CLEANUP(json_free)
	struct json *hw = types_of("h", p->hardware, "flavor", p->of_hw.there);
	LOOM_CLEANUP(json_free)
	struct json *img = types_of("i", p->images, "image", p->of_img.there);
	LOOM_CLEANUP(json_free) struct json *services = services_of(p);
	LOOM_CLEANUP(json_free) struct json *request = json_new_obj();
	LOOM_CLEANUP(json_free) struct json *provider = json_new_obj();
	LOOM_CLEANUP(layout_free) struct layout *l = NULL;
	struct loom_err err = { 0 };
	const struct solve_input in = {
		.request = request,
		.template = template,
		.provider = provider,
		.hardwaretypes = hw,
		.imagetypes = img,
		.services = services,
		.cluster_id = 1,
		.cluster_name = "c",
	};
	int r;
	json_set_str(provider, "name", "p");
	json_set_int(request, "numMachines", p->machines);
	json_set(request, "services", names_of(p));
	ask_for(request, "hardwaretype", "h", p->of_hw.asked);
	ask_for(request, "imagetype", "i", p->of_img.asked);
	r = solve(&in, &l, &err);
	ck_assert_msg(r == 0 || (r == 400 && err.msg[0]), "%d %s", r, err.msg);
	for (size_t i = 0; l && i < l->n_groups; i++) {
		LOOM_CLEANUP_STR char *names = strs_join(&l->groups[i].services, "");
		buf_addf(out, "%d %s %s %s\n", l->groups[i].count, l->groups[i].hardwaretype,
		         l->groups[i].imagetype, names);
	}
	if (r)
		buf_adds(out, "none\n");
	const char *word = refused(p);
	ck_assert_msg(!word || strstr(err.msg, word), "%s, not %s", word, err.msg);
}

static void show(const struct problem *p)
{
	LOOM_CLEANUP(json_free) struct json *template = template_of(p);
	LOOM_CLEANUP_STR char *text = json_text(template);
	LOOM_CLEANUP(json_free) struct json *services = services_of(p);
	LOOM_CLEANUP_STR char *docs = json_text(services);
	printf("%d machines, %d services, %d hardware (%x there, %d asked), %d images (%x there, %d "
	       "asked): %s %s\n",
	       p->machines, p->services, p->hardware, p->of_hw.there, p->of_hw.asked, p->images,
	       p->of_img.there, p->of_img.asked, text, docs);
}

static int solved, agreed;

static void compare(const struct problem *p)
{
	LOOM_CLEANUP(buf_fini) struct buf got = BUF_INIT(10000);
	LOOM_CLEANUP(buf_fini) struct buf want = BUF_INIT(10000);
	LOOM_CLEANUP(buf_fini) struct buf old = BUF_INIT(10000);
	struct brute b = { .p = p };
	bool found;
	if (!refused(p))
		make_kinds(&b);
	/* the first releases' search, which may leave services out */
	memcpy(b.min, p->min, sizeof(b.min));
	if (greedy_reaches(&b) && enumerate(&b, 0, p->machines)) {
		bool all = true;
		for (int s = 0; s < p->services; s++)
			all &= count_of(&b, s) > 0;
		if (all)
			brute_text(&b, &old);
	}
	memset(b.v, 0, sizeof(b.v));
	for (int s = 0; s < p->services; s++)
		b.min[s] = p->min[s] > 1 ? p->min[s] : 1;
	found = enumerate(&b, 0, p->machines);
	if (found)
		brute_text(&b, &want);
	else
		buf_adds(&want, "none\n");
	solver_text(p, &got);
	if (strcmp(buf_str(&got), buf_str(&want)) != 0 ||
	    (old.len && strcmp(buf_str(&got), buf_str(&old)) != 0))
		show(p);
	ck_assert_str_eq(buf_str(&got), buf_str(&want));
	if (old.len)
		ck_assert_str_eq(buf_str(&got), buf_str(&old));
	solved += found;
	agreed += old.len > 0;
}

START_TEST(equals_enumeration)
{
	const char *seed = getenv("LOOM_SEED"); /* NOLINT(concurrency-mt-unsafe) */
	random_state = (seed ? strtoull(seed, NULL, 10) : 7) + (uint64_t)_i * 1000003;
	solved = agreed = 0;
	for (int k = 0; k < 1000; k++) {
		const struct problem p = make_problem();
		compare(&p);
	}
	/* the cases are worth something */
	ck_assert_int_gt(solved, 300);
	ck_assert_int_lt(solved, 900);
	ck_assert_int_gt(agreed, 200);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("brute");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, equals_enumeration, 0, 10);
	return UNIT_RUN("scheduler_brute", t);
}
