/* SPDX-License-Identifier: Apache-2.0 */
/* Parses an ID token and checks its claims. */
#include "services/ui-gateway/idtoken.h"

#include "common/json/json.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define FORM        sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define LEEWAY_MS   60000 /* tolerated clock difference */
#define SECONDS_MAX INT64_C(100000000000)

static bool is_one(const char *text)
{
	size_t dots = 0;
	for (const char *p = text; *p; p++)
		dots += *p == '.';
	return dots == 2 && *text != '.' && strlen(text) <= IDTOKEN_MOST;
}

/* The claims: the part between the two dots. */
static struct json *claims_of(const char *text)
{
	char raw[IDTOKEN_MOST];
	size_t n = 0;
	struct json *v = NULL;
	if (!is_one(text))
		return NULL;
	const char *begin = strchr(text, '.') + 1;
	if (sodium_base642bin((unsigned char *)raw, sizeof(raw), begin, strcspn(begin, "."), NULL,
	                      &n, NULL, FORM) ||
	    json_parse_few(raw, n, sizeof(raw), &v, NULL))
		return NULL;
	if (json_is(v, JSON_OBJECT))
		return v;
	json_free(v);
	return NULL;
}

/* A text without NULs; NULL: none. */
static const char *text_of(const struct json *claims, const char *name)
{
	const struct json *v = json_get(claims, name);
	return json_is(v, JSON_STRING) && strlen(json_str(v)) == json_str_len(v) ? json_str(v)
	                                                                         : NULL;
}

/* Seconds, possibly with a fraction, to ms; 0: none. */
static int64_t time_of(const struct json *claims, const char *name)
{
	const struct json *v = json_get(claims, name);
	int64_t whole = 0;
	if (!json_is(v, JSON_NUMBER))
		return 0;
	LOOM_CLEANUP_STR char *digits = loom_strndup(json_str(v), strcspn(json_str(v), "."));
	if (strpbrk(json_str(v), "eE") || str_to_int(digits, &whole) || whole < 0 ||
	    whole > SECONDS_MAX)
		return 0;
	return whole * 1000;
}

static bool is_for(const struct json *claims, const char *client)
{
	const struct json *aud = json_get(claims, "aud");
	return json_is(aud, JSON_STRING) ? str_eq(text_of(claims, "aud"), client)
	                                 : json_arr_has_str(aud, client);
}

static int check(const struct json *claims, const struct idtoken_rules *r, struct loom_err *err)
{
	const char *issuer = text_of(claims, "iss"), *nonce = text_of(claims, "nonce");
	const char *subject = text_of(claims, "sub");
	int64_t ends = time_of(claims, "exp");
	if (!str_eq(issuer, r->issuer))
		return err_set(err, 400, "iss '%.100s' is not %s (oidc_issuer)",
		               issuer ? issuer : "", r->issuer);
	if (!is_for(claims, r->client))
		return err_set(err, 400, "aud does not name %s (oidc_client_id)", r->client);
	if (json_get(claims, "azp") && !str_eq(text_of(claims, "azp"), r->client))
		return err_set(err, 400, "azp is not %s (oidc_client_id)", r->client);
	if (r->nonce && !str_eq(nonce, r->nonce))
		return err_set(err, 400, "nonce is not that of this login");
	if (str_blank(subject) || strlen(subject) >= IDTOKEN_SUBJECT)
		return err_set(err, 400, "sub does not say whose it is, in at most %d bytes",
		               IDTOKEN_SUBJECT - 1);
	if (r->subject && !str_eq(subject, r->subject))
		return err_set(err, 400, "sub is another user");
	if (!ends)
		return err_set(err, 400, "exp does not say when it ends");
	if (r->now >= ends + LEEWAY_MS)
		return err_set(err, 400, "exp: it has ended already; do the clocks agree?");
	return 0;
}

int idtoken_read(const char *text, const struct idtoken_rules *rules, struct idtoken *ret,
                 struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *claims = claims_of(text);
	if (!claims)
		return err_set(err, 400, "it is not a JWT of at most %zu bytes", IDTOKEN_MOST);
	int rc = check(claims, rules, err);
	if (rc)
		return rc;
	snprintf(ret->subject, sizeof(ret->subject), "%s", text_of(claims, "sub"));
	ret->ends = time_of(claims, "exp");
	return 0;
}

void idtoken_subject(const char *text, char ret[IDTOKEN_SUBJECT])
{
	LOOM_CLEANUP(json_free) struct json *claims = claims_of(text);
	const char *subject = text_of(claims, "sub");
	snprintf(ret, IDTOKEN_SUBJECT, "%s", subject ? subject : "");
}
