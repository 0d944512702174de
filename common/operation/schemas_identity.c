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
	       { "password", &schema_text, FILLED, NULL }) };
const struct schema schema_session = { SHOWN("Session"),
	FIELDS({ "token", &schema_text, SCHEMA_REQUIRED, "For the header Authorization: Bearer." },
	       { "user", &schema_text, 0, NULL },
	       { "tenant", &schema_text, 0, NULL },
	       { "role", &role, 0, NULL },
	       { "expireTime", &schema_time, 0, NULL }) };
const struct schema schema_password_change = { .type = SCHEMA_OBJECT, .name = "PasswordChange",
	FIELDS({ "old", &schema_text, FILLED, NULL },
	       { "new", &schema_text, FILLED, NULL }) };
const struct schema schema_whoami = { SHOWN("WhoAmI"),
	FIELDS({ "user", &schema_text, 0, NULL },
	       { "tenant", &schema_text, 0, NULL },
	       { "tenantId", &schema_text, 0, NULL },
	       { "role", &schema_text, 0, NULL },
	       { "scopes", &schema_text, 0, NULL },
	       { "authMode", &schema_text, 0, "token or headers." },
	       { "expireTime", &schema_time, 0, NULL }) };

const struct schema schema_account = { .type = SCHEMA_OBJECT, .name = "User",
	FIELDS({ "role", &role, FILLED, NULL },
	       { "password", &schema_text, 0, "Kept unless given; empty: none, tokens only." }) };
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
