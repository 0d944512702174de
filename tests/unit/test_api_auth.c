/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens, their scopes, settings of who is believed, and how long wrong passwords cost. */
#include "services/api/request/auth.h"

#include "common/base/str.h"
#include "common/model/identity/own_role.h"
#include "common/model/identity/signin.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>

START_TEST(tokens_are_made_and_known_by_their_form)
{
	char text[TOKEN_TEXT], other[TOKEN_TEXT], hash[TOKEN_HASH];
	struct token t, u;
	token_make(text, &t);
	token_make(other, &u);
	ck_assert_uint_eq(strlen(text), TOKEN_TEXT - 1);
	ck_assert_msg(str_starts(text, TOKEN_PREFIX), "%s", text);
	ck_assert_str_ne(text, other);
	ck_assert_str_ne(t.id, u.id);
	ck_assert(token_hash(text, hash));
	ck_assert_str_eq(hash, t.hash);
	ck_assert_ptr_null(strstr(t.hash, text + strlen(TOKEN_PREFIX)));

	static const char *const wrong[] = { "", "loom_", "loom_short", "admin",
		                             "moom_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" };
	for (size_t i = 0; i < LOOM_COUNT(wrong); i++)
		ck_assert_msg(!token_hash(wrong[i], hash), "%s", wrong[i]);
}
END_TEST

static const struct {
	const char *have, *wanted;
	bool yes;
} scopes[] = {
	{ "", "clusters:write", true },
	{ "clusters:read", "", true },
	{ "clusters:read", "clusters:read", true },
	{ "clusters:read", "clusters:write", false },
	{ "clusters:write", "clusters:read", true },
	{ "clusters:write", "clusters:write", true },
	{ "catalog:read clusters:write", "clusters:read", true },
	{ "catalog:read clusters:write", "catalog:write", false },
	{ "clusters:writes", "clusters:read", false },
	{ "cluster:write", "clusters:read", false },
	{ "clusters:read", "provisioners:read", false },
	{ "tasks:work", "tasks:read", false },
	{ "clusters:write", "clusters:stop", true },
	{ "clusters:stop", "clusters:stop", true },
	{ "clusters:stop", "clusters:start", false },
	{ "clusters:stop", "clusters:read", false },
	{ "clusters:stop", "clusters:write", false },
	{ "clusters:sto", "clusters:stop", false },
	{ "session:read", "session:end", false },
};

START_TEST(scopes_bound_a_token)
{
	struct identity who = { 0 };
	snprintf(who.scopes, sizeof(who.scopes), "%s", scopes[_i].have);
	ck_assert_msg(auth_has_scope(&who, scopes[_i].wanted) == scopes[_i].yes, "'%s' for '%s'",
	              scopes[_i].have, scopes[_i].wanted);
}
END_TEST

/* A role, one that it is narrowed to, and what is left. */
static const struct {
	enum account_role role, to;
	bool some;
	enum account_role left;
} narrowings[] = {
	{ ACCOUNT_ADMIN, ACCOUNT_USER, true, ACCOUNT_USER },
	{ ACCOUNT_ADMIN, ACCOUNT_AUDITOR, true, ACCOUNT_AUDITOR },
	{ ACCOUNT_ADMIN, ACCOUNT_ADMIN, true, ACCOUNT_ADMIN },
	{ ACCOUNT_USER, ACCOUNT_ADMIN, true, ACCOUNT_USER },
	{ ACCOUNT_AUDITOR, ACCOUNT_ADMIN, true, ACCOUNT_AUDITOR },
	{ ACCOUNT_USER, ACCOUNT_USER, true, ACCOUNT_USER },
	{ ACCOUNT_USER, ACCOUNT_AUDITOR, false, ACCOUNT_USER },
	{ ACCOUNT_AUDITOR, ACCOUNT_USER, false, ACCOUNT_AUDITOR },
	{ ACCOUNT_PROVISIONER, ACCOUNT_ADMIN, false, ACCOUNT_PROVISIONER },
	{ ACCOUNT_PROVISIONER, ACCOUNT_USER, false, ACCOUNT_PROVISIONER },
};

START_TEST(a_narrower_role_never_gives_more)
{
	enum account_role left;
	bool some = account_role_least(narrowings[_i].role, narrowings[_i].to, &left);
	ck_assert_int_eq(some, narrowings[_i].some);
	if (some)
		ck_assert_int_eq(left, narrowings[_i].left);
}
END_TEST

START_TEST(names_are_whole_or_begin_so)
{
	LOOM_CLEANUP(json_free) struct json *names = json_new_arr();
	ck_assert(own_role_names(NULL, "any"));
	ck_assert(!own_role_names(names, "any"));
	json_push(json_push(names, json_new_str("one")), json_new_str("web-*"));
	static const char *const yes[] = { "one", "web-", "web-shop" };
	static const char *const no[] = { "on", "ones", "web", "wet-shop", "", "web*", NULL };
	for (size_t i = 0; i < LOOM_COUNT(yes); i++)
		ck_assert_msg(own_role_names(names, yes[i]), "%s", yes[i]);
	for (size_t i = 0; i < LOOM_COUNT(no); i++)
		ck_assert_msg(!own_role_names(names, no[i]), "%s", no[i] ? no[i] : "none");
}
END_TEST

static const struct {
	const char *mode, *listen;
	bool anyway;
	const char *refused; /* a part of the words; NULL: fine */
} settings[] = {
	{ "token", "0.0.0.0:55054", false, NULL },
	{ "headers", "127.0.0.1:55054", false, NULL },
	{ "headers", "10.1.2.3:55054", false, NULL },
	{ "headers", "[::1]:55054", false, NULL },
	{ "headers", "0.0.0.0:55054", false, "auth_headers_public" },
	{ "headers", "[::]:55054", false, "auth_headers_public" },
	{ "headers", "198.51.100.7:55054", false, "auth_headers_public" },
	{ "headers", "198.51.100.7:55054", true, NULL },
	{ "none", "127.0.0.1:55054", false, "neither token nor headers" },
	{ "", "127.0.0.1:55054", false, "neither token nor headers" },
};

START_TEST(headers_are_believed_on_private_addresses_only)
{
	LOOM_CLEANUP_STR char *mode = loom_strdup(settings[_i].mode);
	LOOM_CLEANUP_STR char *listen = loom_strdup(settings[_i].listen);
	const struct api_config cfg = { .auth_mode = mode,
		                        .external_listen = listen,
		                        .auth_headers_public = settings[_i].anyway };
	struct loom_err err = { 0 };
	int rc = auth_config_check(&cfg, &err);
	ck_assert_msg(!rc == !settings[_i].refused, "%s at %s: %s", mode, listen, err.msg);
	if (rc)
		ck_assert_msg(strstr(err.msg, settings[_i].refused), "%s", err.msg);
}
END_TEST

START_TEST(wrong_passwords_cost_more_and_more)
{
	int64_t expected = 1000;
	for (int64_t n = 0; n < SIGNIN_FREE; n++)
		ck_assert_int_eq(signin_cost(n), 0);
	for (int64_t n = SIGNIN_FREE; n < 200; n++) {
		ck_assert_int_eq(signin_cost(n), expected);
		expected = expected * 2 < SIGNIN_MOST_MS ? expected * 2 : SIGNIN_MOST_MS;
	}
	ck_assert_int_eq(signin_cost(INT64_MAX), SIGNIN_MOST_MS);
}
END_TEST

START_TEST(passwords_are_kept_as_hashes)
{
	LOOM_CLEANUP_STR char *hash = account_password_hash("correct horse battery");
	LOOM_CLEANUP_STR char *again = account_password_hash("correct horse battery");
	ck_assert(str_starts(hash, "$argon2id$"));
	ck_assert_str_ne(hash, again);
	ck_assert(account_password_right(hash, "correct horse battery"));
	ck_assert(!account_password_right(hash, "correct horse batterx"));
	ck_assert(!account_password_right("", ""));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("auth");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, tokens_are_made_and_known_by_their_form);
	tcase_add_loop_test(t, scopes_bound_a_token, 0, LOOM_COUNT(scopes));
	tcase_add_loop_test(t, a_narrower_role_never_gives_more, 0, LOOM_COUNT(narrowings));
	tcase_add_test(t, names_are_whole_or_begin_so);
	tcase_add_loop_test(t, headers_are_believed_on_private_addresses_only, 0,
	                    LOOM_COUNT(settings));
	tcase_add_test(t, wrong_passwords_cost_more_and_more);
	tcase_add_test(t, passwords_are_kept_as_hashes);
	return UNIT_RUN("api_auth", t);
}
