/* SPDX-License-Identifier: Apache-2.0 */
/* Bus messages: bytes without the key are never opened; what is opened with it is in bounds. */
#include "tests/fuzz/fuzz.h"

#include "common/bus/bus_private.h"

#include <string.h>

enum { NONCE = crypto_secretbox_NONCEBYTES, MAC = crypto_secretbox_MACBYTES };

static const struct bus_key key = { { 7 } };

static void check_opened(const struct bus_message *m, size_t plain)
{
	loom_assert(m->from && m->kind <= BUS_WELCOME);
	loom_assert(m->len <= plain && m->off + m->len <= m->size && m->size <= BUS_BODY_MAX);
}

/* data as a peer with the key would seal it */
static void open_sealed(const unsigned char *data, size_t size)
{
	unsigned char *sealed = loom_calloc(1, NONCE + MAC + size);
	struct bus_message m;
	(void)crypto_secretbox_easy(sealed + NONCE, data, size, sealed, key.bytes);
	if (bus_open(&key, sealed, NONCE + MAC + size, &m) == 0) {
		check_opened(&m, size);
		bus_message_fini(&m);
	}
	loom_free(sealed);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct bus_message m;
	enum bus_metric refusal = bus_open(&key, data, size, &m);
	loom_assert(refusal == BUS_M_UNSEALED); /* nobody guesses a seal */
	open_sealed(data, size);
	return 0;
}
