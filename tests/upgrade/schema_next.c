/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema as a next version of Loom might have it: today's and one migration more. Linked ahead
 * of the library's own, it makes services of that version (`make next`), to be run beside today's
 * while machines are upgraded one by one. The migration changes tables that are in use, adds an
 * index, and takes its time, so that it can be interrupted.
 */
#define schema_migrations schema_migrations_today
#include "common/model/schema.c" /* NOLINT(bugprone-suspicious-include): one name of it differs */
#undef schema_migrations

static const char *const next[] = {
	"ALTER TABLE cluster ADD COLUMN IF NOT EXISTS next_note VARCHAR(64) NOT NULL DEFAULT 'none'",
	"DO SLEEP(0.7)",
	"ALTER TABLE task ADD COLUMN IF NOT EXISTS next_cost BIGINT NOT NULL DEFAULT 0",
	"CREATE TABLE IF NOT EXISTS next_audit (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY)",
	"DO SLEEP(0.7)",
	"ALTER TABLE event ADD KEY IF NOT EXISTS next_by_type (type)",
	NULL,
};

struct db_migration schema_migrations[LOOM_COUNT(schema_migrations_today) + 1];

__attribute__((constructor)) static void add_next(void)
{
	size_t n = LOOM_COUNT(schema_migrations_today) - 1;

	for (size_t i = 0; i < n; i++)
		schema_migrations[i] = schema_migrations_today[i];
	schema_migrations[n] = (struct db_migration){ .version = (int)n + 1,
		                                      .name = "what comes next",
		                                      .statements = next };
}
