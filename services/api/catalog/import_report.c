/* SPDX-License-Identifier: Apache-2.0 */
/* Compares documents before and after an import. */
#include "services/api/catalog/import_report.h"

#include "common/base/str.h"

#include <string.h>

void import_fault(struct json *faults, enum entity_kind k, size_t i, const char *name,
                  const char *why)
{
	const char *kind = entity_collection(k);
	LOOM_CLEANUP_STR char *pointer = loom_asprintf("/%s/%zu", kind, i);
	LOOM_CLEANUP_STR char *at =
		loom_asprintf("%s[%zu] %.255s:", kind, i, name ? name : "(no name)");
	struct json *f = json_set_str(json_new_obj(), "pointer", pointer);
	json_set_str(f, "at", at);
	json_set_str(f, "detail", why);
	json_set_str(f, "kind", kind);
	json_push(faults, json_set_str(f, "name", name));
}

static void count(struct json *report, const char *result)
{
	json_set_int(report, result, json_get_int(report, result, 0) + 1);
}

static struct json *item(struct json *report, const char *kind, const char *name,
                         const char *result)
{
	struct json *o = json_set_str(json_new_obj(), "kind", kind);
	json_set_str(o, "name", name);
	json_set_str(o, "result", result);
	json_push(json_get(report, "items"), o);
	count(report, result);
	return o;
}

/* By name, and without versions, which an import assigns anew. */
static struct json *by_name(const struct json *list)
{
	struct json *o = json_new_obj();
	for (size_t i = 0; i < json_len(list); i++) {
		struct json *doc = json_copy(json_at(list, i));
		json_del(doc, "version");
		LOOM_CLEANUP_STR char *name = loom_strdup(json_get_str(doc, "name"));
		json_set(o, name, doc);
	}
	return o;
}

static void compare(struct json *report, const char *kind, const struct json *before,
                    const struct json *after)
{
	LOOM_CLEANUP(json_free) struct json *old = by_name(before), *now = by_name(after);
	for (size_t i = 0; i < json_len(now); i++) {
		const char *name = json_key_at(now, i);
		const struct json *was = json_get(old, name);
		const char *result = !was                                     ? "created"
		                     : json_equal(was, json_value_at(now, i)) ? "unchanged"
		                                                              : "updated";
		item(report, kind, name, result);
	}
	for (size_t i = 0; i < json_len(old); i++) {
		if (!json_get(now, json_key_at(old, i)))
			item(report, kind, json_key_at(old, i), "deleted");
	}
}

struct json *import_report(int n, const struct json *before, const struct json *after,
                           const struct json *faults)
{
	static const char *const results[] = { "created", "updated", "unchanged", "deleted",
		                               "refused" };
	struct json *report = json_new_obj();
	for (size_t i = 0; i < LOOM_COUNT(results); i++)
		json_set_int(report, results[i], 0);
	json_set(report, "items", json_new_arr());
	for (int k = 0; k < n; k++) {
		const char *kind = entity_collection((enum entity_kind)k);
		compare(report, kind, json_get(before, kind), json_get(after, kind));
	}
	for (size_t i = 0; i < json_len(faults); i++) {
		const struct json *f = json_at(faults, i);
		struct json *o =
			item(report, json_get_str(f, "kind"), json_get_str(f, "name"), "refused");
		LOOM_CLEANUP_STR char *pointer = loom_asprintf("#%s", json_get_str(f, "pointer"));
		json_set_str(o, "pointer", pointer);
		json_set_str(o, "detail", json_get_str(f, "detail"));
	}
	return report;
}
