/* SPDX-License-Identifier: Apache-2.0 */
/*
 * solve - a new cluster solved and planned in this process, as the scheduler does between its two
 * transactions; nothing else of Loom runs.
 *
 * catalog=FILE (kind -> documents)  template=NAME  machines=N
 */
#include "bench.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "services/scheduler/operation/job_draft.h"
#include "services/scheduler/placement/solve.h"

#include <stdlib.h>
#include <string.h>

static struct json *read_catalog(const char *path)
{
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(JSON_MAX_BYTES);
	char chunk[65536];
	size_t n;
	FILE *f = fopen(path, "r");
	if (!f) {
		perror(path);
		return NULL;
	}
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(&b, chunk, n);
	(void)fclose(f);
	struct json *v = NULL;
	struct loom_err err;
	if (json_parse_str(buf_str(&b), &v, &err))
		fprintf(stderr, "driver: %s: %s\n", path, err.msg);
	return v;
}

static const struct json *named(const struct json *list, const char *name)
{
	for (size_t i = 0; i < json_len(list); i++)
		if (str_eq(json_get_str(json_at(list, i), "name"), name))
			return json_at(list, i);
	return NULL;
}

/* Not getrusage(): its peak is older than this program. */
static int64_t peak_kib(void)
{
	char line[256];
	int64_t kib = 0;
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "VmHWM:", 6) == 0)
			kib = strtoll(line + 6, NULL, 10);
	if (f)
		(void)fclose(f);
	return kib;
}

static int make(const struct solve_input *in, struct job_draft *b, struct json *out)
{
	struct loom_err err = { 0 };
	int64_t began = clock_mono_us();
	int rc = solve(in, &b->layout, &err);
	int64_t solved = clock_mono_us();
	LOOM_CLEANUP(json_free) struct json *docs = json_new_obj();
	for (size_t i = 0; !rc && i < json_len(in->services); i++)
		json_set(docs, json_get_str(json_at(in->services, i), "name"),
		         json_copy(json_at(in->services, i)));
	if (!rc) {
		b->nodes = loom_calloc(1, sizeof(*b->nodes));
		job_draft_add_nodes(b->nodes, b->layout->nodes, b->layout->n_nodes);
		rc = plan_nodes(b->nodes, PLAN_CREATE, docs, NULL, &b->plan, &err);
	}
	if (rc) {
		fprintf(stderr, "driver: %d %s\n", rc, err.msg);
		return 1;
	}
	set_double(out, "solve_ms", (double)(solved - began) / 1000);
	set_double(out, "plan_ms", (double)(clock_mono_us() - solved) / 1000);
	return 0;
}

static void count(const struct job_draft *b, struct json *out)
{
	int64_t edges = 0;
	for (size_t i = 0; i < b->plan->n; i++)
		edges += (int64_t)b->plan->tasks[i].n_after;
	json_set_int(out, "machines", (int64_t)b->nodes->n);
	json_set_int(out, "tasks", (int64_t)b->plan->n);
	json_set_int(out, "edges", edges);
}

int solve_main(const struct options *o)
{
	LOOM_CLEANUP(json_free) struct json *cat = read_catalog(option(o, "catalog", ""));
	const struct json *template =
		named(json_get(cat, "clustertemplates"), option(o, "template", ""));
	if (!template) {
		fprintf(stderr, "driver: no template %s\n", option(o, "template", ""));
		return 1;
	}
	LOOM_CLEANUP(json_free)
	struct json *request = json_set_str(json_new_obj(), "name", "bench");
	json_set_int(request, "numMachines", option_int(o, "machines", 1));
	const char *provider = json_get_str(json_get(template, "defaults"), "provider");
	struct solve_input in = { .request = request,
		                  .template = template,
		                  .provider = named(json_get(cat, "providers"), provider),
		                  .hardwaretypes = json_get(cat, "hardwaretypes"),
		                  .imagetypes = json_get(cat, "imagetypes"),
		                  .services = json_get(cat, "services"),
		                  .cluster_id = 1,
		                  .cluster_name = "bench" };
	LOOM_CLEANUP(json_free) struct json *out = json_new_obj();
	struct job_draft b = { 0 };
	int64_t before = peak_kib();
	int rc = make(&in, &b, out);
	if (!rc) {
		count(&b, out);
		set_double(out, "memory_mib", (double)(peak_kib() - before) / 1024);
		LOOM_CLEANUP_STR char *text = json_text(out);
		puts(text);
	}
	job_draft_fini(&b);
	return rc;
}
