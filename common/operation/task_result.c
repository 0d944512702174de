/* SPDX-License-Identifier: Apache-2.0 */
/* task_result - the rules for results, each with an error text for the plugin's author. */
#include "common/operation/task_result.h"

#include "common/base/str.h"

#include <string.h>

enum { BAD = 400, FAILED = 1 };

static const char *const texts[] = { "message", "stdout", "stderr" };

/* What is wrong with a short text; NULL: nothing. */
static const char *wrong_text(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)s[i] < ' ' || s[i] == 127)
			return s[i] == '\n' && i + 1 == n
			               ? "ends in a newline"
			               : "holds a control character (a newline, a tab, a NUL)";
	}
	return n > TASK_RESULT_TEXT ? "is longer than 255 bytes" : NULL;
}

static int check_address(const struct json *ips, size_t at, struct loom_err *err)
{
	const struct json *v = json_value_at(ips, at);
	const char *key = json_key_at(ips, at), *wrong = wrong_text(key, strlen(key));
	if (wrong)
		return err_set(err, BAD, "a name in ipaddresses %s", wrong);
	if (!json_is(v, JSON_STRING))
		return err_set(err, BAD, "ipaddresses.%.64s is not a string", key);
	wrong = wrong_text(json_str(v), json_str_len(v));
	if (!wrong && !str_is_address(json_str(v)))
		wrong = "is not an IPv4 or IPv6 address";
	return wrong ? err_set(err, BAD, "ipaddresses.%.64s %s", key, wrong) : 0;
}

static int check_addresses(const struct json *ips, struct loom_err *err)
{
	int rc = 0;
	if (json_is(ips, JSON_NULL))
		return 0;
	if (!json_is(ips, JSON_OBJECT) || json_len(ips) > TASK_RESULT_ADDRESSES)
		return err_set(err, BAD, "ipaddresses is not an object of at most %d addresses",
		               TASK_RESULT_ADDRESSES);
	for (size_t i = 0; !rc && i < json_len(ips); i++)
		rc = check_address(ips, i, err);
	return rc;
}

/* What is wrong with a host name; other programs read it as a word, or even as an option. */
static const char *wrong_host(const struct json *host)
{
	const char *wrong = json_is(host, JSON_STRING)
	                            ? wrong_text(json_str(host), json_str_len(host))
	                            : "is not a string";
	if (wrong || str_blank(json_str(host)))
		return wrong;
	return str_is_name(json_str(host)) && !strchr("-.", *json_str(host))
	               ? NULL
	               : "is not a host name (letters, digits, . - _)";
}

void task_result_tidy(struct json *v)
{
	struct json *ips = json_get(v, "ipaddresses");
	if (json_len(ips) > TASK_RESULT_NULLS) /* removing many would cost their square */
		return;
	for (size_t i = json_len(ips); i > 0 && json_is(ips, JSON_OBJECT); i--) {
		if (json_is(json_value_at(ips, i - 1), JSON_NULL))
			json_del(ips, json_key_at(ips, i - 1));
	}
}

int task_result_check(const struct json *v, struct loom_err *err)
{
	const struct json *result = json_get(v, "result"), *host = json_get(v, "hostname");
	if (json_deeper(v, TASK_RESULT_DEPTH))
		return err_set(err, BAD, "it is nested deeper than %d levels", TASK_RESULT_DEPTH);
	if (!json_is(result, JSON_NULL) && !json_is(result, JSON_OBJECT))
		return err_set(err, BAD, "result is not an object");
	for (size_t i = 0; i < LOOM_COUNT(texts); i++) {
		const struct json *text = json_get(v, texts[i]);
		if (!json_is(text, JSON_NULL) && !json_is(text, JSON_STRING))
			return err_set(err, BAD, "%s is not a string", texts[i]);
	}
	if (!json_is(host, JSON_NULL)) {
		const char *wrong = wrong_host(host);
		if (wrong)
			return err_set(err, BAD, "hostname %s", wrong);
	}
	return check_addresses(json_get(v, "ipaddresses"), err);
}

void task_result_cut(struct json *v)
{
	for (size_t i = 0; i < LOOM_COUNT(texts); i++) {
		const struct json *text = json_get(v, texts[i]);
		size_t n = json_is(text, JSON_STRING) ? json_str_len(text) : 0;
		if (n <= TASK_RESULT_TAIL)
			continue;
		const char *end = json_str(text) + n, *from = end - TASK_RESULT_TAIL;
		while (from < end && (*from & 0xc0) == 0x80) /* not inside a character */
			from++;
		json_set(v, texts[i], json_new_strn(from, (size_t)(end - from)));
	}
}

struct json *task_result_failure(const struct json *finish, const char *message)
{
	static const char *const kept[] = { "provisionerId", "workerId", "tenantId",
		                            "taskId",        "attempt",  "claim" };
	struct json *failed = json_new_obj();
	for (size_t i = 0; i < LOOM_COUNT(kept); i++)
		json_set(failed, kept[i], json_copy(json_get(finish, kept[i])));
	json_set_int(failed, "status", FAILED);
	json_set_str(failed, "message", message);
	const struct json *name = json_get(json_get(finish, "result"), "providerid");
	if (json_str(name) && json_str_len(name) <= TASK_RESULT_TEXT)
		json_set(failed, "result", json_set(json_new_obj(), "providerid", json_copy(name)));
	return failed;
}
