/* SPDX-License-Identifier: Apache-2.0 */
/*
 * common/coord against a real ZooKeeper (LOOM_TEST_ZK=host:port, LOOM_TEST_ZK_ROOT optional), also
 * through a relay that loses connections, stalls, and swallows answers.
 */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/coord/coord_private.h"
#include "tests/support/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the relay ------------------------------------------------------------------------------- */

enum relay_mode {
	PASS,
	SWALLOW, /* what the server says is read and dropped */
	STALL,   /* nothing moves, nothing is closed */
	CUT,     /* connections are closed, also new ones */
	END,
};

enum { RELAY_MAX = 16 };

struct relay {
	pthread_t thread;
	int listener, wake;
	_Atomic int mode;
	char address[32];
	int client[RELAY_MAX], server[RELAY_MAX]; /* -1: free */
	struct sockaddr_in to;
};

static void relay_close(struct relay *r, int i)
{
	loom_close(r->client[i]);
	loom_close(r->server[i]);
	r->client[i] = r->server[i] = -1;
}

static void relay_accept(struct relay *r)
{
	int i = 0, fd = accept(r->listener, NULL, NULL);

	while (i < RELAY_MAX && r->client[i] >= 0)
		i++;
	if (fd < 0 || r->mode == CUT || i == RELAY_MAX) {
		loom_close(fd);
		return;
	}
	r->client[i] = fd;
	r->server[i] = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(r->server[i], (struct sockaddr *)&r->to, sizeof(r->to)))
		relay_close(r, i);
}

static bool relay_copy(int from, int to, bool drop)
{
	char bytes[4096];
	ssize_t n = recv(from, bytes, sizeof(bytes), 0);

	return n > 0 && (drop || send(to, bytes, (size_t)n, MSG_NOSIGNAL) == n);
}

static void relay_turn(struct relay *r)
{
	struct pollfd p[2 + 2 * RELAY_MAX] = { { .fd = r->listener, .events = POLLIN },
		                               { .fd = r->wake, .events = POLLIN } };
	int mode = r->mode;
	uint64_t n;

	for (int i = 0; i < RELAY_MAX; i++) {
		bool listen = mode != STALL;

		if (mode == CUT && r->client[i] >= 0)
			relay_close(r, i);
		p[2 + 2 * i] =
			(struct pollfd){ .fd = listen ? r->client[i] : -1, .events = POLLIN };
		p[3 + 2 * i] =
			(struct pollfd){ .fd = listen ? r->server[i] : -1, .events = POLLIN };
	}
	(void)poll(p, LOOM_COUNT(p), -1);
	if (p[1].revents)
		(void)!read(r->wake, &n, sizeof(n));
	if (p[0].revents)
		relay_accept(r);
	for (int i = 0; i < RELAY_MAX; i++) {
		bool ok = true;

		if (p[2 + 2 * i].revents)
			ok = relay_copy(r->client[i], r->server[i], false);
		if (ok && p[3 + 2 * i].revents)
			ok = relay_copy(r->server[i], r->client[i], mode == SWALLOW);
		if (!ok)
			relay_close(r, i);
	}
}

static void *relay_main(void *arg)
{
	struct relay *r = arg;

	while (r->mode != END)
		relay_turn(r);
	for (int i = 0; i < RELAY_MAX; i++)
		relay_close(r, i);
	return NULL;
}

static void relay_set(struct relay *r, enum relay_mode mode)
{
	uint64_t one = 1;

	r->mode = (int)mode;
	ck_assert_int_eq(write(r->wake, &one, sizeof(one)), sizeof(one));
}

static void relay_start(struct relay *r)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	socklen_t len = sizeof(here);
	char zk[64];

	memset(r, 0, sizeof(*r));
	memset(r->client, 0xff, sizeof(r->client));
	memset(r->server, 0xff, sizeof(r->server));
	(void)snprintf(zk, sizeof(zk), "%s", getenv("LOOM_TEST_ZK"));
	char *colon = strrchr(zk, ':');
	ck_assert_ptr_nonnull(colon);
	*colon = '\0';
	r->to = (struct sockaddr_in){ .sin_family = AF_INET,
		                      .sin_port = htons((uint16_t)strtol(colon + 1, NULL, 10)) };
	ck_assert_int_eq(inet_pton(AF_INET, zk, &r->to.sin_addr), 1);
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	r->listener = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(r->listener, (struct sockaddr *)&here, len), 0);
	ck_assert_int_eq(listen(r->listener, 16), 0);
	ck_assert_int_eq(getsockname(r->listener, (struct sockaddr *)&here, &len), 0);
	(void)snprintf(r->address, sizeof(r->address), "127.0.0.1:%u",
	               (unsigned)ntohs(here.sin_port));
	r->wake = eventfd(0, EFD_NONBLOCK);
	ck_assert_int_eq(pthread_create(&r->thread, NULL, relay_main, r), 0);
}

static void relay_end(struct relay *r)
{
	relay_set(r, END);
	ck_assert_int_eq(pthread_join(r->thread, NULL), 0);
	loom_close(r->listener);
	loom_close(r->wake);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static struct loop *loop;
static struct relay relay;
static char root[128];
static int serial;

static void setup(void)
{
	const char *base = getenv("LOOM_TEST_ZK_ROOT");

	(void)signal(SIGPIPE, SIG_IGN);
	log_set_fd(-1);
	(void)snprintf(root, sizeof(root), "%s/%d-%d", base ? base : "/loomtest", (int)getpid(),
	               serial++);
	relay_start(&relay);
	loop = loop_create();
}

static void teardown(void)
{
	ck_assert_int_eq(loop_destroy(loop), 0);
	relay_end(&relay);
}

static void quit(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void run_for(int64_t ms)
{
	struct loop_timer *t = loop_timer_create(loop, "test while", quit, NULL);

	loop_timer_arm(t, ms);
	loop_run(loop);
	loop_timer_destroy(t);
}

/* Runs the loop until a callback has made the condition true (callbacks stop the loop). */
#define WAIT(cond)                                                                             \
	do {                                                                                   \
		int64_t until_ = clock_mono_ms() + 15000;                                      \
		while (!(cond)) {                                                              \
			ck_assert_msg(clock_mono_ms() < until_, "never came true: %s", #cond); \
			run_for(20);                                                           \
		}                                                                              \
	} while (0)

static const char *key_file; /* NULL: everything is open */

static struct coord *make(const char *quorum, int64_t session_ms)
{
	struct coord_config cfg = { .quorum = loom_strdup(quorum),
		                    .root = loom_strdup(root),
		                    .session_ms = session_ms,
		                    .key_file = key_file };
	struct loom_err err = { 0 };
	struct coord *c = coord_create(loop, &cfg, &err);
	ck_assert_msg(c, "%s", err.msg);

	loom_free(cfg.quorum);
	loom_free(cfg.root);
	return c;
}

static struct coord *direct(void)
{
	return make(getenv("LOOM_TEST_ZK"), 4000);
}

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

struct post {
	bool leader;
	int changes;
	int64_t at; /* of the last change */
};

static void on_leader(bool leader, void *arg)
{
	struct post *p = arg;

	ck_assert(p->leader != leader);
	p->leader = leader;
	p->changes++;
	p->at = clock_mono_ms();
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

/* ---- elections ------------------------------------------------------------------------------- */

START_TEST(test_election_moves_on)
{
	static const char *const ids[] = { "a", "a-b", "c" }; /* one begins with another */
	struct coord *c[3];
	struct post p[3] = { { 0 } };

	for (int i = 0; i < 3; i++) {
		c[i] = direct();
		coord_elect(c[i], "boss", ids[i], on_leader, &p[i]);
		WAIT(p[0].leader && coord_connected(c[i]));
	}
	run_for(100);
	ck_assert(coord_is_leader(c[0], "boss") && !coord_is_leader(c[0], "unknown"));
	ck_assert(!p[1].leader && !p[2].leader && !coord_is_leader(c[1], "boss"));
	coord_destroy(c[0]);
	WAIT(p[1].leader || p[2].leader);
	int now = p[1].leader ? 1 : 2;
	run_for(100);
	ck_assert(p[now].leader && !p[3 - now].leader);
	coord_destroy(c[3 - now]); /* one that does not lead */
	run_for(100);
	ck_assert(coord_is_leader(c[now], "boss") && p[now].changes == 1);
	coord_destroy(c[now]);
	ck_assert_int_eq(p[now].changes, 1); /* no callback from destroying */
}
END_TEST

START_TEST(test_leader_cut_off)
{
	static const enum relay_mode faults[] = { CUT, STALL };
	struct coord *a = make(relay.address, 2000), *b = direct();
	struct post pa = { 0 }, pb = { 0 };

	coord_elect(a, "boss", "a", on_leader, &pa);
	WAIT(pa.leader);
	coord_elect(b, "boss", "b", on_leader, &pb);
	run_for(100);
	ck_assert(!pb.leader);
	int64_t cut = clock_mono_ms();
	relay_set(&relay, faults[_i]);
	WAIT(!pa.leader);
	ck_assert(!coord_is_leader(a, "boss"));
	/* Two thirds of 2 s, and the last answered request may be a quarter of a second old. */
	ck_assert_int_ge(pa.at - cut, 500);
	ck_assert_int_le(pa.at - cut, 2500);
	ck_assert(!pb.leader);
	WAIT(pb.leader);
	ck_assert_int_gt(pb.at, pa.at); /* never two at once */
	relay_set(&relay, PASS);
	WAIT(coord_connected(a));
	run_for(200);
	ck_assert(!pa.leader && pb.leader && pb.changes == 1);
	coord_destroy(b);
	WAIT(pa.leader);
	coord_destroy(a);
}
END_TEST

START_TEST(test_leader_survives_short_loss)
{
	struct coord *a = make(relay.address, 8000);
	struct post p = { 0 };

	coord_elect(a, "boss", "a", on_leader, &p);
	WAIT(p.leader);
	relay_set(&relay, CUT);
	WAIT(!coord_connected(a));
	ck_assert(coord_is_leader(a, "boss"));
	relay_set(&relay, PASS);
	WAIT(coord_connected(a));
	run_for(100);
	ck_assert(p.changes == 1 && coord_is_leader(a, "boss"));
	coord_destroy(a);
}
END_TEST

START_TEST(test_leadership_regained)
{
	struct coord *a = make(relay.address, 3000);
	struct post p = { 0 };

	coord_elect(a, "boss", "a", on_leader, &p);
	WAIT(p.leader);
	relay_set(&relay, STALL);
	WAIT(!p.leader);
	relay_set(&relay, PASS);
	WAIT(p.leader);
	coord_destroy(a);
}
END_TEST

/* ---- no quorum ------------------------------------------------------------------------------- */

static const char *const no_quorums[] = { "127.0.0.1:1", "nonexistent.invalid:2181", "" };

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
	ck_assert_int_lt(clock_mono_ms() - start, 5000);
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
	tcase_add_test(tc, test_election_moves_on);
	tcase_add_loop_test(tc, test_leader_cut_off, 0, 2);
	tcase_add_test(tc, test_leader_survives_short_loss);
	tcase_add_test(tc, test_leadership_regained);
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
