/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal - texts that are kept where others read: encrypted with a key that is derived from the
 * cluster's, and bound to what they belong to, so that none can be put in another's place.
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

/* The key's file: 64 hex digits. 0, or positive with err filled. */
LOOM_MUST_CHECK int seal_file_read(const char *path, unsigned char ret[SEAL_KEY],
                                   struct loom_err *err);
/* The key for one use ("callbacks") of a cluster's key file; path empty: not known, and 0. */
LOOM_MUST_CHECK int seal_key_init(const char *path, const char *use, struct seal_key *ret,
                                  struct loom_err *err);
void seal_key_fini(struct seal_key *k);
/* Tells keys apart and gives nothing of them away; kept beside what is sealed. */
void seal_key_name(const struct seal_key *k, char ret[SEAL_KEY_NAME]);

/* In printable characters; returns owned, NULL when the key is not known. */
char *seal_text(const struct seal_key *k, const char *belongs_to, const char *text);
/* Returns owned, wipe it; NULL when it is not what seal_text() gave for the same thing. */
char *seal_open(const struct seal_key *k, const char *belongs_to, const char *sealed);

#endif
