/* SPDX-License-Identifier: Apache-2.0 */
/*
 * labels - marks that users put on their clusters: a map from key to value, as in Kubernetes.
 *
 * A key is a name, or a DNS name, a slash and a name: "env", "example.com/team". A name has 1 to 63
 * characters: letters, digits, '-', '_' and '.', the first and the last a letter or a digit. A
 * value is empty or as a name. A cluster has at most LABELS_MAX of them. Pure; any thread.
 */
#ifndef LOOM_MODEL_LABELS_H
#define LOOM_MODEL_LABELS_H

#include "common/base/err.h"
#include "common/json/json.h"

#define LABELS_MAX 64

/* NULL and null mean no labels. 0, or 400 with err: which key is wrong, and what would be right. */
LOOM_MUST_CHECK int labels_check(const struct json *labels, struct loom_err *err);

/* The labels after a change: a key with a value is set, one with null is removed, others stay.
 * *ret is owned. 0, or 400 with err. */
LOOM_MUST_CHECK int labels_merge(const struct json *labels, const struct json *change,
                                 struct json **ret, struct loom_err *err);

/* Adds "key=value" to an object; 0, or 400 with err. */
LOOM_MUST_CHECK int labels_add(struct json *labels, const char *text, struct loom_err *err);

#endif
