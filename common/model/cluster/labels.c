/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of labels: valid keys and values, merging of changes, and the form "key=value" of
 * command lines and queries.
 */
#include "common/model/cluster/labels.h"

#include "common/base/str.h"

#include <string.h>

enum { NAME_MAX_ = 63, DNS_MAX = 253 };

static bool is_alnum(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9');
}

static bool is_name(const char *s, size_t n)
{
	if (!n || n > NAME_MAX_ || !is_alnum(s[0]) || !is_alnum(s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!s[i] || (!is_alnum(s[i]) && !strchr("-_.", s[i])))
			return false;
	}
	return true;
}

static bool is_dns_label(const char *s, size_t n)
{
	if (!n || n > NAME_MAX_ || !is_alnum(s[0]) || !is_alnum(s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] != '-' && (!is_alnum(s[i]) || (s[i] >= 'A' && s[i] <= 'Z')))
			return false;
	}
	return true;
}

static bool is_dns_name(const char *s, size_t n)
{
	if (n > DNS_MAX)
		return false;
	for (size_t from = 0;;) {
		const char *dot = memchr(s + from, '.', n - from);
		size_t end = dot ? (size_t)(dot - s) : n;
		if (!is_dns_label(s + from, end - from))
			return false;
		if (!dot)
			return true;
		from = end + 1;
	}
}

static int check_key(const char *key, struct loom_err *err)
{
	const char *slash = strchr(key, '/');
	const char *name = slash ? slash + 1 : key;
	if (slash && !is_dns_name(key, (size_t)(slash - key)))
		return err_set(err, 400,
		               "labels: key '%.80s': what is before the / must be a DNS name in "
		               "lower case, as example.com",
		               key);
	if (!is_name(name, strlen(name)))
		return err_set(
			err, 400,
			"labels: key '%.80s' must be 1 to 63 characters of A-Z a-z 0-9 - _ ., "
			"the first and the last a letter or a digit; a DNS name and a / may "
			"be before it",
			key);
	return 0;
}

static int check_value(const char *key, const struct json *v, struct loom_err *err)
{
	if (!json_is(v, JSON_STRING))
		return err_set(err, 400, "labels: the value of '%.80s' must be a string, not a %s",
		               key, json_type_name(json_type(v)));
	size_t n = json_str_len(v);
	if (n && !is_name(json_str(v), n))
		return err_set(err, 400,
		               "labels: the value of '%.80s' must be empty, or 1 to 63 characters "
		               "of A-Z a-z 0-9 - _ ., the first and the last a letter or a digit",
		               key);
	return 0;
}

/* gone: null is allowed as a value. */
static int check(const struct json *labels, bool nullable, struct loom_err *err)
{
	if (json_is(labels, JSON_NULL))
		return 0;
	if (!json_is(labels, JSON_OBJECT))
		return err_set(
			err, 400,
			"labels must be an object of keys and values, as {\"env\":\"test\"}, "
			"not a %s",
			json_type_name(json_type(labels)));
	for (size_t i = 0; i < json_len(labels); i++) {
		const char *key = json_key_at(labels, i);
		const struct json *v = json_value_at(labels, i);
		int rc = check_key(key, err);
		if (!rc && !(nullable && json_is(v, JSON_NULL)))
			rc = check_value(key, v, err);
		if (rc)
			return rc;
	}
	return 0;
}

static int check_number(const struct json *labels, struct loom_err *err)
{
	return json_len(labels) <= LABELS_MAX
	               ? 0
	               : err_set(err, 400, "labels: a cluster has at most %d, not %zu", LABELS_MAX,
	                         json_len(labels));
}

int labels_check(const struct json *labels, struct loom_err *err)
{
	int rc = check(labels, false, err);
	return rc ? rc : check_number(labels, err);
}

int labels_merge(const struct json *labels, const struct json *change, struct json **ret,
                 struct loom_err *err)
{
	int rc = check(change, true, err);
	if (rc)
		return rc;
	LOOM_CLEANUP(json_free) struct json *all = labels ? json_copy(labels) : json_new_obj();
	for (size_t i = 0; i < json_len(change); i++) {
		const struct json *v = json_value_at(change, i);
		if (json_is(v, JSON_NULL))
			json_del(all, json_key_at(change, i));
		else
			json_set(all, json_key_at(change, i), json_copy(v));
	}
	rc = check_number(all, err);
	if (!rc)
		*ret = loom_take(all);
	return rc;
}

int labels_add(struct json *labels, const char *text, struct loom_err *err)
{
	const char *eq = strchr(text, '=');
	if (!eq)
		return err_set(err, 400, "label '%.80s' must be KEY=VALUE, as env=test", text);
	LOOM_CLEANUP_STR char *key = loom_strndup(text, (size_t)(eq - text));
	LOOM_CLEANUP(json_free) struct json *one = json_set_str(json_new_obj(), key, eq + 1);
	const char *before = json_get_str(labels, key);
	int rc = labels_check(one, err);
	if (!rc && before && !str_eq(before, eq + 1))
		return err_set(err, 400, "label '%.80s' is given twice, as '%s' and as '%s'", key,
		               before, eq + 1);
	if (!rc)
		json_set_str(labels, key, eq + 1);
	return rc;
}
