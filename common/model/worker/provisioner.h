/* SPDX-License-Identifier: Apache-2.0 */
/* provisioner - the provisioners that may take tasks, and their signs of life. Inside db_tx() or
 * db_read(). */
#ifndef LOOM_MODEL_PROVISIONER_H
#define LOOM_MODEL_PROVISIONER_H

#include "common/base/ids.h"
#include "common/db/db.h"
#include "common/json/json.h"
#include "common/model/list_part.h"

/* A provisioner that last asked for a tenant's tasks this long ago no longer serves it. */
#define PROVISIONER_SEEN_MS "120000"

struct registration {
	const char *id, *tenant, *host; /* tenant: its owner, "" for none in particular */
	int64_t port, capacity;
	const struct json *usage; /* NULL: not reported yet */
	/* Loom sets how many workers it runs for each tenant (worker_share.h); it runs none yet. */
	bool managed;
};
LOOM_MUST_CHECK int provisioner_put(struct db *db, const struct registration *r);
#define PROVISIONER_SILENT "0.9.7:" /* begins the id of a provisioner that sends no heartbeats */
/* A worker of version 0.9.7, which is its own provisioner and sends no heartbeats: it counts as
 * alive for this long, and as long as it holds a task. */
LOOM_MUST_CHECK int provisioner_put_silent(struct db *db, const char *id, const char *tenant,
                                           const char *host, int64_t silent_ms);
/* Stores its Loom version; "" if it reports none. */
LOOM_MUST_CHECK int provisioner_note_version(struct db *db, const char *id, const char *version);
/* PROVISIONER_E_OTHER when a provisioner of this id is registered for another tenant; tenant "":
 * any. */
LOOM_MUST_CHECK int provisioner_check_tenant(struct db *db, const char *id, const char *tenant);
/* Stores a heartbeat and the usage. PROVISIONER_E_NONE when it is not registered. */
LOOM_MUST_CHECK int provisioner_beat(struct db *db, const char *id, const struct json *usage);

/*
 * Two processes with one id, as after a copy of a machine's image, would end each other's tasks. So
 * each names its place, which it keeps when it is started again, and which another one has not. Who
 * has the id keeps it while it is heard.
 */
#define PROVISIONER_HEARD_MS 10000 /* five heartbeats */
struct provisioner_holder {
	bool other;        /* another place has the id: the caller is refused */
	int64_t silent_ms; /* since that one was heard */
	/* Otherwise: the usage as provisioner_put() and provisioner_beat() store it. Owned. */
	struct json *usage;
};
/* Who has the id? Locks the row. place "": not told, which is let in. Notes that one was refused.
 */
LOOM_MUST_CHECK int provisioner_holder_read(struct db *db, const char *id, const char *place,
                                            const struct json *usage,
                                            struct provisioner_holder *ret);
/* In a stored usage, and never the id of a tenant: what is kept about the holder. In SQL the time
 * at which another one was last refused; NULL: never. */
#define PROVISIONER_HOLDER_KEY  ""
#define PROVISIONER_REFUSED_SQL "JSON_VALUE(live, '$.\"\".refused')"
LOOM_MUST_CHECK int provisioner_known(struct db *db, const char *id, bool *ret);
/* Notes that it asks for this tenant's tasks ("*": anybody's). */
LOOM_MUST_CHECK int provisioner_note_tenant(struct db *db, const char *id, const char *tenant);
/* Deletes it and leaves a note; *ret_was: it was registered. From the commit on it holds no tasks
 * any more: whoever looks first finds them by the note, and ends them under their clusters' locks.
 * The note is kept for two minutes at least, as a waiting take may still be given a task. */
LOOM_MUST_CHECK int provisioner_delete(struct db *db, const char *id, bool *ret_was);
/* Deletes provisioners without a heartbeat for timeout_ms, and old notes. */
LOOM_MUST_CHECK int provisioners_expire(struct db *db, int64_t timeout_ms, size_t *ret_dropped);
/* Ms since the last heartbeat of any of them; INT64_MAX / 2 if there is none. */
LOOM_MUST_CHECK int provisioners_silence(struct db *db, int64_t *ret);
/* Running tasks of deleted provisioners: columns cluster, job, task. Without locks. */
LOOM_MUST_CHECK int provisioners_held(struct db *db, int limit, struct db_result **ret);
/* Is the task one of these? With its cluster locked. */
LOOM_MUST_CHECK int provisioner_holds_no_more(struct db *db, const struct task_ref *ref, bool *ret);

/* By id: as superadmins see them (REST spec 9), with what is special here: "heartbeat", and
 * "quarantine" for those that get no work. */
LOOM_MUST_CHECK int provisioners_list(struct db *db, const struct list_part *part,
                                      struct json **ret);
/* The tally: changes whenever one comes, goes, registers with other data, or enters quarantine
 * or out of it (list_part.h). */
LOOM_MUST_CHECK int provisioners_tally(struct db *db, int64_t *ret);

/* The provisioners available for a tenant's tasks. */
struct provisioner_supply {
	int64_t registered; /* for any tenant */
	int64_t serving;    /* for this tenant; not in quarantine */
	int64_t capacity;   /* of the serving ones */
	int64_t running;    /* tasks at the serving ones */
	struct json *bad;   /* provisioner -> reason, for all in quarantine; owned */
};
LOOM_MUST_CHECK int provisioners_supply(struct db *db, const char *tenant,
                                        struct provisioner_supply *ret);

#endif
