/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks: what signs one in, users and tokens, as they are sent and shown. */
#include "common/operation/schemas.h"

/* clang-format off */
#define FIELDS(...) .fields = (const struct schema_field[]){ __VA_ARGS__, { 0 } }
#define SHOWN(title) .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN, .name = title
#define FILLED SCHEMA_FILLED

static const char *const roles[] = { "user", "auditor", "admin", "provisioner", NULL };
static const struct schema role = { .type = SCHEMA_STRING, .words = roles };
static const struct schema long_text = { .type = SCHEMA_STRING, .max = 255 };
static const struct schema scopes = { .type = SCHEMA_STRING, .max = 1000,
	.doc = "What it is good for, with blanks between: clusters:read catalog:write. Empty: all." };
static const struct schema expire = { .type = SCHEMA_INTEGER, .max = SCHEMA_LEASE_MAX,
	.doc = "Milliseconds since 1970; 0 is never." };

const struct schema schema_login = { .type = SCHEMA_OBJECT, .name = "Login",
	FIELDS({ "tenant", &long_text, FILLED, NULL },
	       { "user", &long_text, FILLED, NULL },
	       { "password", &schema_secret, FILLED, NULL }) };
const struct schema schema_session = { SHOWN("Session"),
	FIELDS({ "token", &schema_text, SCHEMA_REQUIRED, "For the header Authorization: Bearer." },
	       { "user", &schema_text, 0, NULL },
	       { "tenant", &schema_text, 0, NULL },
	       { "role", &role, 0, NULL },
	       { "expireTime", &schema_time, 0, NULL }) };
const struct schema schema_password_change = { .type = SCHEMA_OBJECT, .name = "PasswordChange",
	FIELDS({ "old", &schema_secret, FILLED, NULL },
	       { "new", &schema_secret, FILLED, NULL }) };
const struct schema schema_whoami = { SHOWN("WhoAmI"),
	FIELDS({ "user", &schema_text, 0, NULL },
	       { "tenant", &schema_text, 0, NULL },
	       { "tenantId", &schema_text, 0, NULL },
	       { "role", &schema_text, 0, NULL },
	       { "scopes", &schema_text, 0, NULL },
	       { "authMode", &schema_text, 0, "token or headers." },
	       { "expireTime", &schema_time, 0, NULL }) };

static const char *const outcomes[] = { "done", "asked", "refused", NULL };
static const struct schema outcome = { .type = SCHEMA_STRING, .words = outcomes,
	.doc = "asked: a scheduler was asked to do it." };
const struct schema schema_audit_row = { SHOWN("AuditRow"),
	FIELDS({ "seq", &schema_whole, 0, "Its place in the chain." },
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
	       { "count", &schema_whole, 0, "So many alike, for refusals." },
	       { "before", &schema_document, 0, "What there was; secrets are masked." },
	       { "after", &schema_document, 0, "What there is, or what was asked for." },
	       { "hash", &schema_text, 0, "Of this row and the one before it." }) };
const struct schema schema_audit_check = { SHOWN("AuditCheck"),
	FIELDS({ "intact", &schema_flag, 0, NULL },
	       { "rows", &schema_whole, 0, "Looked at, at most 100,000 at once." },
	       { "first", &schema_whole, 0, NULL },
	       { "last", &schema_whole, 0, NULL },
	       { "hash", &schema_text, 0, "Of the last: to be noted, and asked for later." },
	       { "more", &schema_flag, 0, "There are rows behind the last." },
	       { "otherKeys", &schema_whole, 0, "Rows sealed with another key than this cluster's." },
	       { "brokenAt", &schema_whole, 0, "The first row that is not what it was." },
	       { "reason", &schema_text, 0, NULL }) };

const struct schema schema_account = { .type = SCHEMA_OBJECT, .name = "User",
	FIELDS({ "role", &role, FILLED, NULL },
	       { "password", &schema_secret, 0, "Kept unless given; empty: none, tokens only." }) };
const struct schema schema_account_shown = { SHOWN("UserShown"),
	FIELDS({ "name", &schema_text, 0, NULL },
	       { "role", &role, 0, NULL },
	       { "hasPassword", &schema_flag, 0, NULL },
	       { "changed", &schema_time, 0, NULL }) };

const struct schema schema_token = { .type = SCHEMA_OBJECT, .name = "Token",
	FIELDS({ "name", &long_text, FILLED, "What it is for." },
	       { "user", &long_text, 0, "Whose; the caller's unless given." },
	       { "scopes", &scopes, 0, NULL },
	       { "expireTime", &expire, 0, NULL }) };
const struct schema schema_token_made = { SHOWN("TokenMade"),
	FIELDS({ "id", &schema_id, 0, NULL },
	       { "token", &schema_text, 0, "Shown only now." },
	       { "name", &schema_text, 0, NULL },
	       { "user", &schema_text, 0, NULL },
	       { "scopes", &scopes, 0, NULL },
	       { "expireTime", &schema_time, 0, NULL }) };
const struct schema schema_token_shown = { SHOWN("TokenShown"),
	FIELDS({ "id", &schema_id, 0, NULL },
	       { "name", &schema_text, 0, NULL },
	       { "user", &schema_text, 0, NULL },
	       { "kind", &schema_text, 0, "api, session, installed or first." },
	       { "scopes", &scopes, 0, NULL },
	       { "createTime", &schema_time, 0, NULL },
	       { "expireTime", &schema_time, 0, NULL },
	       { "usedTime", &schema_time, 0, "Within a minute." }) };
/* clang-format on */
