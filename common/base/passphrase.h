/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passphrase - derives a key from a passphrase (Argon2id), slow on purpose: some tenths of a second
 * and 64 MiB. Any thread, blocking.
 */
#ifndef LOOM_BASE_PASSPHRASE_H
#define LOOM_BASE_PASSPHRASE_H

#include "common/base/seal.h"

#define PASSPHRASE_MIN  12 /* bytes */
#define PASSPHRASE_MAX  1024
#define PASSPHRASE_SALT 33 /* a text of 32 hex digits */

void passphrase_salt(char ret[PASSPHRASE_SALT]); /* a new one */
/* false: the salt is malformed, or there is not enough memory. */
bool passphrase_key(const char *passphrase, const char *salt, struct seal_key *ret);

#endif
