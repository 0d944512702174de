/* SPDX-License-Identifier: Apache-2.0 */
/* How to reach the database: the keys, and a pool's copy of their values. Start-up thread. */
#include "common/db/db_private.h"

#include "common/base/secret_file.h"
#include "common/base/str.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

const struct config_key db_config_keys[] = {
	{ "db_host", CFG_STR, offsetof(struct db_config, host), "127.0.0.1", 0, 0, 0,
	  "host of the database or of the proxy in front of it" },
	{ "db_port", CFG_INT, offsetof(struct db_config, port), "55306", 1, 65535, 0, "its port" },
	{ "db_socket", CFG_STR, offsetof(struct db_config, socket), "", 0, 0, 0,
	  "Unix socket, instead of host and port" },
	{ "db_user", CFG_STR, offsetof(struct db_config, user), "loom", 0, 0, 0, "account" },
	{ "db_password", CFG_STR, offsetof(struct db_config, password), "", 0, 0, CFG_SECRET,
	  "its password" },
	{ "db_password_file", CFG_STR, offsetof(struct db_config, password_file), "", 0, 0, 0,
	  "file with the password, instead of db_password" },
	{ "db_name", CFG_STR, offsetof(struct db_config, name), "loom", 0, 0, 0, "schema" },
	{ "db_tls_ca", CFG_STR, offsetof(struct db_config, tls_ca), "", 0, 0, 0,
	  "file with the authorities of the database's certificate: connections use TLS and verify "
	  "that the server is db_host; empty: without TLS" },
	{ "db_tls_certificate", CFG_STR, offsetof(struct db_config, tls_certificate), "", 0, 0, 0,
	  "file with a certificate to show the database, if the account needs one" },
	{ "db_tls_key", CFG_STR, offsetof(struct db_config, tls_key), "", 0, 0, 0,
	  "file with its private key" },
	{ "db_connections", CFG_INT, offsetof(struct db_config, connections), "8", 1, 256, 0,
	  "connections at most" },
	{ "db_connect_timeout", CFG_DURATION, offsetof(struct db_config, connect_ms), "1s", 100,
	  60000, 0, "time to connect (rounded up to seconds)" },
	{ "db_statement_timeout", CFG_DURATION, offsetof(struct db_config, statement_ms), "5s",
	  1000, 600000, 0, "wait for one statement (rounded up to seconds)" },
	{ "db_deadline", CFG_DURATION, offsetof(struct db_config, deadline_ms), "15s", 100, 600000,
	  0, "time of a transaction with all its retries" },
	{ 0 },
};

static int read_password(struct db_config *cfg, struct loom_err *err)
{
	if (str_blank(cfg->password_file))
		return 0;
	char *text = secret_file_read("db_password_file", cfg->password_file, err);
	if (!text)
		return err->status;
	loom_free(cfg->password);
	cfg->password = text;
	return 0;
}

static void copy_texts(struct db_config *to, const struct db_config *from)
{
	*to = *from;
	to->host = loom_strdup(from->host);
	to->socket = loom_strdup(from->socket);
	to->user = loom_strdup(from->user);
	to->password = loom_strdup(from->password);
	to->password_file = loom_strdup(from->password_file);
	to->name = loom_strdup(from->name);
	to->tls_ca = loom_strdup(from->tls_ca);
	to->tls_certificate = loom_strdup(from->tls_certificate);
	to->tls_key = loom_strdup(from->tls_key);
}

/* Checks early: the library would report these errors only at each connection. */
static int check_tls(const struct db_config *cfg, struct loom_err *err)
{
	const struct {
		const char *setting, *path;
	} files[] = { { "db_tls_ca", cfg->tls_ca },
		      { "db_tls_certificate", cfg->tls_certificate },
		      { "db_tls_key", cfg->tls_key } };
	for (size_t i = 0; i < LOOM_COUNT(files); i++) {
		if (!str_blank(files[i].path) && access(files[i].path, R_OK) != 0)
			return err_set(err, 400, "%s %s: %s", files[i].setting, files[i].path,
			               strerrordesc_np(errno));
	}
	bool shows = !str_blank(cfg->tls_certificate);
	if (shows != !str_blank(cfg->tls_key))
		return err_set(err, 400, "db_tls_certificate and db_tls_key go together");
	if (shows && str_blank(cfg->tls_ca))
		return err_set(err, 400, "db_tls_certificate needs db_tls_ca");
	return 0;
}

int db_config_copy(struct db_config *to, const struct db_config *from, struct loom_err *err)
{
	copy_texts(to, from);
	int rc = read_password(to, err);
	return rc ? rc : check_tls(to, err);
}

void db_config_free(struct db_config *cfg)
{
	loom_free(cfg->host);
	loom_free(cfg->socket);
	loom_free(cfg->user);
	loom_free(cfg->password);
	loom_free(cfg->password_file);
	loom_free(cfg->name);
	loom_free(cfg->tls_ca);
	loom_free(cfg->tls_certificate);
	loom_free(cfg->tls_key);
}
