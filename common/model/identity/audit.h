/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit - the log of who did what: each change and each refusal is a row that is never changed.
 *
 * A change's transaction adds its row to audit_new, where writers do not wait for each other.
 * Moments later audit_seal() moves new rows to `audit`, in one transaction under one lock, and
 * gives each a number, the hash of the row before, and its own hash over that and its content. So
 * the log is one chain, and no change waits for another because of it; rows not moved yet are not
 * sealed yet. A row is found by its id, so a transaction that runs twice leaves one.
 *
 * Old rows are dropped from the start of the chain; the same transaction appends a row with the
 * last dropped number and its hash. With the cluster's key each row also has a seal: write access
 * to the database alone is not enough to forge a chain.
 *
 * Inside db_tx() or db_read(), except functions without a db argument. 0 or a DB_E_ code.
 */
#ifndef LOOM_MODEL_AUDIT_H
#define LOOM_MODEL_AUDIT_H

#include "common/base/seal.h"
#include "common/db/db.h"
#include "common/json/json.h"
#include "common/model/list_part.h"

#define AUDIT_ID      33 /* including the NUL */
#define AUDIT_HASH    65
#define AUDIT_DOC_MAX ((size_t)32 << 10) /* of a document; of a longer one only size and hash */
#define AUDIT_USE     "audit"            /* use that its key is derived for */
#define AUDIT_MASK    "********"

/* Texts are borrowed, and UTF-8; only the two documents may be NULL. */
struct audit_row {
	char id[AUDIT_ID];
	/* tenant: in which the user acted; home: his own; token: id of the token shown, "" for
	 * none. */
	const char *tenant, *home, *user, *token, *role;
	const char *peer, *request; /* peer: client address; request: its id */
	const char *action;         /* "PUT /v2/providers/{name}" */
	const char *object;         /* "providers/lab", "clusters/00000012" */
	int64_t status; /* of the answer; AUDIT_ASKED: a scheduler was asked, see there */
	int64_t count;  /* equal refusals that the row stands for */
	const char *before, *after; /* JSON, from audit_text(); NULL: not recorded */
};

/* A scheduler was asked to make the change; the result was not known when the row was written. */
#define AUDIT_ASKED 202

/* Starts with the time, so that rows are inserted in order. */
void audit_id(char ret[AUDIT_ID]);
/* A document with likely secrets masked, at most AUDIT_DOC_MAX bytes; a longer one is replaced by
 * its length and hash. Returns owned; NULL for NULL. */
char *audit_text(const struct json *doc);

LOOM_MUST_CHECK int audit_add(struct db *db, const struct audit_row *row);
/* Pending work, read by one statement. */
struct audit_due {
	bool fresh;          /* there are rows not in the chain yet */
	int64_t now, oldest; /* epoch ms; oldest: of the chain's first row, 0: none */
};
LOOM_MUST_CHECK int audit_look(struct db *db, struct audit_due *ret);
/* Moves some new rows into the chain; *ret: how many. */
LOOM_MUST_CHECK int audit_seal(struct db *db, const struct seal_key *key, int64_t *ret);
/* Drops some rows older than a time (epoch ms), *ret: how many. A few old rows stay until there are
 * more, or they are a day older. */
LOOM_MUST_CHECK int audit_expire(struct db *db, const struct seal_key *key, int64_t before,
                                 int64_t *ret);

/* NULL and 0 mean any; `action` is a prefix. */
struct audit_filter {
	const char *tenant, *user, *action, *object, *request;
	int64_t since, until; /* epoch ms: from, and before */
	int64_t refused;      /* 1: only refusals, -1: only changes; 0: any */
};
/* Newest first, in the form shown: [{"seq", "id", "time", ...}]; owned. part->after is a place. */
LOOM_MUST_CHECK int audit_list(struct db *db, const struct audit_filter *f,
                               const struct list_part *part, struct json **ret);
/* Parses "1700000000000.17": time and number of a row. */
LOOM_MUST_CHECK bool audit_place_parse(const char *text, int64_t *ret_time, int64_t *ret_seq);
/* A number that is another one when a row has come; tenant NULL: any tenant's. */
LOOM_MUST_CHECK int audit_tally(struct db *db, const char *tenant, int64_t *ret);

struct audit_check {
	int64_t rows, first, last; /* checked by this call */
	bool more;                 /* there are rows after `last` */
	char hash[AUDIT_HASH];     /* of the last row */
	int64_t other_keys;        /* rows sealed with another key, whose seal was not checked */
	int64_t broken;            /* the first wrong row; 0: none */
	char why[200];
};
/* Checks some rows after a number; continues in *c, which must be zero at first. */
LOOM_MUST_CHECK int audit_verify(struct db *db, const struct seal_key *key, struct audit_check *c);
/* Does the row have this hash? For hashes that somebody noted elsewhere. */
LOOM_MUST_CHECK int audit_holds(struct db *db, int64_t seq, const char *hash, bool *ret);

#endif
