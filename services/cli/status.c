/* SPDX-License-Identifier: Apache-2.0 */
/* Shows whether Loom is up, what it has, and what is unreachable. */
#include "services/cli/commands.h"

#include <stdio.h>
#include <string.h>

#define ASK_MS 5000

struct look {
	int status; /* 0: no answer */
	char *text; /* owned */
};

static struct look look_at(struct cli *c, const char *path)
{
	struct look l = { 0 };
	struct loom_err err = { 0 };
	LOOM_CLEANUP_STR char *url = loom_asprintf("%s%s", c->url, path);
	struct http_call call = {
		.method = "GET",
		.url = url,
		.headers = &c->headers,
		.trust = &c->trust,
		.max_answer = CLI_ANSWER_MAX,
		.timeout_ms = ASK_MS,
	};
	if (http_call(c->conn, &call, &err) == 0) {
		cli_warn(&call);
		l.status = call.status;
		l.text = loom_strndup(buf_str(&call.answer), call.answer.len);
	} else {
		l.text = loom_strdup(err.msg);
	}
	http_call_fini(&call);
	return l;
}

/* The version in a line `loom_build_info{version="0.1.0"} 1`. Returns owned, NULL if there is
 * none. */
static char *version_in(const char *metrics)
{
	static const char mark[] = "loom_build_info{version=\"";
	const char *at = strstr(metrics, mark);
	if (!at)
		return NULL;
	at += sizeof(mark) - 1;
	return loom_strndup(at, strcspn(at, "\""));
}

static const struct {
	const char *path, *name;
} counted[] = {
	{ "clustertemplates", "templates" }, { "providers", "providers" },
	{ "services", "services" },          { "hardwaretypes", "hardware" },
	{ "imagetypes", "images" },
};

/* Of each only what is looked at: there may be very many. */
static int64_t count(struct cli *c, const char *what, const char *fields, struct json **ret_list)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/%s?fields=%s", what, fields);
	struct look l = look_at(c, path);
	struct json *list = NULL;
	int64_t n = -1;
	if (l.status == 200 && json_parse(l.text, strlen(l.text), CLI_ANSWER_MAX, &list, NULL) == 0)
		n = (int64_t)json_len(list);
	loom_free(l.text);
	if (ret_list)
		*ret_list = list;
	else
		json_free(list);
	return n;
}

static struct json *count_clusters(struct cli *c)
{
	static const char *const words[] = { "active", "pending", "incomplete", "inconsistent",
		                             "terminated" };
	LOOM_CLEANUP(json_free) struct json *list = NULL;
	if (count(c, "clusters", "status", &list) < 0)
		return NULL;
	struct json *counts = json_new_obj();
	for (size_t w = 0; w < LOOM_COUNT(words); w++) {
		int64_t n = 0;
		for (size_t i = 0; i < json_len(list); i++)
			n += str_eq(json_get_str(json_at(list, i), "status"), words[w]);
		json_set_int(counts, words[w], n);
	}
	return counts;
}

/* Only superadmins may see them. */
static struct json *count_provisioners(struct cli *c)
{
	LOOM_CLEANUP(json_free) struct json *list = NULL;
	int64_t n = count(c, "provisioners", "id,quarantine", &list);
	if (n < 0)
		return NULL;
	struct json *bad = json_new_obj();
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *q = json_get(json_at(list, i), "quarantine");
		const char *id = json_get_str(json_at(list, i), "id");
		if (q && id)
			json_set_str(bad, id, json_get_str(q, "reason"));
	}
	return json_set(json_set_int(json_new_obj(), "registered", n), "quarantined", bad);
}

static struct json *survey(struct cli *c, bool *ret_ready)
{
	struct json *v = json_set_str(json_new_obj(), "url", c->url);
	struct look ready = look_at(c, "/readyz"), metrics = look_at(c, "/metrics");
	LOOM_CLEANUP_STR char *version = metrics.status == 200 ? version_in(metrics.text) : NULL;
	*ret_ready = ready.status == 200;
	json_set_str(v, "api", *ret_ready ? "ready" : "not ready");
	json_set_str(v, "version", version);
	if (!*ret_ready) {
		LOOM_CLEANUP_STR char *why =
			ready.status ? cli_reason(ready.status, ready.text, strlen(ready.text))
				     : loom_strdup("it gives no answer about itself");
		json_set_str(v, "unreachable", why);
	}
	json_set(v, "clusters", count_clusters(c));
	json_set(v, "provisioners", count_provisioners(c));
	for (size_t i = 0; i < LOOM_COUNT(counted); i++) {
		int64_t n = count(c, counted[i].path, "name", NULL);
		if (n >= 0)
			json_set_int(v, counted[i].name, n);
	}
	loom_free(ready.text);
	loom_free(metrics.text);
	return v;
}

static void print_survey(const struct json *v)
{
	const char *version = json_get_str(v, "version"), *why = json_get_str(v, "unreachable");
	const struct json *clusters = json_get(v, "clusters");
	printf("%-12s %s at %s%s%s\n", "api", json_get_str(v, "api"), json_get_str(v, "url"),
	       version ? ", version " : "", version ? version : "");
	if (why)
		printf("%-12s %s\n", "out of reach", why);
	if (clusters) {
		bool first = true;
		printf("%-12s ", "clusters");
		for (size_t i = 0; i < json_len(clusters); i++) {
			if (str_eq(json_str(json_value_at(clusters, i)), "0"))
				continue;
			printf("%s%s %s", first ? "" : ", ", json_str(json_value_at(clusters, i)),
			       json_key_at(clusters, i));
			first = false;
		}
		puts(first ? "none" : "");
	}
	const struct json *workers = json_get(v, "provisioners");
	const struct json *bad = json_get(workers, "quarantined");
	if (workers)
		printf("%-12s %s\n", "provisioners", json_get_str(workers, "registered"));
	for (size_t i = 0; i < json_len(bad); i++)
		printf("%-12s %s: %s\n", "quarantined", json_key_at(bad, i),
		       json_str(json_value_at(bad, i)));
	for (size_t i = 0; i < LOOM_COUNT(counted); i++) {
		if (json_get(v, counted[i].name))
			printf("%-12s %s\n", counted[i].name, json_get_str(v, counted[i].name));
	}
}

int status_show(struct cli *c, const struct args *a)
{
	(void)a;
	struct look alive = look_at(c, "/status");
	int code = CLI_OK;
	if (!alive.status) {
		code = cli_unreachable(c, alive.text);
	} else if (alive.status != 200) {
		LOOM_CLEANUP_STR char *why =
			cli_reason(alive.status, alive.text, strlen(alive.text));
		code = cli_fail(CLI_FAILED, "%s (%d)", why, alive.status);
	}
	loom_free(alive.text);
	if (code)
		return code;
	bool ready = false;
	LOOM_CLEANUP(json_free) struct json *v = survey(c, &ready);
	if (c->json)
		cli_print_json(v);
	else
		print_survey(v);
	return ready ? CLI_OK : CLI_FAILED;
}
