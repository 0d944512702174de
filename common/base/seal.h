/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal - protects texts that are stored where others can read them: encrypts them with a key
 * derived from the cluster's, and binds them to their place, so that none can replace another.
 *
 * Any thread.
 */
#ifndef LOOM_BASE_SEAL_H
#define LOOM_BASE_SEAL_H

#include "common/base/err.h"
#include "common/base/mem.h"

#include <stdbool.h>
#include <stddef.h>

#define SEAL_KEY      32
#define SEAL_KEY_NAME 17

struct seal_key {
	bool known; /* false: nothing can be sealed or opened */
	unsigned char bytes[SEAL_KEY];
};

/* Reads the cluster key's file: 64 hex digits. 0, or positive with err filled. */
LOOM_MUST_CHECK int seal_file_read(const char *path, unsigned char ret[SEAL_KEY],
                                   struct loom_err *err);
/* Reads a file with one key per line, at most max; ignores empty lines and those that begin with
 * '#'. what: the configuration's name of the file. */
LOOM_MUST_CHECK int seal_keys_read(const char *what, const char *path,
                                   unsigned char (*ret)[SEAL_KEY], size_t max, size_t *ret_n,
                                   struct loom_err *err);
void seal_key_derive(const unsigned char root[SEAL_KEY], const char *use, struct seal_key *ret);
/* The key for one use ("callbacks") of a cluster's key file; path empty: unknown key, and 0. */
LOOM_MUST_CHECK int seal_key_init(const char *path, const char *use, struct seal_key *ret,
                                  struct loom_err *err);
void seal_key_fini(struct seal_key *k);
/* A name that tells keys apart and reveals nothing of them; stored beside sealed data. */
void seal_key_name(const struct seal_key *k, char ret[SEAL_KEY_NAME]);

/* Returns printable characters, owned; NULL if the key is unknown. */
char *seal_text(const struct seal_key *k, const char *belongs_to, const char *text);
/* Returns owned, to be wiped; NULL unless seal_text() made it for the same place. */
char *seal_open(const struct seal_key *k, const char *belongs_to, const char *sealed);

/* The same for bytes: out has room for len + SEAL_MORE of them. */
#define SEAL_MORE 40
void seal_bytes(const struct seal_key *k, const char *belongs_to, const void *data, size_t len,
                unsigned char *out);
/* Writes len - SEAL_MORE bytes; false unless seal_bytes() made it for the same place. */
bool seal_open_bytes(const struct seal_key *k, const char *belongs_to, const void *sealed,
                     size_t len, unsigned char *out);

#endif
