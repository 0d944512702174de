/* SPDX-License-Identifier: Apache-2.0 */
/* Rotates keys: seals them, and what they seal, anew, a few rows per transaction. */
#include "services/api/catalog/rotate.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/model/keys/census.h"
#include "common/model/keys/data_key.h"
#include "common/model/keys/sealing.h"
#include "services/api/api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	SAY_MS = 2000,
	HELD_MS = 100,      /* between looks at rows that others lock */
	HELD_MOST = 600000, /* gives up on locked rows after this */
};

struct rotation {
	struct db_pool *db;
	struct keyring *ring;
	char after[SEAL_KEY_NAME];
	int64_t n, shut, left, generation, newest, used;
	struct sealing_seen seen, next; /* next: once it is committed */
	bool more;
	struct loom_err err;
	struct json *masters;
	struct census *census;
	int64_t logged_at;
};

/* Prints progress, at most every SAY_MS. */
static void progress(struct rotation *r, const char *what, int64_t done, int64_t left)
{
	int64_t now = clock_mono_ms();
	if (now - r->logged_at < SAY_MS)
		return;
	r->logged_at = now;
	if (left)
		printf("  %s: %" PRId64 ", %" PRId64 " left\n", what, done, left);
	else
		printf("  %s: %" PRId64 "\n", what, done);
	fflush(stdout);
}

static int failed(const struct rotation *r, int rc)
{
	fprintf(stderr, "loom-api: %s (what was done stays done: run it again)\n",
	        err_is_refusal(rc) && *r->err.msg ? r->err.msg : err_name(rc));
	return EXIT_FAILURE;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static int look_tx(struct db *db, void *arg)
{
	struct rotation *r = arg;
	int rc = sealing_generation(db, &r->generation);
	if (!rc)
		rc = data_keys_newest(db, &r->used, &r->newest);
	return rc ? rc : sealing_left(db, &r->left);
}

static int rewrap_tx(struct db *db, void *arg)
{
	struct rotation *r = arg;
	char after[SEAL_KEY_NAME];
	int64_t shut = 0;
	snprintf(after, sizeof(after), "%s", r->after);
	int rc = data_keys_rewrap(db, r->ring, after, &r->n, &shut, &r->err);
	if (!rc) { /* after a lost commit reply the next run finds its rows done */
		snprintf(r->after, sizeof(r->after), "%s", after);
		r->shut += shut;
	}
	return rc;
}

static int rewrap(struct rotation *r)
{
	int64_t done = 0;
	int rc = 0;
	for (r->n = 1; !rc && r->n; done += r->n) {
		rc = db_tx(r->db, rewrap_tx, r);
		progress(r, "tenants' keys", done, 0);
	}
	if (!rc)
		printf("%" PRId64 " tenants' keys were sealed with the newest master key\n",
		       done - r->shut);
	return rc;
}

static int renew_tx(struct db *db, void *arg)
{
	struct rotation *r = arg;
	return data_keys_renew(db, r->ring, r->generation + 1, &r->n);
}

static int raise_tx(struct db *db, void *arg LOOM_UNUSED)
{
	return sealing_raise(db);
}

/* If an earlier run was interrupted, continue it: its keys exist, but not everything is sealed with
 * them yet. */
static int renew(struct rotation *r)
{
	int64_t done = 0;
	int rc = 0;
	if (r->left && r->newest == r->generation) {
		printf("tenants got new keys in an earlier run, which is continued now\n");
		return 0;
	}
	for (r->n = 1; !rc && r->n; done += r->n) {
		rc = db_tx(r->db, renew_tx, r);
		progress(r, "new keys", done, 0);
	}
	if (!rc)
		rc = db_tx(r->db, raise_tx, r);
	if (!rc)
		printf("%" PRId64 " tenants have a new key\n", done);
	return rc;
}

static int seal_tx(struct db *db, void *arg)
{
	struct rotation *r = arg;
	r->next = r->seen;
	return sealing_some(db, r->ring, &r->next, &r->n);
}

static int left_read(struct db *db, void *arg)
{
	struct rotation *r = arg;
	return sealing_left(db, &r->left);
}

/* Counting is expensive: it takes as long as much sealing. */
static int seal_once(struct rotation *r)
{
	int rc = db_tx(r->db, seal_tx, r);
	if (!rc)
		r->seen = r->next;
	bool count = !rc && (!r->n || clock_mono_ms() - r->logged_at >= SAY_MS);
	return count ? db_read(r->db, left_read, r) : rc;
}

/* The APIs seal rows, too: wait for those that they hold. */
static int reseal(struct rotation *r)
{
	int64_t done = 0, since = clock_mono_ms();
	int rc = 0;
	for (r->n = 1; !rc && (r->n || r->left);) {
		rc = seal_once(r);
		done += rc ? 0 : r->n;
		progress(r, "looked at", done, r->left);
		if (rc || r->n)
			since = clock_mono_ms();
		else if (r->left && clock_mono_ms() - since > HELD_MOST)
			rc = err_set(&r->err, 503, "%" PRId64 " rows are held by others", r->left);
		else if (r->left)
			usleep(HELD_MS * 1000);
	}
	if (!rc)
		printf("%" PRId64 " rows were looked at by this run\n", done);
	return rc;
}

/* ---- the report ------------------------------------------------------------------------------ */

static int census_tx(struct db *db, void *arg)
{
	struct rotation *r = arg;
	return census_page(db, r->census, &r->more);
}

static int prune_tx(struct db *db, void *arg)
{
	struct rotation *r = arg;
	return census_prune(db, r->census, &r->n);
}

static int masters_tx(struct db *db, void *arg)
{
	struct rotation *r = arg;
	json_free(r->masters);
	r->masters = NULL;
	return data_keys_by_master(db, &r->masters);
}

static int64_t total(const struct rotation *r, enum census_key key)
{
	int64_t n = 0;
	for (int k = 0; k < CENSUS_KINDS_; k++)
		n += census_count(r->census, key, (enum census_kind)k);
	return n;
}

static void say_records(const struct rotation *r)
{
	static const char *const by[CENSUS_KEYS_] = {
		[CENSUS_PRESENT] = "with the present keys of their tenants",
		[CENSUS_EARLIER] = "with earlier keys of their tenants",
		[CENSUS_DIRECT] = "with the cluster's key",
		[CENSUS_UNKNOWN] = "with keys that nobody has",
	};
	for (int k = 0; k < CENSUS_KEYS_; k++) {
		const char *sep = "";
		if (!total(r, (enum census_key)k))
			continue;
		printf("sealed %s: ", by[k]);
		for (int i = 0; i < CENSUS_KINDS_; i++, sep = ", ")
			printf("%s%" PRId64 " %s", sep,
			       census_count(r->census, (enum census_key)k, (enum census_kind)i),
			       census_kinds[i]);
		printf("\n");
	}
	if (census_stray(r->census))
		fprintf(stderr, "loom-api: %s, which neither the database nor this server has\n",
		        census_stray(r->census));
	if (census_count(r->census, CENSUS_EARLIER, CENSUS_ANSWERS))
		printf("answers to requests with keys go by themselves, after request_keys_ms\n");
}

static int64_t keys_of(const struct rotation *r, const char *master)
{
	for (size_t i = 0; i < json_len(r->masters); i++) {
		if (str_eq(json_get_str(json_at(r->masters, i), "master"), master))
			return json_get_int(json_at(r->masters, i), "keys", 0);
	}
	return 0;
}

/* Reports the older master keys, and whether they are still needed. */
static void say_masters(const struct rotation *r, const char *file)
{
	char id[SEAL_KEY_NAME];
	bool of_file;
	for (size_t i = 0; keyring_master(r->ring, i, id, &of_file); i++) {
		int64_t n = keys_of(r, id), direct = of_file ? 0 : total(r, CENSUS_DIRECT);
		const char *what = of_file ? "master key" : "the cluster's key, as a master key,";
		printf("%s %s seals %" PRId64 " tenants' keys", what, id, n);
		if (i && !n && of_file)
			printf(": it can be taken out of %s\n", file);
		else if (i && !n && !direct)
			printf(", and nothing else of the database\n");
		else
			printf("%s\n", i ? " still, and has to stay" : "");
	}
}

/* True if a key is missing from all files here. */
static bool say_strangers(const struct rotation *r)
{
	char id[SEAL_KEY_NAME];
	bool of_file, any = false;
	for (size_t k = 0; k < json_len(r->masters); k++) {
		const struct json *one = json_at(r->masters, k);
		const char *master = json_get_str(one, "master");
		size_t i = 0;
		while (keyring_master(r->ring, i, id, &of_file) && !str_eq(id, master))
			i++;
		if (keyring_master(r->ring, i, id, &of_file))
			continue;
		any = true;
		fprintf(stderr,
		        "loom-api: %" PRId64
		        " tenants' keys are sealed with master key %s, which is in no "
		        "file of this server: put it back into master_key_file\n",
		        json_get_int(one, "keys", 0), master);
	}
	return any;
}

static int report(struct rotation *r, const char *file, int *ret_exit)
{
	int rc = 0;
	r->census = census_create(r->ring);
	for (r->more = true; !rc && r->more;)
		rc = db_read(r->db, census_tx, r);
	if (!rc)
		rc = db_tx(r->db, prune_tx, r);
	if (!rc)
		rc = db_read(r->db, masters_tx, r);
	if (rc)
		return rc;
	say_records(r);
	if (r->n)
		printf("%" PRId64 " earlier keys sealed nothing any more, and are gone\n", r->n);
	say_masters(r, file);
	bool stranger = say_strangers(r);
	*ret_exit = stranger || census_stray(r->census) ? EXIT_FAILURE : EXIT_SUCCESS;
	return 0;
}

static int rotate(struct rotation *r, const struct api *a, bool data, int *ret_exit)
{
	int rc = db_pool_create(&a->cfg.db, &r->db, &r->err);
	if (!rc)
		rc = keyring_create(&a->cfg.keys, a->cfg.bus.key_file, r->db, &r->ring, &r->err);
	if (!rc)
		rc = db_read(r->db, look_tx, r);
	if (!rc && !r->used)
		rc = err_set(&r->err, 409,
		             "tenants have no keys yet: they get them once each scheduler and API "
		             "that runs is of a version that knows them");
	if (!rc)
		rc = rewrap(r);
	if (!rc && data)
		rc = renew(r);
	if (!rc)
		rc = reseal(r);
	return rc ? rc : report(r, a->cfg.keys.master_key_file, ret_exit);
}

int rotate_keys(void *ctx, const char *value)
{
	struct rotation r = { 0 };
	int code = EXIT_SUCCESS;
	if (*value && !str_eq(value, "data")) {
		fprintf(stderr, "loom-api: --rotate-keys=%s: only data is known\n", value);
		return 64;
	}
	int rc = rotate(&r, ctx, *value, &code);
	if (rc)
		code = failed(&r, rc);
	json_free(r.masters);
	census_destroy(r.census);
	keyring_destroy(r.ring);
	db_pool_destroy(r.db);
	return code;
}
