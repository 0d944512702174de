/* SPDX-License-Identifier: Apache-2.0 */
/* Who one is: signing in and out, users of a tenant, tokens. */
#include "services/cli/identity.h"

#include "services/cli/commands.h"
#include "services/cli/table.h"

#include "common/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define SECRET_MAX 4096

/* ---- the token of whoever has signed in ------------------------------------------------------ */

static char *config_folder(void)
{
	const char *base = getenv("XDG_CONFIG_HOME"); /* NOLINT(concurrency-mt-unsafe) */
	const char *home = getenv("HOME");            /* NOLINT(concurrency-mt-unsafe) */
	if (base && *base == '/')
		return loom_asprintf("%s/loom", base);
	return home && *home ? loom_asprintf("%s/.config/loom", home) : NULL;
}

char *identity_file(void)
{
	LOOM_CLEANUP_STR char *folder = config_folder();
	return folder ? loom_asprintf("%s/token", folder) : NULL;
}

/* The first folder above it is made, too: ~/.config may not be there yet. */
static int make_folders(const char *folder)
{
	LOOM_CLEANUP_STR char *above = loom_strdup(folder);
	char *slash = strrchr(above, '/');
	if (slash && slash != above) {
		*slash = '\0';
		(void)mkdir(above, 0700);
	}
	return mkdir(folder, 0700) && errno != EEXIST ? -errno : 0;
}

static int write_all(int fd, const char *text)
{
	for (size_t left = strlen(text); left;) {
		ssize_t n = write(fd, text, left);
		if (n < 0)
			return -errno;
		text += n;
		left -= (size_t)n;
	}
	return 0;
}

static int save_token(const char *token)
{
	LOOM_CLEANUP_STR char *folder = config_folder();
	if (!folder)
		return -ENOENT;
	LOOM_CLEANUP_STR char *file = loom_asprintf("%s/token", folder);
	LOOM_CLEANUP_STR char *fresh = loom_asprintf("%s/token.%ld", folder, (long)getpid());
	int rc = make_folders(folder);
	if (rc)
		return rc;
	(void)unlink(fresh);
	LOOM_CLEANUP_FD int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	rc = fd < 0 ? -errno : write_all(fd, token);
	if (!rc)
		rc = write_all(fd, "\n");
	return rc ? rc : rename(fresh, file) ? -errno : 0;
}

/* ---- secrets --------------------------------------------------------------------------------- */

static void wipe(char **s)
{
	if (*s)
		sodium_memzero(*s, strlen(*s));
	loom_free(*s);
}
#define SECRET __attribute__((cleanup(wipe))) char *

/* Its only line. Returns owned; NULL after a word of why. */
static char *secret_of_file(const char *option, const char *path)
{
	__attribute__((cleanup(buf_fini_p))) struct buf b = BUF_INIT(SECRET_MAX);
	int rc = cli_read_file(path, &b);
	const char *text = buf_str(&b);
	size_t n = rc ? 0 : strcspn(text, "\r\n");
	char *ret = n ? loom_strndup(text, n) : NULL;
	if (rc)
		(void)cli_fail(CLI_USAGE, "--%s: %s: %s", option, path, strerrordesc_np(-rc));
	else if (!n)
		(void)cli_fail(CLI_USAGE, "--%s: %s is empty", option, path);
	if (b.len)
		sodium_memzero(b.data, b.len);
	return ret;
}

static char *ask(const char *prompt)
{
	struct termios before, quiet;
	char line[SECRET_MAX];
	FILE *tty = fopen("/dev/tty", "r+e");
	if (!tty || tcgetattr(fileno(tty), &before)) {
		if (tty)
			(void)fclose(tty);
		(void)cli_fail(CLI_USAGE, "there is no terminal to ask at: give the password with "
		                          "--password-file FILE (-: stdin)");
		return NULL;
	}
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	(void)tcsetattr(fileno(tty), TCSAFLUSH, &quiet);
	(void)fputs(prompt, tty);
	(void)fflush(tty);
	bool got = fgets(line, sizeof(line), tty);
	(void)tcsetattr(fileno(tty), TCSAFLUSH, &before);
	(void)fputs("\n", tty);
	(void)fclose(tty);
	line[got ? strcspn(line, "\r\n") : 0] = '\0';
	char *ret = *line ? loom_strdup(line) : NULL;
	sodium_memzero(line, sizeof(line));
	if (!ret)
		(void)cli_fail(CLI_USAGE, "no password was given");
	return ret;
}

static char *password(const struct args *a, const char *option, const char *prompt)
{
	const char *file = args_get(a, option);
	return file ? secret_of_file(option, file) : ask(prompt);
}

/* A new one is asked for twice. */
static char *new_password(const struct args *a, const char *option)
{
	char *once = password(a, option, "New password: ");
	if (!once || args_has(a, option))
		return once;
	SECRET again = ask("Again: ");
	if (again && str_eq(once, again))
		return once;
	if (again)
		(void)cli_fail(CLI_USAGE, "the two are not the same");
	wipe(&once);
	return NULL;
}

/* ---- signing in and out ---------------------------------------------------------------------- */

int identity_login(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *body = json_new_obj(), *answer = NULL;
	LOOM_CLEANUP_STR char *prompt = loom_asprintf("Password of %s in %s: ", c->user, c->tenant);
	SECRET secret = password(a, "password-file", prompt);
	if (!secret)
		return CLI_USAGE;
	json_set_str(body, "tenant", c->tenant);
	json_set_str(body, "user", c->user);
	json_set_str(body, "password", secret);
	/* A token of before, which may have ended, is not shown. */
	strs_fini(&c->headers);
	int code = cli_request_json(c, "POST", "/v2/login", body, JSON_OBJECT, &answer);
	if (code)
		return code;
	int rc = save_token(json_get_str(answer, "token"));
	if (rc)
		return cli_fail(CLI_FAILED, "the token cannot be kept in ~/.config/loom/token: %s",
		                strerrordesc_np(-rc));
	char until[32];
	clock_format(json_get_int(answer, "expireTime", 0), until);
	if (!c->json)
		printf("signed in as %s of %s (%s) until %.16sZ\n", c->user, c->tenant,
		       json_get_str(answer, "role"), until);
	return CLI_OK;
}

int identity_logout(struct cli *c, const struct args *a LOOM_UNUSED)
{
	LOOM_CLEANUP_STR char *file = identity_file();
	int code = cli_request(c, "POST", "/v2/logout", NULL, NULL);
	if (file)
		(void)unlink(file);
	return code;
}

int identity_whoami(struct cli *c, const struct args *a LOOM_UNUSED)
{
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	int code = cli_get(c, "/v2/whoami", JSON_OBJECT, &v);
	if (code || !v)
		return code;
	const char *scopes = json_get_str(v, "scopes");
	printf("%s of %s (%s)%s%s\n", json_get_str(v, "user"), json_get_str(v, "tenant"),
	       json_get_str(v, "role"), scopes && *scopes ? ", only for " : "",
	       scopes ? scopes : "");
	return CLI_OK;
}

int identity_password(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *body = json_new_obj();
	SECRET old = password(a, "old-file", "Old password: ");
	SECRET fresh = old ? new_password(a, "new-file") : NULL;
	if (!fresh)
		return CLI_USAGE;
	json_set_str(body, "old", old);
	json_set_str(body, "new", fresh);
	return cli_request(c, "PUT", "/v2/password", body, NULL);
}

/* ---- users ----------------------------------------------------------------------------------- */

int user_set(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *body = json_new_obj();
	const char *role = args_get(a, "role"), *file = args_get(a, "password-file");
	LOOM_CLEANUP_STR char *name = cli_quote(a->positional[0]);
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/users/%s", name);
	SECRET secret = NULL;
	if (!role)
		return cli_fail(CLI_USAGE, "--role is needed: user, auditor, admin or provisioner");
	json_set_str(body, "role", role);
	if (args_has(a, "no-password"))
		json_set_str(body, "password", "");
	else if (file || args_has(a, "password")) {
		secret = new_password(a, "password-file");
		if (!secret)
			return CLI_USAGE;
		json_set_str(body, "password", secret);
	}
	return cli_request(c, "PUT", path, body, NULL);
}

int user_delete(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP_STR char *name = cli_quote(a->positional[0]);
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/users/%s", name);
	return cli_request(c, "DELETE", path, NULL, NULL);
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static void add_time(struct table *t, int64_t ms, const char *none)
{
	char text[32];
	clock_format(ms, text);
	if (ms)
		table_addf(t, "%.16sZ", text);
	else
		table_add(t, none);
}

int token_list(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *list = NULL;
	const char *user = args_get(a, "of");
	LOOM_CLEANUP_STR char *name = user ? cli_quote(user) : NULL;
	LOOM_CLEANUP_STR char *path =
		name ? loom_asprintf("/v2/tokens?user=%s", name) : loom_strdup("/v2/tokens");
	int code = cli_get(c, path, JSON_ARRAY, &list);
	if (code || !list)
		return code;
	struct table t;
	table_init(&t, "ID|NAME|USER|KIND|SCOPES|ENDS|LAST USED");
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_at(list, i);
		const char *scopes = json_get_str(v, "scopes");
		table_add(&t, json_get_str(v, "id"));
		table_add(&t, json_get_str(v, "name"));
		table_add(&t, json_get_str(v, "user"));
		table_add(&t, json_get_str(v, "kind"));
		table_add(&t, scopes && *scopes ? scopes : "all");
		add_time(&t, json_get_int(v, "expireTime", 0), "never");
		add_time(&t, json_get_int(v, "usedTime", 0), "-");
	}
	table_print(&t, "");
	table_fini(&t);
	return CLI_OK;
}

static int add_end(const struct args *a, struct json *body)
{
	const char *expires = args_get(a, "expires");
	int64_t ms = 0;
	if (!expires)
		return CLI_OK;
	if (clock_parse_ms(expires, &ms) || ms <= 0)
		return cli_fail(CLI_USAGE, "--expires is a time such as 12h or 90d, not '%s'",
		                expires);
	json_set_int(body, "expireTime", clock_wall_ms() + ms);
	return CLI_OK;
}

int token_create(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *body = json_new_obj(), *answer = NULL;
	const char *of = args_get(a, "of"), *scopes = args_get(a, "scopes");
	json_set_str(body, "name", a->positional[0]);
	if (of)
		json_set_str(body, "user", of);
	LOOM_CLEANUP_STR char *list = scopes ? loom_strdup(scopes) : NULL;
	for (char *comma = list; comma && (comma = strchr(comma, ','));)
		*comma = ' ';
	if (list)
		json_set_str(body, "scopes", list);
	int code = add_end(a, body);
	if (!code)
		code = cli_request_json(c, "POST", "/v2/tokens", body, JSON_OBJECT, &answer);
	if (code)
		return code;
	if (c->json)
		cli_print_json(answer);
	else
		printf("%s\n", json_get_str(answer, "token"));
	return CLI_OK;
}

int token_delete(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP_STR char *id = cli_quote(a->positional[0]);
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/tokens/%s", id);
	return cli_request(c, "DELETE", path, NULL, NULL);
}
