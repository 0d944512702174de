/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed texts and bytes: what the key did not seal for this place is not opened; what it did is.
 */
#include "tests/fuzz/fuzz.h"

#include "common/base/seal.h"
#include "common/base/str.h"

#include <string.h>

static void check_bytes(const struct seal_key *key, const unsigned char *data, size_t size)
{
	unsigned char *sealed = loom_malloc(size + SEAL_MORE), *open = loom_malloc(size + 1);
	loom_assert(!seal_open_bytes(key, "a", data, size, open));
	seal_bytes(key, "a", data, size, sealed);
	loom_assert(!seal_open_bytes(key, "b", sealed, size + SEAL_MORE, open));
	loom_assert(seal_open_bytes(key, "a", sealed, size + SEAL_MORE, open));
	loom_assert(!memcmp(open, data, size));
	loom_free(sealed);
	loom_free(open);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static const unsigned char root[SEAL_KEY] = { 7 };
	struct seal_key key;
	seal_key_derive(root, "fuzz", &key);
	LOOM_CLEANUP_STR char *text = loom_strndup((const char *)data, size);
	LOOM_CLEANUP_STR char *foreign = seal_open(&key, "a", text);
	loom_assert(!foreign);
	LOOM_CLEANUP_STR char *sealed = seal_text(&key, "a", text);
	LOOM_CLEANUP_STR char *elsewhere = seal_open(&key, "b", sealed);
	LOOM_CLEANUP_STR char *open = seal_open(&key, "a", sealed);
	loom_assert(!elsewhere && str_eq(open, text));
	check_bytes(&key, data, size);
	return 0;
}
