/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entity - versioned documents of a tenant: providers, hardware and image types, services,
 * templates, plug-in types. Nothing is overwritten: a write is version max + 1 (REST spec 3.1).
 * Documents are given without `version`; loading sets it. Inside db_tx() or db_read().
 */
#ifndef LOOM_MODEL_ENTITY_H
#define LOOM_MODEL_ENTITY_H

#include "common/db/db.h"
#include "common/json/json.h"
#include "common/model/precondition.h"

enum entity_kind {
	ENTITY_PROVIDER,
	ENTITY_HARDWARETYPE,
	ENTITY_IMAGETYPE,
	ENTITY_SERVICE,
	ENTITY_CLUSTERTEMPLATE,
	ENTITY_PARTIALTEMPLATE,
	ENTITY_PROVIDERTYPE, /* plug-in types live in the superadmin tenant */
	ENTITY_AUTOMATORTYPE,
	ENTITY_KINDS_
};

#define ENTITY_TENANT_KINDS (ENTITY_PARTIALTEMPLATE + 1) /* the first ones: each tenant's own */

#define TENANT_SUPERADMIN "superadmin"

const char *entity_collection(enum entity_kind k); /* "providers": path segment and stored kind */
const char *entity_label(enum entity_kind k);      /* "provider": for messages */

struct json *entity_brief(const struct json *doc); /* name, label, description, icon, version */

/* version 0 is the latest. ENTITY_E_NONE when there is none. */
LOOM_MUST_CHECK int entity_get(struct db *db, const char *tenant, enum entity_kind k,
                               const char *name, int64_t version, struct json **ret);
/* The same, with its tag (precondition.h). */
LOOM_MUST_CHECK int entity_read(struct db *db, const char *tenant, enum entity_kind k,
                                const char *name, int64_t version, struct json **ret,
                                char tag[TAG_MAX]);
/* The latest, locked. */
LOOM_MUST_CHECK int entity_lock(struct db *db, const char *tenant, enum entity_kind k,
                                const char *name, struct json **ret);
/* Array of the latest version of each, by name. */
LOOM_MUST_CHECK int entity_list(struct db *db, const char *tenant, enum entity_kind k,
                                struct json **ret);
/* The name is the document's. PRECONDITION_E_FAILED when p (NULL: none) is not met by the latest.
 * *written, 0 at first, keeps the version from run to run of a transaction, so that one whose
 * commit went unheard is not done twice. */
LOOM_MUST_CHECK int entity_put(struct db *db, const char *tenant, enum entity_kind k,
                               const struct json *doc, const struct precondition *p,
                               int64_t *written);
/* version 0 deletes all, and p is about the latest. Nothing there is fine, if p has it so. */
LOOM_MUST_CHECK int entity_delete(struct db *db, const char *tenant, enum entity_kind k,
                                  const char *name, int64_t version, const struct precondition *p);

/* The tenant's latest documents of all its kinds, of one moment: {"providers":[..], ..}. */
LOOM_MUST_CHECK int entity_export(struct db *db, const char *tenant, struct json **ret);
/* Deletes the tenant's documents of its first n kinds and writes these, checked before, as version
 * 1. Locks the tenant, so that of two at once one stays, whole. */
LOOM_MUST_CHECK int entity_import(struct db *db, const char *tenant, int n, const struct json *all);

#endif
