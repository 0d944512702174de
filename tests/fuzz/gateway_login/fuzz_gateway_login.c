/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Cookie header, a path to go to after a login, and an ID token as a provider writes it. What is
 * not ours opens nothing; what is put into cookies comes back; and a path that is taken names no
 * other site.
 */
#include "tests/fuzz/fuzz.h"

#include "services/ui-gateway/cookie.h"
#include "services/ui-gateway/idtoken.h"
#include "services/ui-gateway/rules.h"
#include "services/ui-gateway/ticket.h"

#include <sodium.h>
#include <string.h>

static const struct seal_key key = { true, { 1 } };

static void read_cookies(const char *header)
{
	LOOM_CLEANUP_STR char *sealed = cookie_get_long(header, "c");
	LOOM_CLEANUP_STR char *one = cookie_get(header, "c", COOKIE_PIECE);
	loom_assert(!sealed || strlen(sealed) <= COOKIE_MOST);
	if (sealed) {
		loom_assert(!ticket_session_open(&key, sealed));
		loom_assert(!ticket_attempt_open(&key, sealed));
	}
	/* whatever its text, a sealed one is read as what it is */
	LOOM_CLEANUP_STR char *again = one ? seal_text(&key, "login session", one) : NULL;
	if (again)
		ticket_session_free(ticket_session_open(&key, again));
}

static void seal_and_open(const char *text)
{
	LOOM_CLEANUP(strs_fini) struct strs set = { 0 };
	LOOM_CLEANUP(ticket_session_free)
	struct ticket_session *s = ticket_session_new("a.b.c", NULL);
	LOOM_CLEANUP_STR char *sealed = ticket_session_seal(&key, s);
	LOOM_CLEANUP_STR char *doc = seal_text(&key, "login session", text);
	ticket_session_free(ticket_session_open(&key, doc));
	loom_assert(cookie_put_long(&set, "c", sealed, "Path=/"));
	LOOM_CLEANUP_STR char *header =
		loom_asprintf("%.*s", (int)strcspn(set.v[0], ";"), set.v[0]);
	LOOM_CLEANUP_STR char *back = cookie_get_long(header, "c");
	loom_assert(str_eq(back, sealed));
}

static void read_token(const char *text)
{
	const struct idtoken_rules rules = { "https://id", "loom", "n", NULL, 1000000 };
	struct idtoken found;
	struct loom_err err = { 0 };
	int rc = idtoken_read(text, &rules, &found, &err);
	loom_assert(rc ? rc == 400 && *err.msg : *found.subject && found.ends > 0);
	char subject[IDTOKEN_SUBJECT];
	idtoken_subject(text, subject);
	loom_assert(rc || str_eq(subject, found.subject));
}

/* The claims alone, in the form of a token: else hardly any input would come so far. */
static void read_claims(const char *text, size_t len)
{
	size_t room = sodium_base64_encoded_len(len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	LOOM_CLEANUP_STR char *middle = loom_malloc(room);
	sodium_bin2base64(middle, room, (const unsigned char *)text, len,
	                  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	LOOM_CLEANUP_STR char *token = loom_asprintf("e30.%s.c2ln", middle);
	read_token(token);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	LOOM_CLEANUP_STR char *text = loom_strndup((const char *)data, size);
	read_cookies(text);
	seal_and_open(text);
	read_token(text);
	read_claims((const char *)data, size);
	if (rules_is_local(text))
		loom_assert(text[0] == '/' && text[1] != '/' && !strpbrk(text, "\\ \t\r\n"));
	return 0;
}
