/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit - the log of who did what: each change and each refusal is a row that is never changed.
 *
 * A change's row is written by the change's own transaction into audit_new, which has nothing that
 * two writers would wait for. Moments later audit_seal() moves what has come there, in one
 * transaction under one lock, to `audit`, and gives each row its number, the hash of the row before
 * and its own over that and all of its content. So the log is one chain, and no change waits for
 * another because of it; what is not moved yet is not sealed yet. A row is found by its id, so a
 * transaction that runs twice leaves one.
 *
 * Rows that are too old go from the chain's beginning; a row that says up to which number, and what
 * hash the last of them had, is put at its end by the same transaction. With the cluster's key each
 * row has a seal besides: who can only write to the database cannot make a chain that passes.
 *
 * Inside db_tx() or db_read(), but for those that make no mention of a database. 0 or a DB_E_ code.
 */
#ifndef LOOM_MODEL_AUDIT_H
#define LOOM_MODEL_AUDIT_H

#include "common/base/seal.h"
#include "common/db/db.h"
#include "common/json/json.h"

#define AUDIT_ID   33 /* with the NUL */
#define AUDIT_HASH 65
#define AUDIT_DOC_MAX \
	((size_t)32 << 10) /* of what was, and of what is: longer ones are summed up */
#define AUDIT_PAGE_MAX 1000
#define AUDIT_USE      "audit" /* what its key is derived for */
#define AUDIT_MASK     "********"

/* Texts are borrowed, and UTF-8; none is NULL but for the two documents. */
struct audit_row {
	char id[AUDIT_ID];
	/* In which tenant, as whom: home is the tenant that the user is of, token the id of what
	 * was shown, "" for none. */
	const char *tenant, *home, *user, *token, *role;
	const char *peer, *request; /* from which address; the request's id */
	const char *action;         /* "PUT /v2/providers/{name}" */
	const char *object;         /* "providers/lab", "clusters/00000012" */
	int64_t status; /* that was answered; AUDIT_ASKED: asked of another, see there */
	int64_t count;  /* so many of that kind, for refusals */
	const char *before, *after; /* JSON, from audit_text(); NULL: nothing to say */
};

/* A scheduler was asked to make the change: it was not known yet whether it would. */
#define AUDIT_ASKED 202

/* Begins with the time, so that rows lie as they come. */
void audit_id(char ret[AUDIT_ID]);
/* A document with what looks secret masked, in at most AUDIT_DOC_MAX bytes: of a longer one how
 * long it is and its hash. Returns owned; NULL for NULL. */
char *audit_text(const struct json *doc);

LOOM_MUST_CHECK int audit_add(struct db *db, const struct audit_row *row);
/* What there is to do, in one statement. */
struct audit_due {
	bool fresh;          /* something has come that is not in the chain */
	int64_t now, oldest; /* epoch ms; of the chain's first row, 0: there is none */
};
LOOM_MUST_CHECK int audit_look(struct db *db, struct audit_due *ret);
/* Moves some of what has come into the chain; *ret: how many. */
LOOM_MUST_CHECK int audit_seal(struct db *db, const struct seal_key *key, int64_t *ret);
/* Drops some rows of before a time (epoch ms), *ret: how many; few are left until there are more,
 * or they are a day older. */
LOOM_MUST_CHECK int audit_expire(struct db *db, const struct seal_key *key, int64_t before,
                                 int64_t *ret);

/* NULL and 0 are any; `action` is how it begins. */
struct audit_filter {
	const char *tenant, *user, *action, *object, *request;
	int64_t since, until; /* epoch ms, from and before */
	int64_t refused;      /* 1: only refusals, -1: only what was done; 0: any */
	int64_t after_time,
		after_seq; /* behind this row of a page before; after_seq 0: from the newest */
	int64_t limit;
};
/* The newest first, as they are shown: [{"seq", "id", "time", ...}]; owned. */
LOOM_MUST_CHECK int audit_list(struct db *db, const struct audit_filter *f, struct json **ret);

struct audit_check {
	int64_t rows, first, last; /* looked at now */
	bool more;                 /* there are rows behind `last` */
	char hash[AUDIT_HASH];     /* of the last */
	int64_t strange;           /* rows whose seal is of another key, and so was not checked */
	int64_t broken;            /* the first row that is wrong; 0: none is */
	char why[200];
};
/* Looks at some rows behind a number; carries on in *c, which is zero at first. */
LOOM_MUST_CHECK int audit_verify(struct db *db, const struct seal_key *key, struct audit_check *c);
/* Is that the hash of that row? For what somebody noted elsewhere. */
LOOM_MUST_CHECK int audit_holds(struct db *db, int64_t seq, const char *hash, bool *ret);

#endif
