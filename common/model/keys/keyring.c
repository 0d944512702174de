/* SPDX-License-Identifier: Apache-2.0 */
/* keyring - finds keys: master keys in files, data keys in the database, and remembers them. */
#include "common/model/keys/keyring.h"

#include "common/base/clock.h"
#include "common/base/lru.h"
#include "common/base/str.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	REMEMBERED = 65536, /* data keys; hardly more tenants have secrets */
	LOOK_MS = 1000,     /* a file that lacks a key is read again at most this often */
};
#define WRAP_USE "data keys"

struct keyring {
	char *file, *cluster_file;
	struct db_pool *db;
	unsigned char cluster[SEAL_KEY];
	bool has_cluster;
	pthread_mutex_t lock; /* protects everything below */
	struct seal_key masters[KEYRING_MASTERS + 1];
	size_t n, of_file; /* the file's keys first, then the cluster's key */
	int64_t looked;
	struct lru *data; /* struct seal_key, by name */
};

#define KEY(...) CONFIG_KEY(struct keyring_config, __VA_ARGS__)
const struct config_key keyring_config_keys[] = {
	KEY(master_key_file, CFG_STR, "", 0, 0,
	    "file of keys that seal the tenants' keys, newest first, each a line of 64 hex digits; "
	    "empty: use the cluster's key"),
	{ 0 },
};

static void wipe(void *key)
{
	sodium_memzero(key, sizeof(struct seal_key));
	loom_free(key);
}

/* ---- master keys ----------------------------------------------------------------------------- */

static int read_masters(struct keyring *r, struct loom_err *err)
{
	unsigned char keys[KEYRING_MASTERS][SEAL_KEY];
	size_t n = 0;
	int rc = str_blank(r->file) ? 0
	                            : seal_keys_read("master_key_file", r->file, keys,
	                                             KEYRING_MASTERS, &n, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++) {
		r->masters[i].known = true;
		memcpy(r->masters[i].bytes, keys[i], SEAL_KEY);
	}
	sodium_memzero(keys, sizeof(keys));
	r->of_file = n;
	if (r->has_cluster) {
		r->masters[n].known = true;
		memcpy(r->masters[n++].bytes, r->cluster, SEAL_KEY);
	}
	r->n = n;
	return 0;
}

int keyring_create(const struct keyring_config *cfg, const char *cluster_key_file,
                   struct db_pool *db, struct keyring **ret, struct loom_err *err)
{
	LOOM_CLEANUP(keyring_destroy) struct keyring *r = loom_calloc(1, sizeof(*r));
	r->file = loom_strdup(cfg->master_key_file ? cfg->master_key_file : "");
	r->cluster_file = loom_strdup(cluster_key_file ? cluster_key_file : "");
	r->db = db;
	r->data = lru_create(REMEMBERED, SIZE_MAX, wipe);
	pthread_mutex_init(&r->lock, NULL);
	r->has_cluster = !str_blank(cluster_key_file);
	int rc = r->has_cluster ? seal_file_read(cluster_key_file, r->cluster, err) : 0;
	if (!rc)
		rc = read_masters(r, err);
	if (!rc)
		*ret = loom_take(r);
	return rc;
}

void keyring_destroy(struct keyring *r)
{
	if (!r)
		return;
	lru_destroy(r->data);
	pthread_mutex_destroy(&r->lock);
	loom_free(r->file);
	loom_free(r->cluster_file);
	sodium_memzero(r, sizeof(*r));
	loom_free(r);
}

bool keyring_known(const struct keyring *r)
{
	return r->has_cluster;
}

static bool find_master(const struct keyring *r, const char *id, struct seal_key *ret)
{
	char name[SEAL_KEY_NAME];
	for (size_t i = 0; i < r->n; i++) {
		seal_key_name(&r->masters[i], name);
		if (!str_eq(name, id))
			continue;
		*ret = r->masters[i];
		return true;
	}
	return false;
}

/* Reads the file again for a missing key. A file that has become invalid changes nothing. */
static bool master(struct keyring *r, const char *id, struct seal_key *ret)
{
	pthread_mutex_lock(&r->lock);
	bool found = find_master(r, id, ret);
	int64_t now = clock_mono_ms();
	if (!found && (!r->looked || now - r->looked >= LOOK_MS)) {
		struct loom_err err;
		r->looked = now;
		found = !read_masters(r, &err) && find_master(r, id, ret);
	}
	pthread_mutex_unlock(&r->lock);
	return found;
}

bool keyring_master(struct keyring *r, size_t n, char ret[SEAL_KEY_NAME], bool *ret_of_file)
{
	pthread_mutex_lock(&r->lock);
	bool there = n < r->n;
	if (there)
		seal_key_name(&r->masters[n], ret);
	*ret_of_file = n < r->of_file;
	pthread_mutex_unlock(&r->lock);
	return there;
}

/* The name that a wrapped key is bound to. */
static char *owner_of(const char *tenant)
{
	return loom_asprintf("data key\n%s", tenant);
}

char *keyring_wrap(struct keyring *r, const char *tenant, const struct seal_key *key,
                   char ret_master[SEAL_KEY_NAME])
{
	struct seal_key wrap, root;
	char hex[2 * SEAL_KEY + 1];
	struct loom_err err;
	pthread_mutex_lock(&r->lock);
	(void)read_masters(r, &err); /* a file that has become invalid changes nothing */
	loom_assert(r->n);
	root = r->masters[0];
	pthread_mutex_unlock(&r->lock);
	seal_key_name(&root, ret_master);
	seal_key_derive(root.bytes, WRAP_USE, &wrap);
	sodium_bin2hex(hex, sizeof(hex), key->bytes, SEAL_KEY);
	LOOM_CLEANUP_STR char *owner = owner_of(tenant);
	char *sealed = seal_text(&wrap, owner, hex);
	sodium_memzero(hex, sizeof(hex));
	seal_key_fini(&wrap);
	seal_key_fini(&root);
	return sealed;
}

bool keyring_unwrap(struct keyring *r, const char *tenant, const char *master_id,
                    const char *sealed, struct seal_key *ret, struct loom_err *err)
{
	struct seal_key root, wrap;
	size_t len = 0;
	if (!master(r, master_id, &root)) {
		(void)err_set(
			err, 500, "its key is sealed with master key %.16s, which is not in %s %s",
			master_id, str_blank(r->file) ? "cluster_key_file" : "master_key_file",
			str_blank(r->file) ? r->cluster_file : r->file);
		return false;
	}
	seal_key_derive(root.bytes, WRAP_USE, &wrap);
	seal_key_fini(&root);
	LOOM_CLEANUP_STR char *owner = owner_of(tenant);
	char *hex = seal_open(&wrap, owner, sealed);
	seal_key_fini(&wrap);
	ret->known = hex &&
	             !sodium_hex2bin(ret->bytes, SEAL_KEY, hex, strlen(hex), NULL, &len, NULL) &&
	             len == SEAL_KEY;
	if (hex)
		sodium_memzero(hex, strlen(hex));
	loom_free(hex);
	if (!ret->known)
		(void)err_set(err, 500,
		              "its key is not what master key %.16s sealed for tenant %.64s",
		              master_id, tenant);
	return ret->known;
}

/* ---- data keys ------------------------------------------------------------------------------- */

static int64_t number_of(const char *id)
{
	return (int64_t)strtoull(id, NULL, 16);
}

static bool recall(struct keyring *r, const char *id, struct seal_key *ret)
{
	if (strlen(id) != SEAL_KEY_NAME - 1) /* a foreign key's name may have the same number */
		return false;
	pthread_mutex_lock(&r->lock);
	const struct seal_key *k = lru_get(r->data, number_of(id), 0);
	if (k)
		*ret = *k;
	pthread_mutex_unlock(&r->lock);
	return k;
}

/* Accepts only a key whose hash matches its name, so an uncommitted one does no harm. */
static bool unwrap_row(struct keyring *r, const struct db_result *row, const char *id,
                       struct seal_key *ret, struct loom_err *err)
{
	char name[SEAL_KEY_NAME];
	if (!keyring_unwrap(r, db_str(row, 0, 1), db_str(row, 0, 2), db_str(row, 0, 3), ret, err))
		return false;
	seal_key_name(ret, name);
	if (!str_eq(name, id)) {
		(void)err_set(err, 500, "its key is not the one that is named %.16s", id);
		return false;
	}
	struct seal_key *kept = loom_malloc(sizeof(*kept));
	*kept = *ret;
	pthread_mutex_lock(&r->lock);
	lru_put(r->data, number_of(id), 0, kept, 1);
	pthread_mutex_unlock(&r->lock);
	return true;
}

/* Reads one row of data_key: by name, or a tenant's present one. */
struct row_call {
	const char *id, *tenant;
	struct db_result *r;
};

static int row_read(struct db *db, void *arg)
{
	struct row_call *k = arg;
	db_result_free(k->r);
	k->r = NULL;
	return k->id ? db_select(db, &k->r,
	                         "SELECT id, tenant_id, master, sealed FROM data_key WHERE id=?",
	                         "s", k->id)
	             : db_select(db, &k->r,
	                         "SELECT id, tenant_id, master, sealed FROM data_key WHERE own=?",
	                         "s", k->tenant);
}

static int read_row(const struct keyring *r, struct db *db, struct row_call *k)
{
	if (db)
		return row_read(db, k);
	return r->db ? db_read(r->db, row_read, k) : 0;
}

void keyring_direct(const struct keyring *r, const char *use, struct keyring_key *ret)
{
	*ret = (struct keyring_key){ .direct = true };
	if (!r->has_cluster)
		return;
	seal_key_derive(r->cluster, use, &ret->key);
	seal_key_name(&ret->key, ret->id);
}

int keyring_current(struct keyring *r, struct db *db, const char *tenant, const char *use,
                    struct keyring_key *ret, struct loom_err *err)
{
	struct row_call k = { .tenant = tenant };
	struct seal_key data;
	int rc = read_row(r, db, &k);
	if (!rc && k.r && db_rows(k.r)) {
		const char *id = db_str(k.r, 0, 0);
		*ret = (struct keyring_key){ 0 };
		(void)snprintf(ret->id, sizeof(ret->id), "%s", id);
		if (!recall(r, id, &data) && !unwrap_row(r, k.r, id, &data, err))
			rc = err_set(err, 500, "secrets of tenant %.64s cannot be sealed: %s",
			             tenant, err->msg);
		else
			seal_key_derive(data.bytes, use, &ret->key);
		seal_key_fini(&data);
	} else if (!rc) {
		keyring_direct(r, use, ret);
	}
	db_result_free(k.r);
	return rc;
}

static int find_data(struct keyring *r, struct db *db, const char *id, const char *own,
                     struct seal_key *ret, struct loom_err *err)
{
	struct row_call k = { .id = id };
	if (recall(r, id, ret))
		return 0;
	int rc = read_row(r, db, &k);
	if (!rc && (!k.r || !db_rows(k.r)))
		rc = err_set(
			err, 500,
			"it is sealed with key %.16s, which is none of this database, and this "
			"server's own is %s",
			id, own);
	else if (!rc && !unwrap_row(r, k.r, id, ret, err))
		rc = 500;
	db_result_free(k.r);
	return rc;
}

int keyring_find(struct keyring *r, struct db *db, const char *use, const char *id,
                 struct seal_key *ret, struct loom_err *err)
{
	struct keyring_key direct;
	struct seal_key data;
	keyring_direct(r, use, &direct);
	bool is_direct = direct.key.known && str_eq(direct.id, id);
	int rc = is_direct ? 0 : find_data(r, db, id, direct.id, &data, err);
	if (is_direct) {
		*ret = direct.key;
	} else if (!rc) {
		seal_key_derive(data.bytes, use, ret);
		seal_key_fini(&data);
	}
	seal_key_fini(&direct.key);
	return rc;
}

/* ---- texts ----------------------------------------------------------------------------------- */

char *keyring_seal(const struct keyring_key *k, const char *belongs_to, const char *text)
{
	char *sealed = seal_text(&k->key, belongs_to, text);
	if (!sealed || k->direct)
		return sealed;
	LOOM_CLEANUP_STR char *bare = sealed;
	return loom_asprintf("%s:%s", k->id, bare);
}

int keyring_open(struct keyring *r, struct db *db, const struct keyring_of *of, const char *sealed,
                 char **ret, struct loom_err *err)
{
	struct keyring_key direct;
	struct seal_key key;
	char id[SEAL_KEY_NAME];
	bool named = strcspn(sealed, ":") == SEAL_KEY_NAME - 1 && sealed[SEAL_KEY_NAME - 1];
	keyring_direct(r, of->use, &direct);
	(void)snprintf(id, sizeof(id), "%.16s", named ? sealed : direct.id);
	seal_key_fini(&direct.key);
	int rc = keyring_find(r, db, of->use, id, &key, err);
	if (rc)
		return rc;
	char *text = seal_open(&key, of->belongs_to, sealed + (named ? SEAL_KEY_NAME : 0));
	seal_key_fini(&key);
	if (!text)
		return err_set(err, 500, "it is not what key %.16s sealed for it", id);
	*ret = text;
	return 0;
}
