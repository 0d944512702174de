/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files: each is taken whole or refused with words, and what was taken is in bounds.
 */
#include "tests/fuzz/fuzz.h"

#include "common/base/config.h"
#include "common/base/mem.h"
#include "common/base/str.h"

#include <sys/mman.h>
#include <unistd.h>

struct settings {
	char *name, *secret;
	int64_t count, wait_ms;
	bool on;
};

#define KEY(field_, type_, ...)                                                \
	{                                                                      \
#field_, type_, offsetof(struct settings, field_), __VA_ARGS__ \
	}

static const struct config_key keys[] = {
	KEY(name, CFG_STR, "none", 0, 0, 0, "a name"),
	KEY(secret, CFG_STR, "", 0, 0, CFG_SECRET, "a secret"),
	KEY(count, CFG_INT, "3", 1, 1000, 0, "how many"),
	KEY(wait_ms, CFG_DURATION, "2s", 10, 86400000, CFG_RELOAD, "how long"),
	KEY(on, CFG_BOOL, "no", 0, 0, 0, "whether"),
	{ 0 },
};

static void load(const unsigned char *data, size_t size, struct settings *s)
{
	const struct config_table tables[] = { { keys, s }, { 0 } };
	struct loom_err err = { 0 };
	char path[64];
	int fd = memfd_create("config", MFD_CLOEXEC);
	loom_assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	loom_assert(config_defaults(tables, &err) == 0);
	int rc = config_load_file(tables, path, &err);
	loom_assert(rc >= 0 && (rc == 0 || *err.msg));
	loom_assert(s->count >= 1 && s->count <= 1000);
	loom_assert(s->wait_ms >= 10 && s->wait_ms <= 86400000);
	loom_assert(s->name && s->secret);
	config_fini(tables);
	(void)close(fd);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct settings settings = { 0 };
	load(data, size, &settings);
	return 0;
}
