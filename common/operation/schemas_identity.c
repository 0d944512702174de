/* SPDX-License-Identifier: Apache-2.0 */
/* Identity: sign-in, users and tokens, in requests and answers. */
#include "common/operation/schemas.h"

#include "common/base/str.h"

#include <string.h>

/* clang-format off */
#define FIELDS(...) .fields = (const struct schema_field[]){ __VA_ARGS__, { 0 } }
#define SHOWN(title) .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN, .name = title
#define FILLED SCHEMA_FILLED
/* Unknown fields are refused: a token whose expireTime is misspelt would never end. */
#define ASKED .type = SCHEMA_OBJECT, .others = SCHEMA_CLOSED

static const char *const roles[] = { "user", "auditor", "admin", "provisioner", NULL };
static const struct schema role = { .type = SCHEMA_STRING, .words = roles };
static const struct schema any_role = { .type = SCHEMA_STRING, .max = 64,
	.doc = "user, auditor, admin, provisioner, or the name of a role of the tenant's own." };
static const struct schema own_role = { .type = SCHEMA_STRING, .max = 64,
	.doc = "A role of the tenant's own that narrows it, beside that of its user. Empty: none." };
static const struct schema long_text = { .type = SCHEMA_STRING, .max = 255 };
static const struct schema scopes = { .type = SCHEMA_STRING, .max = 1000,
	.doc = "What it is good for, with blanks between: clusters:read catalog:write. Empty: all." };
static const struct schema expire = { .type = SCHEMA_INTEGER, .max = SCHEMA_LEASE_MAX,
	.doc = "Milliseconds since 1970; 0 is never." };

const struct schema schema_login = { ASKED, .name = "Login",
	FIELDS({ "tenant", &long_text, FILLED, NULL },
	       { "user", &long_text, FILLED, NULL },
	       { "password", &schema_secret, FILLED, NULL }) };
const struct schema schema_session = { SHOWN("Session"),
	FIELDS({ "token", &schema_text, SCHEMA_REQUIRED, "For the header Authorization: Bearer." },
	       { "user", &schema_text, 0, NULL },
	       { "tenant", &schema_text, 0, NULL },
	       { "role", &role, 0, NULL },
	       { "expireTime", &schema_time, 0, NULL }) };
const struct schema schema_logout = { SHOWN("Logout"),
	FIELDS({ "ended", &schema_flag, SCHEMA_REQUIRED,
		 "No: the token is not a session's, and stays good." }) };
const struct schema schema_password_change = { ASKED, .name = "PasswordChange",
	FIELDS({ "old", &schema_secret, FILLED, NULL },
	       { "new", &schema_secret, FILLED, NULL }) };
const struct schema schema_whoami = { SHOWN("WhoAmI"),
	FIELDS({ "user", &schema_text, 0, NULL },
	       { "tenant", &schema_text, 0, NULL },
	       { "tenantId", &schema_text, 0, NULL },
	       { "role", &schema_text, 0, NULL },
	       { "narrowedBy", &schema_names, 0, "Roles of the tenant's own: the user's, the token's." },
	       { "scopes", &schema_text, 0, NULL },
	       { "authMode", &schema_text, 0, "token or headers." },
	       { "expireTime", &schema_time, 0, NULL }) };

static const char *const outcomes[] = { "done", "asked", "refused", NULL };
static const struct schema outcome = { .type = SCHEMA_STRING, .words = outcomes,
	.doc = "asked: a scheduler was asked to do it." };
const struct schema schema_audit_row = { SHOWN("AuditRow"),
	FIELDS({ "seq", &schema_number, 0, "Its place in the chain." },
	       { "time", &schema_time, 0, NULL },
	       { "id", &schema_id, 0, NULL },
	       { "tenant", &schema_text, 0, "In which tenant." },
	       { "home", &schema_text, 0, "The id of the user's own tenant." },
	       { "user", &schema_text, 0, "Nobody: it was not known who asks." },
	       { "token", &schema_text, 0, "The id of the token that was shown." },
	       { "role", &schema_text, 0, NULL },
	       { "from", &schema_text, 0, "The address." },
	       { "request", &schema_text, 0, "The id of the request." },
	       { "action", &schema_text, 0, "PUT /v2/providers/{name}" },
	       { "object", &schema_text, 0, "providers/lab, clusters/00000012" },
	       { "outcome", &outcome, 0, NULL },
	       { "status", &schema_whole, 0, NULL },
	       { "count", &schema_number, 0, "So many alike, for refusals." },
	       { "before", &schema_document, 0, "What there was; secrets are masked." },
	       { "after", &schema_document, 0, "What there is, or what was asked for." },
	       { "hash", &schema_text, 0, "Of this row and the one before it." }) };
const struct schema schema_audit_check = { SHOWN("AuditCheck"),
	FIELDS({ "intact", &schema_flag, 0, NULL },
	       { "rows", &schema_whole, 0, "Looked at, at most 100,000 at once." },
	       { "first", &schema_number, 0, NULL },
	       { "last", &schema_number, 0, NULL },
	       { "hash", &schema_text, 0, "Of the last: to be noted, and asked for later." },
	       { "more", &schema_flag, 0, "There are rows after the last." },
	       { "otherKeys", &schema_whole, 0, "Rows sealed with another key than this cluster's." },
	       { "brokenAt", &schema_number, 0, "The first row that is not what it was." },
	       { "reason", &schema_text, 0, NULL }) };

const struct schema schema_account = { .type = SCHEMA_OBJECT, .name = "User",
	FIELDS({ "role", &any_role, FILLED, NULL },
	       { "password", &schema_secret, 0, "Kept unless given; empty: none, tokens only." }) };
const struct schema schema_account_shown = { SHOWN("UserShown"),
	FIELDS({ "name", &schema_text, 0, NULL },
	       { "role", &any_role, 0, NULL },
	       { "hasPassword", &schema_flag, 0, NULL },
	       { "changed", &schema_time, 0, NULL }) };

const struct schema schema_token = { ASKED, .name = "Token",
	FIELDS({ "name", &long_text, FILLED, "What it is for." },
	       { "user", &long_text, 0, "Whose; the caller's unless given." },
	       { "scopes", &scopes, 0, NULL },
	       { "role", &own_role, 0, NULL },
	       { "expireTime", &expire, 0, NULL }) };
const struct schema schema_token_made = { SHOWN("TokenMade"),
	FIELDS({ "id", &schema_id, 0, NULL },
	       { "token", &schema_text, 0, "Shown only now." },
	       { "name", &schema_text, 0, NULL },
	       { "user", &schema_text, 0, NULL },
	       { "scopes", &scopes, 0, NULL },
	       { "role", &own_role, 0, NULL },
	       { "expireTime", &schema_time, 0, NULL }) };
const struct schema schema_token_shown = { SHOWN("TokenShown"),
	FIELDS({ "id", &schema_id, 0, NULL },
	       { "name", &schema_text, 0, NULL },
	       { "user", &schema_text, 0, NULL },
	       { "kind", &schema_text, 0, "api, session, installed or first." },
	       { "scopes", &scopes, 0, NULL },
	       { "role", &own_role, 0, NULL },
	       { "createTime", &schema_time, 0, NULL },
	       { "expireTime", &schema_time, 0, NULL },
	       { "usedTime", &schema_time, 0, "Within a minute." }) };

static const char *const bases[] = { "user", "auditor", "admin", NULL };
static const struct schema base = { .type = SCHEMA_STRING, .words = bases };
static const struct schema permission = { .type = SCHEMA_STRING, .min = 1, .max = 64 };
static const struct schema permissions = { .type = SCHEMA_ARRAY, .items = &permission, .min = 1, .max = 100 };
/* A name, or a prefix of names. */
static bool is_pattern(const struct json *v)
{
	const char *s = json_str(v);
	size_t n = s ? strlen(s) : 0;
	LOOM_CLEANUP_STR char *begin = loom_strndup(s, n && s[n - 1] == '*' ? n - 1 : n);
	return str_is_name(begin);
}
static const struct schema pattern = { .type = SCHEMA_STRING, .min = 1, .max = 255, .ok = is_pattern,
	.pattern = "^[A-Za-z0-9_.-]+\\*?$", .must = "a name, or a prefix followed by *" };
static const struct schema patterns = { .type = SCHEMA_ARRAY, .items = &pattern, .max = 100 };
#define OWN_ROLE \
	{ "base", &base, FILLED, "Whose permissions, and sight, it narrows." }, \
	{ "permissions", &permissions, SCHEMA_REQUIRED, \
	  "What it may of them: clusters:read, clusters:stop; clusters:write is all with clusters." }, \
	{ "templates", &patterns, 0, "It changes only clusters of these templates: web, web-*. Empty: all." }, \
	{ "providers", &patterns, 0, "The same of providers." }, \
	{ "description", &long_text, 0, NULL }
const struct schema schema_own_role = { ASKED, .name = "Role", FIELDS(OWN_ROLE) };
const struct schema schema_own_role_shown = { SHOWN("RoleShown"),
	FIELDS({ "name", &schema_text, 0, NULL },
	       OWN_ROLE,
	       { "changed", &schema_time, 0, NULL }) };
/* clang-format on */
