/* SPDX-License-Identifier: Apache-2.0 */
/*
 * validate_check - reading a document field by field. What is wrong is noted with the field's path
 * ("constraints.size." + "min"); the first refusal stays, and reading goes on harmlessly. Pure.
 */
#ifndef LOOM_API_VALIDATE_CHECK_H
#define LOOM_API_VALIDATE_CHECK_H

#include "common/json/json.h"

#define UNLIMITED 2147483647

struct check {
	struct loom_err *err;
	int refused; /* 400 once something was wrong */
};

void check_refuse(struct check *c, const char *fmt, ...) LOOM_PRINTF(2, 3);
/* Refuses a key that is no field and looks like a misspelt one; others are left out of the
 * document, as the original does. */
void check_fields(struct check *c, const struct json *in, const char *path,
                  const char *const *fields, size_t n);
/* The member, when it is there and of the type; refused when it is there and is not. */
const struct json *check_member(struct check *c, const struct json *in, const char *path,
                                const char *key, enum json_type type);
/* A string, or what reads as one. */
const char *check_text(struct check *c, const struct json *in, const char *path, const char *key,
                       bool needed);
/* Returns owned: an array of strings, each once; empty when absent. */
struct json *check_names(struct check *c, const struct json *in, const char *path, const char *key,
                         bool needed);
/* A whole number from min to UNLIMITED. */
int64_t check_whole(struct check *c, const struct json *in, const char *path, const char *key,
                    int64_t def, int64_t min);
/* Returns owned: "links", [{label, url}]. */
struct json *check_links(struct check *c, const struct json *in);
/* Returns owned: "retry", {"tries": n, "base": ms, "cap": ms}; NULL when absent. */
struct json *check_retry(struct check *c, const struct json *in, const char *path);

/* validate_template.c */
void validate_cluster_template(struct check *c, const struct json *in, struct json *out);
void validate_partial_template(struct check *c, const struct json *in, struct json *out);

#endif
