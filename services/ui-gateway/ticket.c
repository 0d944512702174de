/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions and login attempts as sealed texts. */
#include "services/ui-gateway/ticket.h"

#include "common/base/ids.h"
#include "common/json/json.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define FORM    sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define SECRET  32 /* random bytes of state, nonce and verifier */
#define ATTEMPT "login attempt"
#define SESSION "login session"

static void wipe(char *text)
{
	if (text)
		sodium_memzero(text, strlen(text));
	loom_free(text);
}

static char *seal_doc(const struct seal_key *k, const char *what, const struct json *doc)
{
	char *text = json_text(doc), *sealed = seal_text(k, what, text);
	wipe(text);
	return sealed;
}

static struct json *open_doc(const struct seal_key *k, const char *what, const char *sealed)
{
	struct json *doc = NULL;
	char *text = seal_open(k, what, sealed);
	if (text && json_parse_few(text, strlen(text), 0, &doc, NULL))
		doc = NULL;
	wipe(text);
	return doc;
}

/* ---- a session ------------------------------------------------------------------------------- */

struct ticket_session *ticket_session_new(const char *token, const char *renewal)
{
	struct ticket_session *s = loom_calloc(1, sizeof(*s));
	id_random_hex(s->id, (TICKET_ID - 1) / 2);
	s->token = loom_strdup(token);
	s->renewal = loom_strdup(renewal);
	return s;
}

struct ticket_session *ticket_session_copy(const struct ticket_session *s)
{
	struct ticket_session *copy = loom_malloc(sizeof(*copy));
	*copy = *s;
	copy->token = loom_strdup(s->token);
	copy->renewal = loom_strdup(s->renewal);
	return copy;
}

void ticket_session_free(struct ticket_session *s)
{
	if (!s)
		return;
	wipe(s->token);
	wipe(s->renewal);
	loom_free(s);
}

char *ticket_session_seal(const struct seal_key *k, const struct ticket_session *s)
{
	LOOM_CLEANUP(json_free) struct json *o = json_new_obj();
	json_set_str(o, "id", s->id);
	json_set_str(o, "token", s->token);
	json_set_str(o, "renewal", s->renewal);
	json_set_int(o, "began", s->began);
	json_set_int(o, "issued", s->issued);
	json_set_int(o, "ends", s->ends);
	return seal_doc(k, SESSION, o);
}

struct ticket_session *ticket_session_open(const struct seal_key *k, const char *sealed)
{
	LOOM_CLEANUP(json_free) struct json *o = open_doc(k, SESSION, sealed);
	const char *id = json_get_str(o, "id"), *token = json_get_str(o, "token");
	if (!id || strlen(id) != TICKET_ID - 1 || !token)
		return NULL;
	struct ticket_session *s = ticket_session_new(token, json_get_str(o, "renewal"));
	memcpy(s->id, id, TICKET_ID);
	s->began = json_get_int(o, "began", 0);
	s->issued = json_get_int(o, "issued", 0);
	s->ends = json_get_int(o, "ends", 0);
	return s;
}

bool ticket_session_is_due(const struct ticket_session *s, int64_t now)
{
	return s->renewal && now >= s->ends - (s->ends - s->issued) / 4;
}

/* ---- a login that has begun ------------------------------------------------------------------ */

static char *random_text(void)
{
	unsigned char bytes[SECRET];
	size_t room = sodium_base64_encoded_len(sizeof(bytes), FORM);
	char *text = loom_malloc(room);
	randombytes_buf(bytes, sizeof(bytes));
	return sodium_bin2base64(text, room, bytes, sizeof(bytes), FORM);
}

struct ticket_attempt *ticket_attempt_new(const char *redirect, const char *to, int64_t ends)
{
	struct ticket_attempt *a = loom_calloc(1, sizeof(*a));
	*a = (struct ticket_attempt){ .state = random_text(),
		                      .nonce = random_text(),
		                      .verifier = random_text(),
		                      .redirect = loom_strdup(redirect),
		                      .to = loom_strdup(to),
		                      .ends = ends };
	return a;
}

void ticket_attempt_free(struct ticket_attempt *a)
{
	if (!a)
		return;
	wipe(a->state);
	wipe(a->nonce);
	wipe(a->verifier);
	loom_free(a->redirect);
	loom_free(a->to);
	loom_free(a);
}

char *ticket_attempt_seal(const struct seal_key *k, const struct ticket_attempt *a)
{
	LOOM_CLEANUP(json_free) struct json *o = json_new_obj();
	json_set_str(o, "state", a->state);
	json_set_str(o, "nonce", a->nonce);
	json_set_str(o, "verifier", a->verifier);
	json_set_str(o, "redirect", a->redirect);
	json_set_str(o, "to", a->to);
	json_set_int(o, "ends", a->ends);
	return seal_doc(k, ATTEMPT, o);
}

struct ticket_attempt *ticket_attempt_open(const struct seal_key *k, const char *sealed)
{
	LOOM_CLEANUP(json_free) struct json *o = open_doc(k, ATTEMPT, sealed);
	struct ticket_attempt *a = loom_calloc(1, sizeof(*a));
	*a = (struct ticket_attempt){ .state = loom_strdup(json_get_str(o, "state")),
		                      .nonce = loom_strdup(json_get_str(o, "nonce")),
		                      .verifier = loom_strdup(json_get_str(o, "verifier")),
		                      .redirect = loom_strdup(json_get_str(o, "redirect")),
		                      .to = loom_strdup(json_get_str(o, "to")),
		                      .ends = json_get_int(o, "ends", 0) };
	if (a->state && a->nonce && a->verifier && a->redirect && a->to)
		return a;
	ticket_attempt_free(a);
	return NULL;
}

bool ticket_attempt_is(const struct ticket_attempt *a, const char *state)
{
	size_t n = strlen(a->state);
	return state && strlen(state) == n && sodium_memcmp(a->state, state, n) == 0;
}

char *ticket_challenge(const char *verifier)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	size_t room = sodium_base64_encoded_len(sizeof(hash), FORM);
	char *text = loom_malloc(room);
	crypto_hash_sha256(hash, (const unsigned char *)verifier, strlen(verifier));
	return sodium_bin2base64(text, room, hash, sizeof(hash), FORM);
}
