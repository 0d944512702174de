/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection: connecting, plain commands, and what each error number means for a transaction.
 * Runs on worker threads, blocking.
 */
#include "common/db/db.h"

#include "common/base/log.h"
#include "common/base/str.h"
#include "common/db/db_private.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Error numbers that the client's headers do not name, and ranges of them. */
enum {
	E_CLIENT_TIMEOUT = 4031, /* MySQL 8 closed an idle connection */
	E_CR_FIRST = 2000,       /* the client library's own: lost, gone, malformed ... */
	E_CR_LAST = 2999,
	E_CR_EXTENDED = 5000, /* MariaDB's client has further ones here */
	E_CR_EXTENDED_LAST = 5999,
	E_PROXY_FIRST = 9000, /* ProxySQL's own: no backend, time-outs ... */
	E_PROXY_LAST = 9999,
	E_FILE_WRITE = 3, /* errors of the server's own files */
	E_FILE_FULL = 20,
};

struct metric db_metrics[DB_M_COUNT] = {
	[DB_M_TRANSACTIONS] = { .name = "loom_db_transactions_total",
	                        .help = "Transactions and reads asked for.",
	                        .kind = METRIC_COUNTER },
	[DB_M_STATEMENTS] = { .name = "loom_db_statements_total",
	                      .help = "Statements the database answered, commits included.",
	                      .kind = METRIC_COUNTER },
	[DB_M_RETRIES] = { .name = "loom_db_retries_total",
	                   .help = "Transactions run again after a transient failure.",
	                   .kind = METRIC_COUNTER },
	[DB_M_DOUBTS] = { .name = "loom_db_doubts_total",
	                  .help = "Commits whose answer was lost.",
	                  .kind = METRIC_COUNTER },
	[DB_M_FULL] = { .name = "loom_db_full_total",
	                .help = "Statements refused for want of disk space or memory.",
	                .kind = METRIC_COUNTER },
	[DB_M_CONNECTS] = { .name = "loom_db_connects_total",
	                    .help = "Connections made to the database.",
	                    .kind = METRIC_COUNTER },
	[DB_M_CONNECT_ERRORS] = { .name = "loom_db_connect_errors_total",
	                          .help = "Attempts to connect to the database that failed.",
	                          .kind = METRIC_COUNTER },
	[DB_M_CONNECTIONS] = { .name = "loom_db_connections",
	                       .help = "Connections open to the database.",
	                       .kind = METRIC_GAUGE },
	[DB_M_STMT_BYTES] = { .name = "loom_db_statement_cache_bytes",
	                      .help = "Approximate bytes of all cached prepared statements.",
	                      .kind = METRIC_GAUGE },
	[DB_M_TRANSACTION_MS] = { .name = "loom_db_transaction_ms",
	                          .help = "Time of a transaction or read, retries included.",
	                          .kind = METRIC_HISTOGRAM_MS },
};

static void library_init_once(void)
{
	loom_assert(mysql_library_init(0, NULL, NULL) == 0);
	metrics_register(db_metrics, DB_M_COUNT);
}

void db_library_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	(void)pthread_once(&once, library_init_once);
}

const char *db_error(const struct db *db)
{
	return db->error;
}

int64_t db_affected(const struct db *db)
{
	return db->affected;
}

/* ---- what an error number means -------------------------------------------------------------- */

/* Does the error make the connection unusable? */
static bool code_breaks(unsigned code)
{
	switch (code) {
	case ER_UNKNOWN_COM_ERROR: /* Galera: the node is not primary; another connection may be */
	case ER_ERROR_DURING_COMMIT:
	case ER_SERVER_SHUTDOWN:
	case ER_CONNECTION_KILLED:
	case ER_OPTION_PREVENTS_STATEMENT: /* read-only: no longer the writer */
	case ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION:
	case ER_UNKNOWN_STMT_HANDLER: /* a proxy has moved the session */
	case ER_NEW_ABORTING_CONNECTION:
	case ER_CON_COUNT_ERROR:
	case E_CLIENT_TIMEOUT:
		return true;
	default:
		return (code >= E_CR_FIRST && code <= E_CR_LAST) ||
		       (code >= E_CR_EXTENDED && code <= E_CR_EXTENDED_LAST) ||
		       (code >= E_PROXY_FIRST && code <= E_PROXY_LAST);
	}
}

/* May the whole transaction succeed when it is run again? */
static bool code_transient(unsigned code)
{
	switch (code) {
	case ER_LOCK_DEADLOCK:
	case ER_LOCK_WAIT_TIMEOUT:
	case ER_CHECKREAD:
	case ER_QUERY_INTERRUPTED:
	case ER_STATEMENT_TIMEOUT:
	case ER_NEED_REPREPARE:
		return true;
	default:
		return code_breaks(code);
	}
}

/* Is the server out of room? Another statement, or the same one later, may succeed. It is not a
 * defect, and the request has not failed. */
static bool code_full(unsigned code)
{
	switch (code) {
	case E_FILE_WRITE:
	case E_FILE_FULL:
	case ER_DISK_FULL:
	case ER_RECORD_FILE_FULL:
	case ER_ERROR_ON_WRITE:
	case ER_OUTOFMEMORY:
	case ER_OUT_OF_SORTMEMORY:
	case ER_OUT_OF_RESOURCES:
	case ER_LOCK_TABLE_FULL:
		return true;
	default:
		return false;
	}
}

/* Does this error, as an answer to COMMIT, prove that nothing was committed? */
static bool code_rolled_back(unsigned code)
{
	return code == ER_LOCK_DEADLOCK || code == ER_LOCK_WAIT_TIMEOUT || code == ER_CHECKREAD;
}

static void note(struct db *db, unsigned code, const char *text)
{
	db->code = code;
	(void)snprintf(db->error, sizeof(db->error), "%u: %s", code, text);
}

int db_fail(struct db *db, unsigned code, const char *text, const char *sql)
{
	note(db, code, text);
	if (code < E_CR_FIRST)
		db->answered++;
	if (code_breaks(code))
		db->broken = true;
	if (code_transient(code)) {
		db->dead = true;
		return DB_E_RETRY;
	}
	if (code == ER_DUP_ENTRY || code == ER_DUP_ENTRY_WITH_KEY_NAME)
		return DB_E_DUP;
	log_error("database statement failed", LOG_S("error", db->error), LOG_S("sql", sql));
	if (!code_full(code))
		return DB_E_FATAL;
	metric_add(&db_metrics[DB_M_FULL], 1);
	return DB_E_FULL;
}

/* ---- connecting ------------------------------------------------------------------------------ */

static unsigned seconds(int64_t ms)
{
	return (unsigned)((ms + 999) / 1000);
}

static int set_up(struct db *db, int64_t statement_ms)
{
	char sql[160];
	unsigned wait = seconds(statement_ms);
	/* A lock wait must end at the server before the client gives the connection up. */
	wait = wait > 2 ? wait - 1 : 1;
	(void)snprintf(sql, sizeof(sql),
	               "SET SESSION sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
	               " SESSION innodb_lock_wait_timeout=%u",
	               wait);
	int rc = db_command(db, sql);
	if (!rc)
		rc = db_command(db, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
	return rc;
}

/* ENFORCE, because the library would otherwise continue without TLS if the server offers none. */
static void set_tls(MYSQL *mysql, const struct db_config *cfg)
{
	my_bool on = 1;
	if (str_blank(cfg->tls_ca))
		return;
	mysql_options(mysql, MYSQL_OPT_SSL_CA, cfg->tls_ca);
	mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &on);
	mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &on);
	mysql_options(mysql, MARIADB_OPT_TLS_VERSION, "TLSv1.2,TLSv1.3");
	if (str_blank(cfg->tls_certificate))
		return;
	mysql_options(mysql, MYSQL_OPT_SSL_CERT, cfg->tls_certificate);
	mysql_options(mysql, MYSQL_OPT_SSL_KEY, cfg->tls_key);
}

int db_connect(const struct db_config *cfg, int64_t statement_ms, struct db **ret)
{
	struct db *db = loom_calloc(1, sizeof(*db));
	unsigned connect_s = seconds(cfg->connect_ms), statement_s = seconds(statement_ms);
	my_bool off = 0;
	unsigned no_infile = 0, tcp = MYSQL_PROTOCOL_TCP;
	const char *socket = str_blank(cfg->socket) ? NULL : cfg->socket;
	*ret = db;
	db_library_init();
	db->mysql = mysql_init(NULL);
	loom_assert(db->mysql);
	mysql_options(db->mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
	mysql_options(db->mysql, MYSQL_OPT_READ_TIMEOUT, &statement_s);
	mysql_options(db->mysql, MYSQL_OPT_WRITE_TIMEOUT, &statement_s);
	mysql_options(db->mysql, MYSQL_OPT_RECONNECT, &off);
	if (!socket) /* "localhost" would mean some default socket otherwise */
		mysql_options(db->mysql, MYSQL_OPT_PROTOCOL, &tcp);
	mysql_options(db->mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	mysql_options(db->mysql, MYSQL_OPT_LOCAL_INFILE, &no_infile);
	set_tls(db->mysql, cfg);
	metric_add(&db_metrics[DB_M_CONNECTIONS], 1);
	if (!mysql_real_connect(db->mysql, socket ? "localhost" : cfg->host, cfg->user,
	                        cfg->password, cfg->name, (unsigned)cfg->port, socket,
	                        CLIENT_FOUND_ROWS)) {
		note(db, mysql_errno(db->mysql), mysql_error(db->mysql));
		db->broken = true;
	} else if (set_up(db, statement_ms)) {
		db->broken = true;
	}
	metric_add(&db_metrics[db->broken ? DB_M_CONNECT_ERRORS : DB_M_CONNECTS], 1);
	db->answered = 0;
	db->dead = false;
	return db->broken ? DB_E_RETRY : 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	db_stmt_forget_all(db);
	mysql_close(db->mysql);
	metric_add(&db_metrics[DB_M_CONNECTIONS], -1);
	loom_free(db);
}

bool db_alive(struct db *db)
{
	struct pollfd pfd = { .fd = mysql_get_socket(db->mysql), .events = POLLIN | POLLRDHUP };
	/* An idle connection has no outstanding answers: anything readable means that it ended. */
	return pfd.fd >= 0 && poll(&pfd, 1, 0) == 0;
}

void db_cut(struct db *db)
{
	(void)shutdown(mysql_get_socket(db->mysql), SHUT_RDWR);
}

/* ---- plain commands -------------------------------------------------------------------------- */

int db_command(struct db *db, const char *sql)
{
	if (db->dead || db->broken)
		return DB_E_RETRY;
	if (mysql_real_query(db->mysql, sql, strlen(sql)))
		return db_fail(db, mysql_errno(db->mysql), mysql_error(db->mysql), sql);
	db->answered++;
	metric_add(&db_metrics[DB_M_STATEMENTS], 1);
	if (mysql_field_count(db->mysql)) {
		MYSQL_RES *res = mysql_store_result(db->mysql);
		if (!res)
			return db_fail(db, mysql_errno(db->mysql), mysql_error(db->mysql), sql);
		mysql_free_result(res);
	}
	return 0;
}

int db_script(struct db *db, const char *sql)
{
	return db_command(db, sql);
}

int db_commit(struct db *db, bool drop_answer, bool *doubt)
{
	static const char commit[] = "COMMIT";
	if (drop_answer) {
		(void)mysql_send_query(db->mysql, commit, sizeof(commit) - 1);
		db_cut(db);
		note(db, CR_SERVER_LOST, "answer of COMMIT dropped by a failpoint");
	} else if (!mysql_real_query(db->mysql, commit, sizeof(commit) - 1)) {
		db->answered++;
		metric_add(&db_metrics[DB_M_STATEMENTS], 1);
		return 0;
	} else {
		note(db, mysql_errno(db->mysql), mysql_error(db->mysql));
	}
	db->dead = true;
	if (!code_rolled_back(db->code)) {
		db->broken = true;
		*doubt = true;
		metric_add(&db_metrics[DB_M_DOUBTS], 1);
		log_warn("outcome of a commit unknown", LOG_S("error", db->error));
	}
	return DB_E_RETRY;
}
