/* SPDX-License-Identifier: Apache-2.0 */
/*
 * common/coord against a real ZooKeeper (LOOM_TEST_ZK=host:port, LOOM_TEST_ZK_ROOT optional), also
 * through a relay that loses connections, stalls, and swallows answers.
 */
#include "tests/integration/coord_case.h"

/* ---- waiting --------------------------------------------------------------------------------- */

/* What a watcher knows, as "id=data id=data". */
struct view {
	char text[512];
	int calls;
};

static void on_members(const struct coord_member *m, size_t n, void *arg)
{
	struct view *v = arg;
	size_t used = 0;

	v->text[0] = '\0';
	v->calls++;
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(v->text + used, sizeof(v->text) - used, "%s%s=%s",
		                         i ? " " : "", m[i].id, m[i].data);
	loop_stop(loop);
}

/* ---- members --------------------------------------------------------------------------------- */

START_TEST(test_join_and_watch)
{
	struct view seen = { 0 }, other = { 0 };
	struct coord *a = direct(), *b = direct();

	coord_watch(b, "api", on_members, &seen);
	ck_assert_int_eq(seen.calls, 0);
	WAIT(seen.calls == 1 && !strcmp(seen.text, ""));
	ck_assert(coord_connected(b));
	coord_join(a, "api", "one", "tcp://127.0.0.1:1");
	WAIT(!strcmp(seen.text, "one=tcp://127.0.0.1:1"));
	coord_watch(a, "api", on_members, &other);
	WAIT(!strcmp(other.text, "one=tcp://127.0.0.1:1"));
	coord_join(b, "api", "a-second", "");
	coord_join(b, "scheduler", "elsewhere", "x");
	WAIT(!strcmp(seen.text, "a-second= one=tcp://127.0.0.1:1"));
	WAIT(!strcmp(other.text, "a-second= one=tcp://127.0.0.1:1"));
	coord_destroy(a); /* its session ends */
	WAIT(!strcmp(seen.text, "a-second="));
	coord_destroy(b);
}
END_TEST

START_TEST(test_short_loss)
{
	struct view a_sees = { 0 }, b_sees = { 0 };
	struct coord *a = make(relay.address, 6000), *b = direct();

	coord_join(a, "api", "a", "1");
	coord_watch(a, "api", on_members, &a_sees);
	coord_watch(b, "api", on_members, &b_sees);
	WAIT(!strcmp(b_sees.text, "a=1") && !strcmp(a_sees.text, "a=1"));
	relay_set(&relay, CUT);
	WAIT(!coord_connected(a));
	coord_join(b, "api", "b", "2"); /* happens while a does not hear */
	WAIT(!strcmp(b_sees.text, "a=1 b=2"));
	ck_assert_str_eq(a_sees.text, "a=1");
	int calls = b_sees.calls;
	relay_set(&relay, PASS);
	WAIT(!strcmp(a_sees.text, "a=1 b=2"));
	ck_assert(coord_connected(a));
	ck_assert_int_eq(b_sees.calls, calls); /* a never left */
	coord_destroy(a);
	coord_destroy(b);
}
END_TEST

START_TEST(test_expiry)
{
	struct view a_sees = { 0 }, b_sees = { 0 };
	struct coord *a = make(relay.address, 2000), *b = direct();
	int64_t expired = coord_metrics[COORD_M_EXPIRED].value;

	coord_join(a, "api", "a", "1");
	coord_join(b, "api", "b", "2");
	coord_watch(a, "api", on_members, &a_sees);
	coord_watch(b, "api", on_members, &b_sees);
	WAIT(!strcmp(b_sees.text, "a=1 b=2") && !strcmp(a_sees.text, "a=1 b=2"));
	relay_set(&relay, CUT);
	WAIT(!strcmp(b_sees.text, "b=2"));
	ck_assert_str_eq(a_sees.text, "a=1 b=2"); /* what it knew last */
	relay_set(&relay, PASS);
	WAIT(!strcmp(b_sees.text, "a=1 b=2"));
	WAIT(!strcmp(a_sees.text, "a=1 b=2"));
	ck_assert_int_eq(coord_metrics[COORD_M_EXPIRED].value, expired + 1);
	coord_destroy(b);
	WAIT(!strcmp(a_sees.text, "a=1")); /* the new session watches */
	coord_destroy(a);
}
END_TEST

/* ---- nodes seen and changed from outside ----------------------------------------------------- */

static void no_event(zhandle_t *zh, int type, int state, const char *path, void *ctx)
{
	(void)zh;
	(void)type;
	(void)path;
	if (state == ZOO_CONNECTED_STATE)
		*(_Atomic bool *)ctx = true;
}

static zhandle_t *outsider(void)
{
	_Atomic bool connected = false;
	zhandle_t *zh = zookeeper_init(getenv("LOOM_TEST_ZK"), no_event, 4000, NULL, &connected, 0);

	ck_assert_ptr_nonnull(zh);
	WAIT(connected);
	zoo_set_context(zh, NULL);
	return zh;
}

static int count_children(zhandle_t *zh, const char *below)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("%s%s", root, below);
	struct String_vector v = { 0 };

	ck_assert_int_eq(zoo_get_children(zh, path, 0, &v), ZOK);
	int n = v.count;
	(void)deallocate_String_vector(&v);
	return n;
}

/* The first child of a node. */
static char *first_child(zhandle_t *zh, const char *below)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("%s%s", root, below);
	struct String_vector v = { 0 };

	ck_assert_int_eq(zoo_get_children(zh, path, 0, &v), ZOK);
	ck_assert_int_ge(v.count, 1);
	char *child = loom_asprintf("%s/%s", path, v.data[0]);
	(void)deallocate_String_vector(&v);
	return child;
}

static int64_t owner_of(zhandle_t *zh, const char *path)
{
	struct Stat stat = { 0 };

	return zoo_exists(zh, path, 0, &stat) == ZOK ? stat.ephemeralOwner : 0;
}

START_TEST(test_answers_to_creates_lost)
{
	struct view seen = { 0 }, a_sees = { 0 };
	struct post p = { 0 };
	struct coord *a = make(relay.address, 6000), *b = direct();
	zhandle_t *zh = outsider();

	coord_watch(b, "api", on_members, &seen);
	coord_watch(a, "api", on_members, &a_sees);
	coord_elect(b, "other", "b", on_leader, &p);
	WAIT(p.leader && a_sees.calls == 1);
	p = (struct post){ 0 };
	relay_set(&relay, SWALLOW); /* requests arrive, no answer comes back */
	run_for(50);
	coord_join(a, "api", "a", "1");
	coord_elect(a, "boss", "a", on_leader, &p);
	run_for(300);
	relay_set(&relay, CUT);
	WAIT(!coord_connected(a));
	relay_set(&relay, PASS);
	WAIT(!strcmp(seen.text, "a=1"));
	WAIT(p.leader);
	run_for(200);
	ck_assert_int_eq(count_children(zh, "/election/boss"), 1);
	ck_assert_int_eq(count_children(zh, "/members/api"), 1);
	ck_assert_int_eq(p.changes, 1);
	(void)zookeeper_close(zh);
	coord_destroy(a);
	coord_destroy(b);
}
END_TEST

START_TEST(test_stale_and_deleted_nodes)
{
	struct view seen = { 0 };
	struct post p = { 0 };
	struct coord *b = direct();
	zhandle_t *zh = outsider();
	LOOM_CLEANUP_STR char *node = loom_asprintf("%s/members/api/a", root);

	coord_watch(b, "api", on_members, &seen);
	WAIT(seen.calls == 1);
	/* As if an older session of the same process had left it. */
	ck_assert_int_eq(
		zoo_create(zh, node, "old", 3, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0), ZOK);
	WAIT(!strcmp(seen.text, "a=old"));
	struct coord *a = direct();
	coord_join(a, "api", "a", "new");
	WAIT(!strcmp(seen.text, "a=new"));
	int64_t owner = owner_of(zh, node);
	ck_assert(owner && owner != zoo_client_id(zh)->client_id);
	ck_assert_int_eq(zoo_delete(zh, node, -1), ZOK);
	WAIT(owner_of(zh, node) == owner);
	coord_elect(a, "boss", "a", on_leader, &p);
	WAIT(p.leader);
	LOOM_CLEANUP_STR char *own = first_child(zh, "/election/boss");
	ck_assert_int_eq(zoo_delete(zh, own, -1), ZOK);
	WAIT(p.changes >= 3 && p.leader);
	(void)zookeeper_close(zh);
	coord_destroy(a);
	coord_destroy(b);
}
END_TEST

static char keys[2][32] = { "/tmp/test_coord_key_XXXXXX", "/tmp/test_coord_key_XXXXXX" };

static void write_keys(void)
{
	for (int i = 0; i < 2; i++) {
		int fd = mkstemp(keys[i]);
		ck_assert_int_ge(fd, 0);
		for (int k = 0; k < 32; k++)
			ck_assert_int_eq(dprintf(fd, "%02x", 0x40 + i), 2);
		ck_assert_int_eq(close(fd), 0);
	}
}

static void expect_closed(zhandle_t *zh, const char *path)
{
	LOOM_CLEANUP_STR char *below = loom_asprintf("%s/fake", path);
	char data[64];
	int len = sizeof(data);
	ck_assert_int_eq(zoo_get(zh, path, 0, data, &len, NULL), ZOK); /* to be read by all */
	ck_assert_int_eq(zoo_set(zh, path, "x", 1, -1), ZNOAUTH);
	ck_assert_int_eq(zoo_create(zh, below, "tcp://127.0.0.1:1", 17, &ZOO_OPEN_ACL_UNSAFE,
	                            ZOO_EPHEMERAL, NULL, 0),
	                 ZNOAUTH);
	ck_assert_int_eq(zoo_set_acl(zh, path, -1, &ZOO_OPEN_ACL_UNSAFE), ZNOAUTH);
}

START_TEST(test_strangers_change_nothing)
{
	struct view seen = { 0 };
	struct post p = { 0 };
	struct coord *open = direct(); /* as an older version leaves things */
	coord_watch(open, "api", on_members, &seen);
	WAIT(seen.calls == 1);
	coord_destroy(open);
	write_keys();
	key_file = keys[0];
	struct coord *a = direct(), *b = direct();
	seen = (struct view){ 0 };
	coord_join(a, "api", "a", "address");
	coord_watch(b, "api", on_members, &seen);
	coord_elect(a, "boss", "a", on_leader, &p);
	WAIT(p.leader && !strcmp(seen.text, "a=address"));
	zhandle_t *zh = outsider();
	LOOM_CLEANUP_STR char *member = loom_asprintf("%s/members/api/a", root);
	LOOM_CLEANUP_STR char *role = loom_asprintf("%s/members/api", root);
	LOOM_CLEANUP_STR char *boss = first_child(zh, "/election/boss");
	expect_closed(zh, root);
	expect_closed(zh, role);
	ck_assert_int_eq(zoo_set(zh, member, "x", 1, -1), ZNOAUTH);
	ck_assert_int_eq(zoo_delete(zh, member, -1), ZNOAUTH);
	ck_assert_int_eq(zoo_delete(zh, boss, -1), ZNOAUTH);
	(void)zookeeper_close(zh);
	key_file = keys[1]; /* somebody with a key of another cluster */
	struct view strange = { 0 };
	struct coord *c = direct();
	coord_join(c, "api", "c", "fake");
	coord_watch(c, "api", on_members, &strange);
	WAIT(strange.calls > 0);
	run_for(1500);
	ck_assert_str_eq(seen.text, "a=address");
	coord_destroy(c);
	coord_destroy(a);
	WAIT(!strcmp(seen.text, ""));
	coord_destroy(b);
	key_file = NULL;
	(void)unlink(keys[0]);
	(void)unlink(keys[1]);
}
END_TEST

/* ---- no quorum ------------------------------------------------------------------------------- */

static const char *const no_quorums[] = { "127.0.0.1:1", "nonexistent.invalid:2181" };

START_TEST(test_no_quorum)
{
	struct coord *a = make(no_quorums[_i], 4000);
	struct view seen = { 0 };
	struct post p = { 0 };
	int64_t start = clock_mono_ms();

	coord_watch(a, "api", on_members, &seen);
	coord_join(a, "api", "a", "1");
	coord_elect(a, "boss", "a", on_leader, &p);
	run_for(300);
	ck_assert(!coord_connected(a) && !coord_is_leader(a, "boss") && !seen.calls && !p.changes);
	coord_destroy(a);
	ck_assert_int_lt(clock_mono_ms() - start, 20000);
}
END_TEST

START_TEST(test_quorum_comes_late)
{
	struct view seen = { 0 };

	relay_set(&relay, CUT);
	struct coord *a = make(relay.address, 4000);
	coord_watch(a, "api", on_members, &seen);
	coord_join(a, "api", "a", "1");
	run_for(200);
	ck_assert(!coord_connected(a));
	relay_set(&relay, PASS);
	WAIT(!strcmp(seen.text, "a=1"));
	coord_destroy(a);
}
END_TEST

static TCase *cases(void)
{
	TCase *tc = tcase_create("coord");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_join_and_watch);
	tcase_add_test(tc, test_short_loss);
	tcase_add_test(tc, test_expiry);
	tcase_add_test(tc, test_answers_to_creates_lost);
	tcase_add_test(tc, test_stale_and_deleted_nodes);
	tcase_add_test(tc, test_strangers_change_nothing);
	tcase_add_loop_test(tc, test_no_quorum, 0, (int)LOOM_COUNT(no_quorums));
	tcase_add_test(tc, test_quorum_comes_late);
	return tc;
}

int main(void)
{
	if (!getenv("LOOM_TEST_ZK")) {
		(void)fprintf(stderr, "test_coord: set LOOM_TEST_ZK=127.0.0.1:PORT\n");
		return 1;
	}
	return UNIT_RUN("coord", cases());
}
