/* SPDX-License-Identifier: Apache-2.0 */
/*
 * validate - turns a document from an administrator into the stored form: only known fields,
 * defaults filled in, and every refusal naming the field. The document has passed its schema
 * (common/operation); this module checks what a schema cannot express. Pure; any thread.
 */
#ifndef LOOM_API_VALIDATE_H
#define LOOM_API_VALIDATE_H

#include "common/json/json.h"
#include "common/model/catalog/entity.h"
#include "common/operation/schemas.h"

const struct schema *validate_schema(enum entity_kind k);

/* 0 with *ret owned, or 400 with err ("constraints.size.min must be at least 1"). */
LOOM_MUST_CHECK int validate_entity(enum entity_kind k, const struct json *in, struct json **ret,
                                    struct loom_err *err);

/* Bytes of JSON. The configuration is sent with each task of each node, so it costs many times
 * that. */
#define VALIDATE_CONFIG_MAX   (256u << 10)
#define VALIDATE_DOCUMENT_MAX (512u << 10)

/* 0, or 400 with err when a new cluster's configuration (NULL: none) is too large or has malformed
 * macros, which would fail its tasks after its nodes were created; where names it. */
LOOM_MUST_CHECK int validate_config(const struct json *config, const char *where,
                                    struct loom_err *err);

#define VALIDATE_LEASE_MAX SCHEMA_LEASE_MAX

/* A DNS suffix: at most 191 characters, labels of letters, digits and '-', last one alphanumeric.
 */
bool validate_dns_suffix(const char *s);

#endif
