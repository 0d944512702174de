/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create - users who create clusters.
 *
 * external=PORT count=N clients=4 every=US (of all clients together; 0: as fast as answers come)
 * template=NAME machines=N name=PREFIX tenant=NAME user=NAME
 */
#include "bench.h"
#include "hub.h"

#include "common/base/clock.h"

#include <stdlib.h>
#include <string.h>

struct creating {
	struct hub *hub;
	const char *name, *template, *tenant, *user;
	int64_t began; /* in the names, which no other run's are to be */
	int64_t machines, count, begun, ended, pace_us, next, failed;
	struct samples us;
	struct json *ids;
};

struct client {
	struct creating *g;
	struct conn *conn;
	struct timer *timer;
	int64_t due;    /* when it should have been sent: a late request is a slow one */
	int64_t number; /* of its create, which names the cluster */
};

static void send_create(void *arg)
{
	struct client *c = arg;
	struct creating *g = c->g;
	char headers[512], body[512];
	snprintf(headers, sizeof(headers), "X-Loom-UserID: %s\r\nX-Loom-TenantID: %s\r\n", g->user,
	         g->tenant);
	snprintf(body, sizeof(body),
	         "{\"name\":\"%s-%lld-%lld\",\"clusterTemplate\":\"%s\",\"numMachines\":%lld}",
	         g->name, (long long)g->began, (long long)c->number, g->template,
	         (long long)g->machines);
	hub_send(c->conn, "POST", "/v2/clusters", headers, body);
}

static void next_create(struct client *c)
{
	struct creating *g = c->g;
	if (g->begun == g->count)
		return;
	c->number = ++g->begun;
	c->due = g->pace_us ? g->next : clock_mono_us();
	g->next += g->pace_us;
	if (c->due > clock_mono_us())
		timer_at(c->timer, c->due);
	else
		send_create(c);
}

static void created(void *arg, int status, const char *text, size_t len)
{
	struct client *c = arg;
	struct creating *g = c->g;
	if (status != 200) {
		fprintf(stderr, "driver: create: %d %.*s\n", status, (int)len, text);
		if (++g->failed > 100)
			exit(1);
	}
	const char *id = strstr(text, "\"id\":\"");
	if (id) {
		samples_add(&g->us, clock_mono_us() - c->due);
		json_push(g->ids, json_new_strn(id + 6, strcspn(id + 6, "\"")));
	}
	if (++g->ended == g->count)
		hub_stop(g->hub);
	else
		next_create(c);
}

int create_main(const struct options *o)
{
	int n = (int)option_int(o, "clients", 4), port = (int)option_int(o, "external", 0);
	int64_t began = clock_mono_us();
	struct creating g = { .hub = hub_create(),
		              .name = option(o, "name", "bench"),
		              .template = option(o, "template", ""),
		              .tenant = option(o, "tenant", "superadmin"),
		              .user = option(o, "user", "admin"),
		              .machines = option_int(o, "machines", 1),
		              .count = option_int(o, "count", 1),
		              .began = clock_wall_ms(),
		              .pace_us = option_int(o, "every", 0),
		              .next = began,
		              .ids = json_new_arr() };
	struct client *all = loom_calloc((size_t)n, sizeof(*all));
	for (int i = 0; i < n; i++) {
		all[i] = (struct client){ .g = &g };
		all[i].conn = conn_create(g.hub, port, created, &all[i]);
		all[i].timer = timer_create_on(g.hub, send_create, &all[i]);
		next_create(&all[i]);
	}
	hub_run(g.hub);
	LOOM_CLEANUP(json_free) struct json *out = json_set(json_new_obj(), "ids", g.ids);
	json_set_int(out, "failed", g.failed);
	set_double(out, "seconds", (double)(clock_mono_us() - began) / 1e6);
	json_set(out, "create_ms", samples_ms(&g.us));
	LOOM_CLEANUP_STR char *text = json_text(out);
	puts(text);
	hub_destroy(g.hub);
	samples_fini(&g.us);
	loom_free(all);
	return g.failed ? 1 : 0;
}
