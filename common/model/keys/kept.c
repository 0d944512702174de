/* SPDX-License-Identifier: Apache-2.0 */
/* Seals whole texts: callback targets' secrets, node records, profiles. */
#include "common/model/keys/kept.h"

#include "common/base/log.h"
#include "common/base/str.h"

#include <sodium.h>
#include <string.h>

/* Joins rows of data_key k to rows that its key should seal. */
#define STALE(column)                                                                \
	" JOIN data_key k ON k.own=t.tenant_id WHERE t." column "<>'' AND t." column \
	" NOT LIKE CONCAT(k.id,':%') LIMIT 50 FOR UPDATE SKIP LOCKED"

static const struct {
	const char *use, *what; /* the use that the key is derived for; a text is bound to it and to
	                         * its place */
	bool clear;             /* stored unsealed without a data key */
	const char *stale;      /* selects tenant, name, text of some rows to seal anew */
	const char *update;     /* parameters: text, tenant, name */
} kinds[KEPT_KINDS_] = {
	[KEPT_TARGET] = { "callback targets", "callback target", false,
	                  "SELECT t.tenant_id, t.name, t.secret FROM callback_target t" STALE(
				  "secret"),
	                  "UPDATE callback_target SET secret=? WHERE tenant_id=? AND name=?" },
	[KEPT_RECORD] = { "node records", "node record", true,
	                  "SELECT t.tenant_id, t.id, t.doc FROM node_record t" STALE("doc"),
	                  "UPDATE node_record SET doc=? WHERE tenant_id=? AND id=?" },
	[KEPT_PROFILE] = { "profiles", "profile", true,
	                   "SELECT t.tenant_id, t.user, t.doc FROM profile t" STALE("doc"),
	                   "UPDATE profile SET doc=? WHERE tenant_id=? AND user=?" },
};

static char *owner_of(const struct kept_at *at)
{
	return loom_asprintf("%s\n%s\n%s", kinds[at->kind].what, at->tenant, at->name);
}

int kept_seal(const struct kept_at *at, const char *text, char **ret, struct loom_err *err)
{
	struct keyring_key key;
	int rc = keyring_current(at->ring, at->db, at->tenant, kinds[at->kind].use, &key, err);
	if (rc)
		return rc;
	LOOM_CLEANUP_STR char *owner = owner_of(at);
	*ret = key.direct && kinds[at->kind].clear ? loom_strdup(text)
	                                           : keyring_seal(&key, owner, text);
	seal_key_fini(&key.key);
	return 0;
}

int kept_open(const struct kept_at *at, const char *stored, char **ret, struct loom_err *err)
{
	if (kinds[at->kind].clear && *stored == '{') {
		*ret = loom_strdup(stored);
		return 0;
	}
	LOOM_CLEANUP_STR char *owner = owner_of(at);
	const struct keyring_of of = { kinds[at->kind].use, owner };
	int rc = keyring_open(at->ring, at->db, &of, stored, ret, err);
	return rc == 500 ? err_set(err, rc, "%s %.64s cannot be opened: %s", kinds[at->kind].what,
	                           at->name, err->msg)
	                 : rc;
}

static int renew(struct db *db, struct keyring *ring, enum kept kind, const struct db_result *r,
                 size_t i, int64_t *done)
{
	const struct kept_at at = { ring, db, kind, db_str(r, i, 0), db_str(r, i, 1) };
	struct loom_err err = { 0 };
	char *text = NULL;
	LOOM_CLEANUP_STR char *sealed = NULL;
	int rc = kept_open(&at, db_str(r, i, 2), &text, &err);
	if (!rc)
		rc = kept_seal(&at, text, &sealed, &err);
	if (!rc)
		rc = db_exec(db, kinds[kind].update, "sss", sealed, at.tenant, at.name);
	if (!rc)
		(*done)++;
	if (err_is_refusal(rc))
		log_debug("a text was not sealed anew", LOG_S("reason", err.msg));
	if (text)
		sodium_memzero(text, strlen(text));
	loom_free(text);
	return err_is_refusal(rc) ? 0 : rc;
}

int kept_renew(struct db *db, struct keyring *ring, int64_t *ret)
{
	int rc = 0;
	*ret = 0;
	for (int kind = 0; !rc && !*ret && kind < KEPT_KINDS_; kind++) {
		LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
		rc = db_select(db, &r, kinds[kind].stale, "");
		for (size_t i = 0; !rc && i < db_rows(r); i++)
			rc = renew(db, ring, (enum kept)kind, r, i, ret);
	}
	return rc;
}
