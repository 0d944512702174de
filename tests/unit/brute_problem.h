/* SPDX-License-Identifier: Apache-2.0 */
/* brute_problem - random problems for the solver: what is asked for, and the rules it must keep. */
#ifndef LOOM_TESTS_BRUTE_PROBLEM_H
#define LOOM_TESTS_BRUTE_PROBLEM_H

#include <stdbool.h>
#include <stdint.h>

#define MOST_SERVICES 5
#define MOST_LAYOUTS  64
#define MOST_SETS     4
#define UNLIMITED     INT32_MAX
#define STRANGER      0x80u /* a service that is not on the cluster, called h */

/* Which types there are to take. */
struct choice {
	unsigned there, allowed; /* by the provider; by the template, 0: all */
	int asked, otherwise;    /* by the request, else by the template; -1: not */
};

/* A problem; services are a, b, c ..., hardware types h0, h1 ..., images i0, i1 ... */
struct problem {
	int services, machines, hardware, images;
	unsigned must[MOST_SETS],
		cant[MOST_SETS]; /* masks; bit 7 is a service not on the cluster */
	int n_must, n_cant;
	bool limited[MOST_SERVICES];
	int min[MOST_SERVICES], max[MOST_SERVICES];
	unsigned hw[MOST_SERVICES], img[MOST_SERVICES]; /* 0: any */
	struct choice of_hw, of_img;
	unsigned compatible;                         /* services; 0: all */
	unsigned needs[2][MOST_SERVICES];            /* at install, at run time */
	unsigned conflicts[MOST_SERVICES], provides; /* provides: those that provide the stranger */
	bool odd; /* sets name services twice, and the stranger has a limit */
};

static uint64_t random_state;

static int pick(int n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (int)((random_state >> 33) % (unsigned)n);
}

static unsigned pick_set(int n)
{
	unsigned set = (unsigned)pick(1 << n) & (unsigned)pick(1 << n);
	set |= 1u << pick(n);
	return set | (pick(6) ? 0 : STRANGER);
}

/* Seldom narrowed, or nothing else would be tried. */
static struct choice pick_choice(int n)
{
	struct choice c = { .there = (1u << n) - 1, .asked = -1, .otherwise = -1 };
	if (!pick(4))
		c.there = (unsigned)pick(1 << n);
	if (!pick(4))
		c.allowed = (unsigned)pick(1 << n);
	if (!pick(5))
		c.asked = pick(n + 1);
	if (!pick(5))
		c.otherwise = pick(n + 1);
	return c;
}

/* Circles are no matter of placing. */
static void pick_natures(struct problem *p)
{
	const int all = 1 << p->services;
	p->odd = !pick(4);
	p->of_hw = (struct choice){ .there = UINT32_MAX, .asked = -1, .otherwise = -1 };
	p->of_img = p->of_hw;
	if (pick(3)) /* most problems are about placing alone */
		return;
	p->of_hw = pick_choice(p->hardware);
	p->of_img = pick_choice(p->images);
	p->compatible = pick(8) ? 0 : (unsigned)(pick(all) | pick(all) | pick(all));
	p->provides = pick(3) ? 0 : (unsigned)pick(all);
	for (int s = 0; s < p->services; s++) {
		for (int k = 0; k < 2; k++) {
			p->needs[k][s] = pick(3) ? 0 : (unsigned)(pick(all) & pick(all));
			p->needs[k][s] |= pick(16) ? 0 : STRANGER;
		}
		p->conflicts[s] = pick(24) ? 0 : 1u << pick(p->services);
	}
}

static struct problem make_problem(void)
{
	struct problem p = { .services = 1 + pick(MOST_SERVICES), .hardware = 1 + pick(3) };
	p.images = 1 + pick(2);
	p.machines = 1 + pick(p.services > 4 ? 4 : p.services > 3 ? 5 : 7);
	p.n_must = pick(3) ? 0 : 1 + pick(2);
	p.n_cant = pick(4) ? pick(MOST_SETS) : 0;
	for (int i = 0; i < p.n_must; i++)
		p.must[i] = pick_set(p.services);
	for (int i = 0; i < p.n_cant; i++)
		p.cant[i] = pick_set(p.services);
	for (int s = 0; s < p.services; s++) {
		p.limited[s] = pick(4) != 0;
		p.min[s] = pick(3) ? pick(2) : pick(4);
		p.max[s] = pick(3) ? UNLIMITED : p.min[s] + pick(3);
		p.hw[s] = pick(3) ? 0 : (unsigned)pick(1 << p.hardware);
		p.img[s] = pick(4) ? 0 : (unsigned)pick(1 << p.images);
		if (!p.limited[s]) {
			p.min[s] = 0;
			p.max[s] = UNLIMITED;
			p.hw[s] = p.img[s] = 0;
		}
	}
	pick_natures(&p);
	return p;
}

#endif
