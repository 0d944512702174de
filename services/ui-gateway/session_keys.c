/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the keys of sessions, and again when their file has changed. */
#include "services/ui-gateway/session_keys.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"

#include <pthread.h>
#include <sodium.h>
#include <sys/stat.h>

#define USE     "gateway sessions"
#define LOOK_MS 1000

struct session_keys {
	char *file, *cluster_key_file;
	pthread_mutex_t mutex;
	/* Protected by the mutex. */
	struct session_key_list list;
	struct stat read; /* the file's state when it was read */
	int64_t looked;   /* monotonic ms */
};

void session_key_list_fini(struct session_key_list *l)
{
	sodium_memzero(l, sizeof(*l));
}

static int add_file(const struct session_keys *k, struct session_key_list *to, struct loom_err *err)
{
	unsigned char roots[SESSION_KEYS][SEAL_KEY];
	size_t n = 0;
	if (str_blank(k->file))
		return 0;
	int rc = seal_keys_read("session_key_file", k->file, roots, SESSION_KEYS, &n, err);
	for (size_t i = 0; !rc && i < n; i++)
		seal_key_derive(roots[i], USE, &to->v[to->n++]);
	sodium_memzero(roots, sizeof(roots));
	return rc;
}

static void look_at_mode(const char *file)
{
	struct stat s;
	if (!str_blank(file) && !stat(file, &s) && s.st_mode & S_IRWXO)
		log_warn("other users can read the session keys: chmod 640", LOG_S("file", file));
}

static int read_all(struct session_keys *k, struct loom_err *err)
{
	struct session_key_list list = { 0 };
	struct seal_key last = { 0 };
	int rc = add_file(k, &list, err);
	if (!rc)
		rc = seal_key_init(k->cluster_key_file, USE, &last, err);
	if (!rc && last.known)
		list.v[list.n++] = last;
	if (!rc) {
		k->list = list;
		look_at_mode(k->file);
	}
	session_key_list_fini(&list);
	seal_key_fini(&last);
	return rc;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* If the new file is invalid the old keys stay. */
static void look(struct session_keys *k)
{
	struct stat now = { 0 };
	struct loom_err err = { 0 };
	k->looked = clock_mono_ms();
	if (str_blank(k->file) || stat(k->file, &now) || is_same(&now, &k->read))
		return;
	k->read = now;
	if (read_all(k, &err))
		log_error("keys of sessions not read", LOG_S("reason", err.msg));
	else
		log_info("keys of sessions read", LOG_I("keys", (int64_t)k->list.n));
}

int session_keys_create(const char *file, const char *cluster_key_file, struct session_keys **ret,
                        struct loom_err *err)
{
	LOOM_CLEANUP(session_keys_destroy)
	struct session_keys *k = loom_calloc(1, sizeof(*k));
	k->file = loom_strdup(file);
	k->cluster_key_file = loom_strdup(cluster_key_file);
	pthread_mutex_init(&k->mutex, NULL);
	(void)stat(k->file, &k->read);
	int rc = read_all(k, err);
	if (!rc)
		*ret = loom_take(k);
	return rc;
}

void session_keys_destroy(struct session_keys *k)
{
	if (!k)
		return;
	session_key_list_fini(&k->list);
	pthread_mutex_destroy(&k->mutex);
	loom_free(k->file);
	loom_free(k->cluster_key_file);
	loom_free(k);
}

void session_keys_now(struct session_keys *k, struct session_key_list *ret)
{
	pthread_mutex_lock(&k->mutex);
	if (clock_mono_ms() - k->looked >= LOOK_MS)
		look(k);
	*ret = k->list;
	pthread_mutex_unlock(&k->mutex);
}
