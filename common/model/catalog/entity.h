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

#define ENTITY_TENANT_KINDS (ENTITY_PARTIALTEMPLATE + 1) /* each tenant has its own */

#define TENANT_SUPERADMIN "superadmin"

const char *entity_collection(enum entity_kind k); /* "providers": path segment and stored kind */
const char *entity_label(enum entity_kind k);      /* "provider": for messages */

struct json *entity_brief(const struct json *doc); /* name, label, description, icon, version */

/* Names a document; its texts are borrowed. */
struct entity_ref {
	const char *tenant;
	enum entity_kind kind;
	const char *name;
	int64_t version; /* 0: the latest */
};

/* The latest. ENTITY_E_NONE if it does not exist. */
LOOM_MUST_CHECK int entity_get(struct db *db, const char *tenant, enum entity_kind k,
                               const char *name, struct json **ret);
/* This version, with its tag (precondition.h). ENTITY_E_NONE if it does not exist. */
LOOM_MUST_CHECK int entity_read(struct db *db, const struct entity_ref *ref, struct json **ret,
                                char tag[TAG_MAX]);
/* The latest, locked. */
LOOM_MUST_CHECK int entity_lock(struct db *db, const char *tenant, enum entity_kind k,
                                const char *name, struct json **ret);
/* Array of the latest version of each, by name. */
LOOM_MUST_CHECK int entity_list(struct db *db, const char *tenant, enum entity_kind k,
                                struct json **ret);
/* Writes a new version; the document has the name. PRECONDITION_E_FAILED if the latest version does
 * not satisfy p (NULL: none). *written, 0 at first, keeps the version across runs of a transaction,
 * so that one whose commit was not confirmed is not repeated. */
LOOM_MUST_CHECK int entity_put(struct db *db, const char *tenant, enum entity_kind k,
                               const struct json *doc, const struct precondition *p,
                               int64_t *written);
/* Version 0 deletes all, and p applies to the latest. A missing document is no error, if p allows
 * it. */
LOOM_MUST_CHECK int entity_delete(struct db *db, const struct entity_ref *ref,
                                  const struct precondition *p);

/* A consistent snapshot of all the tenant's latest documents: {"providers":[..], ..}. */
LOOM_MUST_CHECK int entity_export(struct db *db, const char *tenant, struct json **ret);
/* Replaces all documents of the first n kinds by these, checked before, as version 1. Locks the
 * tenant, so that of two concurrent imports one wins completely. */
LOOM_MUST_CHECK int entity_import(struct db *db, const char *tenant, int n, const struct json *all);

#endif
