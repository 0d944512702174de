/* SPDX-License-Identifier: Apache-2.0 */
/*
 * validate - turns a document that an administrator sent into the one that is stored: only known
 * fields, defaults filled in, and every refusal naming the field. Its schema (common/operation) has
 * let it through; here is checked what a schema cannot say. Pure; any thread.
 */
#ifndef LOOM_API_VALIDATE_H
#define LOOM_API_VALIDATE_H

#include "common/json/json.h"
#include "common/model/entity.h"
#include "common/operation/schemas.h"

const struct schema *validate_schema(enum entity_kind k);

/* 0 with *ret owned, or 400 with err ("constraints.size.min must be at least 1"). */
LOOM_MUST_CHECK int validate_entity(enum entity_kind k, const struct json *in, struct json **ret,
                                    struct loom_err *err);

/* Bytes as JSON. What is in them goes out with each task of each node, so it costs many times that.
 */
#define VALIDATE_CONFIG_MAX   (256u << 10)
#define VALIDATE_DOCUMENT_MAX (512u << 10)

/* 0, or 400 with err when the configuration (NULL: none) is too large; where names it. */
LOOM_MUST_CHECK int validate_config_size(const struct json *config, const char *where,
                                         struct loom_err *err);

#define VALIDATE_LEASE_MAX SCHEMA_LEASE_MAX

/* A DNS suffix: at most 191 characters, labels of letters, digits and '-', last one alphanumeric.
 */
bool validate_dns_suffix(const char *s);

#endif
