/* SPDX-License-Identifier: Apache-2.0 */
/*
 * validate_check - reads a document that has passed its schema, field by field. An error is
 * recorded with the field's path ("constraints.size.min"); the first one counts, and reading goes
 * on harmlessly. Pure.
 */
#ifndef LOOM_API_VALIDATE_CHECK_H
#define LOOM_API_VALIDATE_CHECK_H

#include "common/json/json.h"

#define UNLIMITED 2147483647

struct check {
	struct loom_err *err;
	int refused; /* 400 once an error was found */
};

void check_refuse(struct check *c, const char *fmt, ...) LOOM_PRINTF(2, 3);
/* The member; NULL also for JSON null. */
const struct json *check_member(const struct json *in, const char *key);
/* These return owned. An array of strings without duplicates; empty when absent. */
struct json *check_names(const struct json *in, const char *key);
struct json *check_links(const struct json *in); /* "links", [{label, url}] */
/* "retry", {"tries": n, "base": ms, "cap": ms}; NULL when absent. */
struct json *check_retry(const struct json *in);

/* validate_template.c */
void validate_cluster_template(struct check *c, const struct json *in, struct json *out);
void validate_partial_template(struct check *c, const struct json *in, struct json *out);

#endif
