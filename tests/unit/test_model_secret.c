/* SPDX-License-Identifier: Apache-2.0 */
#include "common/model/keys/secret.h"

#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPES                                                                       \
	"{'cloud':{'parameters':{'admin':{'fields':{'token':{'sensitive':true},"    \
	"'url':{'type':'text'}}},'user':{'fields':{'pass':{'type':'password'}}}}}," \
	"'other':{'parameters':{'admin':{'fields':{'token':{'sensitive':true}}}}}," \
	"'sh':{'parameters':{'admin':{'fields':{'key':{'sensitive':true}}}}}}"
#define P(type, fields) "{'name':'p','providertype':'" type "','provisioner':" fields "}"
#define S(type, fields) \
	"{'name':'s','provisioner':{'actions':{'install':{'type':'" type "','fields':" fields "}}}}"

static struct keyring *ring, *other_ring;

/* Of a cluster's key alone, and without a database. */
static void read_key(const char *digit, struct keyring **ret)
{
	char path[] = "/tmp/loom-test-secret-XXXXXX";
	const struct keyring_config cfg = { 0 };
	struct loom_err err;
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");
	for (int i = 0; i < 2 * SEAL_KEY; i++)
		fputs(digit, f);
	fclose(f);
	ck_assert_int_eq(keyring_create(&cfg, path, NULL, ret, &err), 0);
	remove(path);
}

static void setup(void)
{
	read_key("a", &ring);
	read_key("b", &other_ring);
}

static void teardown(void)
{
	keyring_destroy(ring);
	keyring_destroy(other_ring);
}

static const struct {
	enum entity_kind kind;
	const char *stored, *given; /* stored is sealed first; NULL: there is none */
	const char *open, *shown;   /* of what is stored then; NULL: refused */
} cases[] = {
	{ ENTITY_PROVIDER, NULL, P("cloud", "{'token':'t','url':'u','pass':['x',1]}"),
	  P("cloud", "{'token':'t','url':'u','pass':['x',1]}"),
	  P("cloud", "{'token':'********','url':'u','pass':'********'}") },
	/* what is given back as it was shown, or left out, is kept */
	{ ENTITY_PROVIDER, P("cloud", "{'token':'t','url':'u'}"),
	  P("cloud", "{'token':'********','url':'w'}"), P("cloud", "{'token':'t','url':'w'}"),
	  P("cloud", "{'token':'********','url':'w'}") },
	{ ENTITY_PROVIDER, P("cloud", "{'token':'t'}"), P("cloud", "{'url':'w'}"),
	  P("cloud", "{'url':'w','token':'t'}"), P("cloud", "{'url':'w','token':'********'}") },
	{ ENTITY_PROVIDER, P("cloud", "{'token':'t'}"), P("cloud", "{'token':'new'}"),
	  P("cloud", "{'token':'new'}"), P("cloud", "{'token':'********'}") },
	{ ENTITY_PROVIDER, P("cloud", "{'token':'t'}"), P("cloud", "{'token':null}"),
	  P("cloud", "{}"), P("cloud", "{}") },
	{ ENTITY_PROVIDER, P("cloud", "{'token':'t'}"), P("cloud", "{'token':''}"),
	  P("cloud", "{}"), P("cloud", "{}") },
	/* a mask alone is no secret, and another type's plugin gets none of this one's */
	{ ENTITY_PROVIDER, NULL, P("cloud", "{'token':'********'}"), NULL, NULL },
	{ ENTITY_PROVIDER, P("cloud", "{'token':'t'}"), P("other", "{'token':'********'}"), NULL,
	  NULL },
	{ ENTITY_PROVIDER, P("cloud", "{'token':'t'}"), P("other", "{}"), P("other", "{}"),
	  P("other", "{}") },
	/* nobody makes up a sealed one */
	{ ENTITY_PROVIDER, NULL, P("cloud", "{'token':{'$sealed':'AAAA','key':'k'}}"), NULL, NULL },
	/* a type that is not known declares nothing */
	{ ENTITY_PROVIDER, NULL, P("none", "{'token':'t'}"), P("none", "{'token':'t'}"),
	  P("none", "{'token':'t'}") },
	{ ENTITY_SERVICE, NULL, S("sh", "{'key':'k','script':'x'}"),
	  S("sh", "{'key':'k','script':'x'}"), S("sh", "{'key':'********','script':'x'}") },
	{ ENTITY_SERVICE, S("sh", "{'key':'k'}"), S("sh", "{'key':'********'}"),
	  S("sh", "{'key':'k'}"), S("sh", "{'key':'********'}") },
	{ ENTITY_HARDWARETYPE, NULL, "{'name':'h','provisioner':{'token':'t'}}",
	  "{'name':'h','provisioner':{'token':'t'}}", "{'name':'h','provisioner':{'token':'t'}}" },
};

static void is(const struct json *v, const char *text)
{
	LOOM_CLEANUP(json_free) struct json *want = unit_json(text);
	LOOM_CLEANUP_STR char *said = json_text(v);
	ck_assert_msg(json_equal(v, want), "%s is not %s", said, text);
}

START_TEST(seals)
{
	const struct secret_of of = { ring, NULL, "t", cases[_i].kind, false };
	LOOM_CLEANUP(json_free) struct json *types = unit_json(TYPES);
	LOOM_CLEANUP(json_free)
	struct json *stored = cases[_i].stored ? unit_json(cases[_i].stored) : NULL;
	LOOM_CLEANUP(json_free) struct json *doc = unit_json(cases[_i].given);
	struct loom_err err = { 0 };
	if (stored)
		ck_assert_int_eq(secrets_seal(&of, stored, NULL, types, NULL, &err), 0);
	int rc = secrets_seal(&of, doc, stored, types, NULL, &err);
	ck_assert_int_eq(rc, cases[_i].open ? 0 : 400);
	if (rc)
		return;
	/* Written again it is the same text. */
	LOOM_CLEANUP(json_free) struct json *again = unit_json(cases[_i].given);
	ck_assert_int_eq(secrets_seal(&of, again, doc, types, NULL, &err), 0);
	ck_assert(json_equal(again, doc));
	LOOM_CLEANUP(json_free) struct json *shown = json_copy(doc);
	secrets_mask(shown);
	is(shown, cases[_i].shown);
	bool changed = true;
	ck_assert_int_eq(secrets_seal(&of, doc, NULL, types, &changed, &err), 0);
	ck_assert(!changed);
	ck_assert_int_eq(secrets_open(&of, doc, &err), 0);
	is(doc, cases[_i].open);
}
END_TEST

/* The stored one of before sealing is kept, too, and sealed with it. */
START_TEST(keeps_what_is_in_the_clear)
{
	const struct secret_of of = { ring, NULL, "t", ENTITY_PROVIDER, false };
	LOOM_CLEANUP(json_free) struct json *types = unit_json(TYPES);
	LOOM_CLEANUP(json_free) struct json *stored = unit_json(P("cloud", "{'token':'s3cret'}"));
	LOOM_CLEANUP(json_free) struct json *doc = unit_json(P("cloud", "{'token':'********'}"));
	struct loom_err err;
	ck_assert_int_eq(secrets_seal(&of, doc, stored, types, NULL, &err), 0);
	LOOM_CLEANUP_STR char *text = json_text(doc);
	ck_assert_ptr_null(strstr(text, "s3cret"));
	ck_assert_int_eq(secrets_open(&of, doc, &err), 0);
	is(doc, P("cloud", "{'token':'s3cret'}"));
}
END_TEST

/* Put elsewhere, or with another key, it stays shut, and the words name both keys. */
START_TEST(opens_only_in_its_place)
{
	static const struct {
		struct keyring *const *ring;
		const char *tenant, *name, *field;
	} at[] = {
		{ &other_ring, "t", "p", "token" },
		{ &ring, "u", "p", "token" },
		{ &ring, "t", "q", "token" },
		{ &ring, "t", "p", "pass" },
	};
	const struct secret_of of = { ring, NULL, "t", ENTITY_PROVIDER, false };
	const struct secret_of where = { *at[_i].ring, NULL, at[_i].tenant, ENTITY_PROVIDER,
		                         false };
	LOOM_CLEANUP(json_free) struct json *types = unit_json(TYPES);
	LOOM_CLEANUP(json_free) struct json *doc = unit_json(P("cloud", "{'token':'t'}"));
	struct loom_err err = { 0 };
	ck_assert_int_eq(secrets_seal(&of, doc, NULL, types, NULL, &err), 0);
	LOOM_CLEANUP(json_free)
	struct json *moved = json_set_str(json_new_obj(), "name", at[_i].name);
	json_set_str(moved, "providertype", "cloud");
	json_set(moved, "provisioner",
	         json_set(json_new_obj(), at[_i].field,
	                  json_copy(json_path(doc, "provisioner/token"))));
	ck_assert_int_eq(secrets_open(&where, moved, &err), 500);
	ck_assert_ptr_nonnull(strstr(err.msg, "is sealed with key"));
}
END_TEST

START_TEST(drops)
{
	const struct secret_of of = { ring, NULL, "t", ENTITY_PROVIDER, false };
	LOOM_CLEANUP(json_free) struct json *types = unit_json(TYPES);
	LOOM_CLEANUP(json_free)
	struct json *doc = unit_json(P("cloud", "{'token':'t','url':'u','pass':'p'}"));
	struct loom_err err;
	ck_assert_int_eq(secrets_seal(&of, doc, NULL, types, NULL, &err), 0);
	ck_assert(secrets_drop(ENTITY_PROVIDER, doc, NULL));
	is(doc, P("cloud", "{'url':'u'}"));
	ck_assert(!secrets_drop(ENTITY_PROVIDER, doc, NULL));
	json_set_str(json_get(doc, "provisioner"), "token", "clear");
	ck_assert(secrets_drop(ENTITY_PROVIDER, doc, types));
	is(doc, P("cloud", "{'url':'u'}"));
}
END_TEST

START_TEST(tells_what_a_type_declares_in_addition)
{
	LOOM_CLEANUP(json_free) struct json *types = unit_json(TYPES);
	const struct json *cloud = json_get(types, "cloud"), *other = json_get(types, "other");
	ck_assert(secrets_declares_more(cloud, NULL));
	ck_assert(secrets_declares_more(cloud, other));
	ck_assert(!secrets_declares_more(other, cloud));
	ck_assert(!secrets_declares_more(NULL, cloud));
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("secret");
	tcase_add_unchecked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, seals, 0, LOOM_COUNT(cases));
	tcase_add_test(c, keeps_what_is_in_the_clear);
	tcase_add_loop_test(c, opens_only_in_its_place, 0, 4);
	tcase_add_test(c, drops);
	tcase_add_test(c, tells_what_a_type_declares_in_addition);
	return UNIT_RUN("model_secret", c);
}
