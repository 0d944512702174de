/* SPDX-License-Identifier: Apache-2.0 */
/* Seals and opens the password with which one logs in to a machine. */
#include "common/model/keys/machine_secret.h"

#include "common/base/log.h"
#include "common/base/str.h"
#include "common/model/cluster/cluster.h"
#include "common/model/keys/secret.h"

#include <sodium.h>
#include <string.h>

#define AUTH     "ssh-auth"
#define PASSWORD "password"
#define USE      "machines"

static char *owner_of(const struct machine_of *of)
{
	return loom_asprintf("machine\n%s\n%s", of->tenant, of->node);
}

/* A copy with this password, which it takes. */
static struct json *with(const struct json *results, struct json *password)
{
	struct json *copy = json_copy(results);
	json_set(json_get(copy, AUTH), PASSWORD, password);
	return copy;
}

int machine_secret_seal(const struct machine_of *of, const struct json *results, struct json **ret,
                        struct loom_err *err)
{
	const char *password = json_get_str(json_get(results, AUTH), PASSWORD);
	struct keyring_key key;
	if (str_blank(password))
		return 0;
	int rc = keyring_current(of->ring, of->db, of->tenant, USE, &key, err);
	if (rc)
		return rc;
	if (!key.direct) { /* older services would pass it on to workers as it is stored */
		LOOM_CLEANUP_STR char *owner = owner_of(of);
		LOOM_CLEANUP_STR char *sealed = seal_text(&key.key, owner, password);
		*ret = with(results, secret_sealed(sealed, key.id));
	}
	seal_key_fini(&key.key);
	return 0;
}

int machine_secret_open(const struct machine_of *of, const struct json *results, struct json **ret,
                        struct loom_err *err)
{
	const struct json *kept = json_get(json_get(results, AUTH), PASSWORD);
	struct seal_key key;
	const char *id, *sealed;
	if (!secret_is_sealed(kept, &id, &sealed))
		return 0;
	int rc = keyring_find(of->ring, of->db, USE, id, &key, err);
	LOOM_CLEANUP_STR char *owner = owner_of(of);
	char *open = rc ? NULL : seal_open(&key, owner, sealed);
	if (!rc && !open)
		rc = err_set(err, 500, "it is not what key %.16s sealed for it", id);
	if (rc)
		return rc == 500 ? err_set(err, rc,
		                           "the password of machine %.64s cannot be opened: %s",
		                           of->node, err->msg)
		                 : rc;
	seal_key_fini(&key);
	loom_assert(open);
	*ret = with(results, json_new_str(open));
	sodium_memzero(open, strlen(open));
	loom_free(open);
	return 0;
}

/* ---- other keys ------------------------------------------------------------------------------ */

/* Nodes whose results have something sealed, but not with their tenant's present key k. */
#define STALE                                                    \
	" n.results LIKE '%\"$sealed\"%' AND n.results NOT LIKE" \
	" CONCAT('%\"', k.id, '\"%')"

static int renew(const struct machine_of *of, const struct json *results, bool *changed)
{
	LOOM_CLEANUP(json_free) struct json *open = NULL, *sealed = NULL;
	struct loom_err err = { 0 };
	int rc = machine_secret_open(of, results, &open, &err);
	if (!rc && open)
		rc = machine_secret_seal(of, open, &sealed, &err);
	LOOM_CLEANUP_STR char *text = !rc && sealed ? json_text(sealed) : NULL;
	if (err_is_refusal(rc))
		log_debug("a password was not sealed anew", LOG_S("reason", err.msg));
	if (!text)
		return err_is_refusal(rc) ? 0 : rc;
	*changed = true;
	return db_exec(of->db, "UPDATE node SET results=? WHERE id=?", "ss", text, of->node);
}

static int renew_all(struct db *db, struct keyring *ring, struct cluster *c)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	bool changed = false;
	int rc = db_select(db, &r,
	                   "SELECT n.id, n.results FROM node n JOIN data_key k ON k.own=?"
	                   " WHERE n.cluster_id=? AND" STALE,
	                   "si", c->tenant_id, c->id);
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		const struct machine_of of = { ring, db, c->tenant_id, db_str(r, i, 0) };
		LOOM_CLEANUP(json_free) struct json *results = row_json_at(r, i, 1);
		rc = renew(&of, results, &changed);
	}
	if (rc || !changed)
		return rc;
	cluster_event(c, "cluster",
	              json_set_str(json_new_obj(), "status", cluster_status_name(c->status)),
	              c->now);
	return cluster_save(db, c);
}

int machine_secrets_renew(struct db *db, struct keyring *ring, int64_t *after, int64_t *ret)
{
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	int64_t id = 0;
	bool found;
	int rc =
		db_select_int(db, &id, &found,
	                      "SELECT n.cluster_id FROM node n JOIN cluster c ON c.id=n.cluster_id"
	                      " JOIN data_key k ON k.own=c.tenant_id WHERE n.cluster_id>? AND" STALE
	                      " ORDER BY n.cluster_id LIMIT 1",
	                      "i", *after);
	*ret = !rc && found;
	if (!*ret)
		return rc;
	*after = id;
	rc = cluster_lock(db, id, &c);
	return rc ? rc == CLUSTER_E_NONE ? 0 : rc : renew_all(db, ring, c);
}
