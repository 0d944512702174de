/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the tenants' keys, and seals them anew. */
#include "common/model/keys/data_key.h"

#include "common/model/keys/sealing.h"

#include <sodium.h>
#include <stdio.h>

enum { AT_ONCE = 50 }; /* rows per transaction, to keep locks short */

#define NOW "CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)"

/* A key that somebody else has added meanwhile stays. */
static int add(struct db *db, struct keyring *ring, const char *tenant, int64_t generation)
{
	struct seal_key key = { .known = true };
	char id[SEAL_KEY_NAME], master[SEAL_KEY_NAME];
	randombytes_buf(key.bytes, sizeof(key.bytes));
	seal_key_name(&key, id);
	LOOM_CLEANUP_STR char *sealed = keyring_wrap(ring, tenant, &key, master);
	seal_key_fini(&key);
	return db_exec(db,
	               "INSERT IGNORE INTO data_key"
	               " (id, tenant_id, own, master, sealed, generation, create_time)"
	               " VALUES (?,?,?,?,?,?," NOW ")",
	               "sssssi", id, tenant, tenant, master, sealed, generation);
}

/* Makes older services stop, and prevents their start. */
static int shut_out(struct db *db)
{
	return db_exec(db, "UPDATE schema_migrations SET oldest=? WHERE version=? AND oldest<?",
	               "iii", (int64_t)DATA_KEY_SCHEMA, (int64_t)DATA_KEY_SCHEMA,
	               (int64_t)DATA_KEY_SCHEMA);
}

int data_keys_add(struct db *db, struct keyring *ring, int64_t *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int64_t generation = 0;
	int rc = sealing_generation(db, &generation);
	*ret = 0;
	if (!rc)
		rc = db_select(db, &r,
		               "SELECT t.id FROM tenant t LEFT JOIN data_key k ON k.own=t.id"
		               " WHERE k.id IS NULL LIMIT ?",
		               "i", (int64_t)AT_ONCE);
	if (rc || !db_rows(r))
		return rc;
	rc = shut_out(db);
	for (size_t i = 0; !rc && i < db_rows(r); i++)
		rc = add(db, ring, db_str(r, i, 0), generation);
	*ret = (int64_t)db_rows(r);
	return rc ? rc : sealing_raise(db);
}

int data_key_add_own(struct db *db, struct keyring *ring, const char *tenant)
{
	int64_t one = 0, generation = 0;
	bool used = false;
	int rc = db_select_int(db, &one, &used, "SELECT 1 FROM data_key LIMIT 1", "");
	if (!rc && used)
		rc = sealing_generation(db, &generation);
	return rc || !used ? rc : add(db, ring, tenant, generation);
}

static int rewrap(struct db *db, struct keyring *ring, const struct db_result *r, size_t i,
                  int64_t *shut, struct loom_err *err)
{
	struct seal_key key;
	char master[SEAL_KEY_NAME];
	const char *tenant = db_str(r, i, 1);
	if (!keyring_unwrap(ring, tenant, db_str(r, i, 2), db_str(r, i, 3), &key, err)) {
		(*shut)++;
		return 0;
	}
	LOOM_CLEANUP_STR char *sealed = keyring_wrap(ring, tenant, &key, master);
	seal_key_fini(&key);
	return db_exec(db, "UPDATE data_key SET master=?, sealed=? WHERE id=?", "sss", master,
	               sealed, db_str(r, i, 0));
}

int data_keys_rewrap(struct db *db, struct keyring *ring, char after[SEAL_KEY_NAME], int64_t *ret,
                     int64_t *shut, struct loom_err *err)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	char newest[SEAL_KEY_NAME];
	bool of_file;
	*ret = 0;
	if (!keyring_master(ring, 0, newest, &of_file))
		return err_set(err, 500, "there is no master key");
	int rc = db_select(db, &r,
	                   "SELECT id, tenant_id, master, sealed FROM data_key"
	                   " WHERE id>? AND master<>? ORDER BY id LIMIT ? FOR UPDATE",
	                   "ssi", after, newest, (int64_t)AT_ONCE);
	for (size_t i = 0; !rc && i < db_rows(r); i++)
		rc = rewrap(db, ring, r, i, shut, err);
	if (rc || !db_rows(r))
		return rc;
	*ret = (int64_t)db_rows(r);
	snprintf(after, SEAL_KEY_NAME, "%s", db_str(r, db_rows(r) - 1, 0));
	return 0;
}

int data_keys_renew(struct db *db, struct keyring *ring, int64_t generation, int64_t *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT id, own FROM data_key WHERE own IS NOT NULL AND generation<?"
	                   " LIMIT ? FOR UPDATE",
	                   "ii", generation, (int64_t)AT_ONCE);
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		rc = db_exec(db, "UPDATE data_key SET own=NULL, retire_time=" NOW " WHERE id=?",
		             "s", db_str(r, i, 0));
		if (!rc)
			rc = add(db, ring, db_str(r, i, 1), generation);
	}
	*ret = rc ? 0 : (int64_t)db_rows(r);
	return rc;
}

int data_keys_newest(struct db *db, int64_t *ret, int64_t *ret_generation)
{
	int rc = db_select_int(db, ret, NULL, "SELECT COUNT(*) FROM data_key", "");
	return rc ? rc
	          : db_select_int(db, ret_generation, NULL,
	                          "SELECT COALESCE(MIN(generation), 0) FROM data_key"
	                          " WHERE own IS NOT NULL",
	                          "");
}

int data_keys_by_master(struct db *db, struct json **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT master, COUNT(*) FROM data_key GROUP BY master ORDER BY master",
	                   "");
	*ret = json_new_arr();
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		struct json *one = json_set_str(json_new_obj(), "master", db_str(r, i, 0));
		json_push(*ret, json_set_int(one, "keys", db_int(r, i, 1)));
	}
	return rc;
}
