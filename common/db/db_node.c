/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells which node of the database's group connections lead to.
 * Behind the SQL proxies that is the writer, so each new name means that another node became it.
 */
#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/db/db_private.h"

#include <stdio.h>
#include <string.h>

void db_node_ask(struct db *db, char name[DB_NODE_MAX])
{
	static const char sql[] = "SELECT @@wsrep_node_name";
	*name = '\0'; /* a server without such a name is no error */
	if (mysql_real_query(db->mysql, sql, sizeof(sql) - 1))
		return;
	metric_add(&db_metrics[DB_M_STATEMENTS], 1);
	MYSQL_RES *res = mysql_store_result(db->mysql);
	MYSQL_ROW row = res ? mysql_fetch_row(res) : NULL;
	if (row && row[0])
		(void)snprintf(name, DB_NODE_MAX, "%s", row[0]);
	mysql_free_result(res);
}

void db_node_seen(struct db_nodes *nodes, const char *name)
{
	if (!*name || str_eq(name, nodes->last))
		return;
	if (*nodes->last)
		nodes->changed[nodes->n++ % LOOM_COUNT(nodes->changed)] = clock_mono_ms();
	(void)snprintf(nodes->last, sizeof(nodes->last), "%s", name);
}

unsigned db_node_changes(const struct db_nodes *nodes, int64_t within_ms)
{
	int64_t since = clock_mono_ms() - within_ms;
	unsigned n = 0;
	for (size_t i = 0; i < LOOM_COUNT(nodes->changed) && i < nodes->n; i++)
		n += nodes->changed[i] >= since;
	return n;
}
