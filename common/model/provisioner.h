/* SPDX-License-Identifier: Apache-2.0 */
/* provisioner - who may take tasks, and who said so last when. Inside db_tx() or db_read(). */
#ifndef LOOM_MODEL_PROVISIONER_H
#define LOOM_MODEL_PROVISIONER_H

#include "common/base/ids.h"
#include "common/db/db.h"
#include "common/json/json.h"

/* Who asked for a tenant's tasks so long ago does not any more. */
#define PROVISIONER_SEEN_MS "120000"

/* tenant: whose it is, "" for nobody's in particular. */
LOOM_MUST_CHECK int provisioner_put(struct db *db, const char *id, const char *tenant,
                                    const char *host, int64_t port, int64_t capacity,
                                    const struct json *usage);
/* The same for one that is told how many workers to run (worker_share.h): it runs none yet. */
/* A worker of version 0.9.7, which is its own provisioner and gives no sign of life while it is at
 * a task: it counts as alive for so long from now. */
LOOM_MUST_CHECK int provisioner_put_silent(struct db *db, const char *id, const char *tenant,
                                           const char *host, int64_t silent_ms);
LOOM_MUST_CHECK int provisioner_put_told(struct db *db, const char *id, const char *host,
                                         int64_t port, int64_t capacity);
/* Which version of Loom it is; "" where it does not say. */
LOOM_MUST_CHECK int provisioner_note_version(struct db *db, const char *id, const char *version);
/* PROVISIONER_E_OTHER when one of that id is registered that is not this tenant's; tenant "": any
 * will do. */
LOOM_MUST_CHECK int provisioner_check_tenant(struct db *db, const char *id, const char *tenant);
/* Notes the heartbeat and usage. PROVISIONER_E_NONE when it is not registered. */
LOOM_MUST_CHECK int provisioner_beat(struct db *db, const char *id, const struct json *usage);
LOOM_MUST_CHECK int provisioner_known(struct db *db, const char *id, bool *ret);
/* It asks for this tenant's tasks ("*": anybody's). */
LOOM_MUST_CHECK int provisioner_note_tenant(struct db *db, const char *id, const char *tenant);
/* Drops it, and notes that; *ret_was: it was registered. What it held is over from the commit on:
 * its tasks are found by the note, and ended by whoever looks first, under their clusters' locks. A
 * note is kept for two minutes at least, since a take that was waiting may be given a task later.
 */
LOOM_MUST_CHECK int provisioner_delete(struct db *db, const char *id, bool *ret_was);
/* Drops those without a heartbeat for timeout_ms, and old notes. */
LOOM_MUST_CHECK int provisioners_expire(struct db *db, int64_t timeout_ms, size_t *ret_dropped);
/* Running tasks that those who were dropped held: columns cluster, job, task. No lock. */
LOOM_MUST_CHECK int provisioners_held(struct db *db, int limit, struct db_result **ret);
/* Is it one of these? With its cluster locked. */
LOOM_MUST_CHECK int provisioner_holds_no_more(struct db *db, const struct task_ref *ref, bool *ret);

/* All, or one, by id: as superadmins see them (REST spec 9), with what is special here:
 * "heartbeat", and "quarantine" for those that get no work. */
LOOM_MUST_CHECK int provisioners_list(struct db *db, const char *id, struct json **ret);

/* Who could do a tenant's tasks. */
struct provisioner_supply {
	int64_t registered; /* of any tenant */
	int64_t serving;    /* this tenant, among others; not in quarantine */
	int64_t capacity;   /* of those */
	int64_t running;    /* tasks at those */
	struct json *bad;   /* provisioner -> reason, of all in quarantine; owned */
};
LOOM_MUST_CHECK int provisioners_supply(struct db *db, const char *tenant,
                                        struct provisioner_supply *ret);

#endif
