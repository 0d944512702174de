/* SPDX-License-Identifier: Apache-2.0 */
/* Identity: signing in and out, users of a tenant, tokens. */
#include "services/cli/identity.h"

#include "services/cli/commands.h"
#include "services/cli/table.h"

#include "common/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define SECRET_MAX 4096

static const int ending[] = { SIGINT, SIGTERM, SIGQUIT, SIGHUP };

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

/* Makes its parent, too: ~/.config may not exist yet. */
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

/* Dates the file to the token's end, which a logout tells that nobody answers. */
static int write_token(int fd, const char *token, int64_t end_ms)
{
	const struct timespec end = { .tv_sec = end_ms / 1000 }, times[] = { end, end };
	int rc = write_all(fd, token);
	if (!rc)
		rc = write_all(fd, "\n");
	return rc ? rc : futimens(fd, times) ? -errno : 0;
}

static int save_token(const char *token, int64_t end_ms)
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
	rc = fd < 0 ? -errno : write_token(fd, token, end_ms);
	if (!rc && rename(fresh, file) != 0)
		rc = -errno;
	if (rc)
		(void)unlink(fresh);
	return rc;
}

/* ---- secrets --------------------------------------------------------------------------------- */

static void wipe(char **s)
{
	if (*s)
		sodium_memzero(*s, strlen(*s));
	loom_free(*s);
}
#define SECRET __attribute__((cleanup(wipe))) char *

/* The file's only line. Returns owned; NULL after printing an error. */
static char *secret_of_file(const char *option, const char *path)
{
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(SECRET_MAX);
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

/* Reads a line. A signal that would end us is held until the terminal shows again what is typed. */
static bool read_line(FILE *tty, const char *prompt, char *line, int size)
{
	struct termios before, quiet;
	sigset_t ends, held;
	sigemptyset(&ends);
	for (size_t i = 0; i < LOOM_COUNT(ending); i++)
		sigaddset(&ends, ending[i]);
	LOOM_CLEANUP_FD int signals = signalfd(-1, &ends, SFD_CLOEXEC);
	struct pollfd both[] = { { .fd = fileno(tty), .events = POLLIN },
		                 { .fd = signals, .events = POLLIN } };
	if (signals < 0 || tcgetattr(fileno(tty), &before))
		return false;
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	(void)sigprocmask(SIG_BLOCK, &ends, &held);
	(void)tcsetattr(fileno(tty), TCSAFLUSH, &quiet);
	(void)fputs(prompt, tty);
	(void)fflush(tty);
	bool got = poll(both, 2, -1) > 0 && !both[1].revents && fgets(line, size, tty);
	(void)tcsetattr(fileno(tty), TCSAFLUSH, &before);
	(void)fputs("\n", tty);
	(void)fflush(tty);
	(void)sigprocmask(SIG_SETMASK, &held, NULL);
	return got;
}

static char *ask(const char *prompt)
{
	char line[SECRET_MAX];
	FILE *tty = fopen("/dev/tty", "r+e");
	if (!tty) {
		(void)cli_fail(CLI_USAGE, "there is no terminal to ask at: give the password with "
		                          "--password-file FILE (-: stdin)");
		return NULL;
	}
	bool got = read_line(tty, prompt, line, sizeof(line));
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

/* Reads a new password; from a terminal twice. */
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
	/* Do not send an old token, which may have expired. */
	strs_fini(&c->headers);
	int code = cli_request_json(c, "POST", "/v2/login", body, JSON_OBJECT, &answer);
	if (code)
		return code;
	const char *token;
	code = cli_need(c, answer, "token", &token);
	if (code)
		return code;
	int64_t end_ms = json_get_int(answer, "expireTime", 0);
	int rc = save_token(token, end_ms);
	if (rc) {
		LOOM_CLEANUP_STR char *file = identity_file();
		return cli_fail(CLI_FAILED, "the token cannot be kept in %s: %s",
		                file ? file : "~/.config/loom/token", strerrordesc_np(-rc));
	}
	char until[32];
	clock_format(end_ms, until);
	if (!c->json)
		printf("signed in as %s of %s (%s) until %.16sZ\n", c->user, c->tenant,
		       cli_text(answer, "role"), until);
	return CLI_OK;
}

/* The login is removed here, but its token is good for whoever has a copy. */
static void warn_of_token(const char *file)
{
	struct stat st = { 0 };
	char until[32];
	bool known = stat(file, &st) == 0 && st.st_mtime * 1000 > clock_wall_ms();
	clock_format(st.st_mtime * 1000, until);
	fprintf(stderr,
	        "      You are signed out here, but the token was not revoked:\n"
	        "      Loom takes it until %.16s%s.\n",
	        known ? until : "its end", known ? "Z" : "");
}

/* Only a session ends with a logout. Loom of the version before does not say which it was. */
static int end_session(struct cli *c)
{
	LOOM_CLEANUP_STR char *text = NULL;
	int code = cli_request(c, "POST", "/v2/logout", NULL, &text);
	LOOM_CLEANUP(json_free) struct json *answer = NULL;
	if (code || json_parse_str(text, &answer, NULL) || json_get_bool(answer, "ended", true))
		return code;
	return cli_fail(CLI_FAILED,
	                "the token is not a login's, so nothing was ended and it stays good: "
	                "'loom token list' and 'loom token delete' revoke one");
}

/* With a token of its own (--token-file, LOOM_TOKEN) the last login is another's, and stays. */
int identity_logout(struct cli *c, const struct args *a LOOM_UNUSED)
{
	int code = end_session(c);
	if (!c->login)
		return code;
	if (code && c->status != 401)
		warn_of_token(c->login);
	if (unlink(c->login) != 0 && errno != ENOENT)
		return cli_fail(CLI_FAILED, "%s cannot be removed: %s", c->login,
		                strerrordesc_np(errno));
	return code;
}

int identity_whoami(struct cli *c, const struct args *a LOOM_UNUSED)
{
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	int code = cli_get(c, "/v2/whoami", JSON_OBJECT, &v);
	if (code || !v)
		return code;
	const char *scopes = json_get_str(v, "scopes");
	const struct json *own = json_get(v, "narrowedBy");
	LOOM_CLEANUP_STR char *narrowed = cell_text(own);
	printf("%s of %s (%s)%s%s%s%s\n", cli_text(v, "user"), cli_text(v, "tenant"),
	       cli_text(v, "role"), json_len(own) ? ", narrowed by " : "",
	       json_len(own) ? narrowed : "", scopes && *scopes ? ", only for " : "",
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
		return cli_fail(CLI_USAGE, "--role is needed: user, auditor, admin, provisioner, "
		                           "or one of the tenant's own");
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

/* ---- roles -----------------------------------------------------------------------------------
 */

static const char *const role_lists[] = { "permissions", "templates", "providers" };

int role_set(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *body = json_new_obj();
	LOOM_CLEANUP_STR char *name = cli_quote(a->positional[0]);
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/roles/%s", name);
	if (!args_has(a, "base") || !args_has(a, "permissions"))
		return cli_fail(CLI_USAGE, "--base ROLE and --permissions A,B are needed");
	json_set_str(body, "base", args_get(a, "base"));
	json_set_str(body, "description", args_get(a, "description"));
	for (size_t i = 0; i < LOOM_COUNT(role_lists); i++) {
		if (args_has(a, role_lists[i]))
			json_set(body, role_lists[i], split_names(args_get(a, role_lists[i])));
	}
	return cli_request(c, "PUT", path, body, NULL);
}

int role_delete(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP_STR char *name = cli_quote(a->positional[0]);
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/roles/%s", name);
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
	table_init(&t, "ID|NAME|USER|KIND|ROLE|SCOPES|ENDS|LAST USED");
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_at(list, i);
		const char *scopes = json_get_str(v, "scopes"), *role = json_get_str(v, "role");
		table_add(&t, json_get_str(v, "id"));
		table_add(&t, json_get_str(v, "name"));
		table_add(&t, json_get_str(v, "user"));
		table_add(&t, json_get_str(v, "kind"));
		table_add(&t, role && *role ? role : "user's");
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
	int64_t ms = 0, now = clock_wall_ms();
	struct loom_err err;
	if (!args_has(a, "expires"))
		return CLI_OK;
	if (duration_option(a, "expires", &ms, &err))
		return cli_fail(CLI_USAGE, "%s", err.msg);
	if (!ms || ms > INT64_MAX - now)
		return cli_fail(CLI_USAGE, "--expires is a time such as 12h or 90d, not '%s'",
		                args_get(a, "expires"));
	json_set_int(body, "expireTime", now + ms);
	return CLI_OK;
}

int token_create(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *body = json_new_obj(), *answer = NULL;
	const char *of = args_get(a, "of"), *scopes = args_get(a, "scopes");
	json_set_str(body, "name", a->positional[0]);
	if (of)
		json_set_str(body, "user", of);
	json_set_str(body, "role", args_get(a, "role"));
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
	const char *token;
	code = cli_need(c, answer, "token", &token);
	if (code)
		return code;
	if (c->json)
		cli_print_json(answer);
	else
		puts(token);
	return CLI_OK;
}

int token_delete(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP_STR char *id = cli_quote(a->positional[0]);
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/tokens/%s", id);
	return cli_request(c, "DELETE", path, NULL, NULL);
}
