/* SPDX-License-Identifier: Apache-2.0 */
/*
 * play - provisioners without plug-ins. As the real one does, each has one long poll that asks for
 * as many tasks as more may run; a task runs for as long as the options say, then its result is
 * posted over a connection of its own, whose answer may bring more.
 *
 * internal=PORT  provisioners=4 slots=16  tenant=ID ("*")  name=PREFIX
 * next=1          the result of all it did asks for the next tasks; 0: only takes do
 * ms=0 spread=0   a task takes ms, give or take spread
 * until=N         stops after so many completions; seconds=S: or after so long
 * takes=FILE      one line per task: taskId attempt microseconds-since-the-epoch
 */
#include "bench.h"
#include "hub.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/ids.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define MAX_TAKE 64 /* what the server allows */

struct play;

struct slot {
	struct provisioner *p;
	struct conn *conn;
	struct timer *timer;
	bool busy, running, confirm;
	char task[ID_MAX];
	int64_t attempt, sent;
	int asked; /* tasks that the answer to its result may bring */
};

struct provisioner {
	struct play *play;
	char id[64], path[128];
	struct conn *taker, *beater;
	struct timer *beat, *again;
	bool taking;
	struct slot *slots;
	int n_slots, busy, running; /* of twice as many slots n_slots may run */
	int asked, take_asked;      /* tasks that calls under way may bring; that the take may */
};

struct play {
	struct hub *hub;
	const char *tenant;
	int64_t ms, spread, until, began, done, refused, lost, takes, empty;
	struct samples finish_us, done_at;
	struct buf log;
	bool keep, next;
	struct timer *end;
};

static int room(const struct provisioner *p)
{
	int may_run = p->n_slots - p->running - p->asked,
	    free = 2 * p->n_slots - p->busy - p->asked;
	int max = may_run < free ? may_run : free;
	return max < MAX_TAKE ? max : MAX_TAKE;
}

static void take(struct provisioner *p)
{
	char body[512];
	int max = room(p);
	if (p->taking || max < 1)
		return;
	p->taking = true;
	p->take_asked = max;
	p->asked += max;
	snprintf(body, sizeof(body),
	         "{\"provisionerId\":\"%s\",\"workerId\":\"%s.1\",\"tenantId\":\"%s\",\"wait\":20,"
	         "\"max\":%d,\"lease\":true}",
	         p->id, p->id, p->play->tenant, max);
	hub_send(p->taker, "POST", "/v2/tasks/take", "", body);
}

static void finish(void *arg)
{
	struct slot *s = arg;
	unsigned h = 0;
	char more[160] = "", next[64] = "", body[832];
	for (const char *c = s->task; *c; c++)
		h = h * 31 + (unsigned char)*c;
	if (s->confirm)
		snprintf(more, sizeof(more),
		         ",\"ipaddresses\":{\"access_v4\":\"10.%u.%u.%u\","
		         "\"bind_v4\":\"10.%u.%u.%u\"}",
		         h >> 16 & 255, h >> 8 & 255, h & 255, h >> 16 & 255, h >> 8 & 255,
		         h & 255);
	s->p->running -= s->running;
	s->running = false;
	s->asked = s->p->play->next && s->p->busy == 1 && room(s->p) > 0 ? room(s->p) : 0;
	s->p->asked += s->asked;
	if (s->asked)
		snprintf(next, sizeof(next), ",\"next\":%d,\"lease\":true", s->asked);
	snprintf(
		body, sizeof(body),
		"{\"provisionerId\":\"%s\",\"workerId\":\"%s.1\",\"tenantId\":\"%s\","
		"\"taskId\":\"%s\",\"attempt\":%lld,\"status\":0,\"stdout\":\"\",\"stderr\":\"\"%s%s}",
		s->p->id, s->p->id, s->p->play->tenant, s->task, (long long)s->attempt, more, next);
	s->sent = clock_mono_us();
	hub_send(s->conn, "POST", "/v2/tasks/finish", "", body);
	take(s->p);
}

static void begin_all(struct provisioner *p, const char *text, size_t len);

static void finished(void *arg, int status, const char *text, size_t len)
{
	struct slot *s = arg;
	struct play *g = s->p->play;
	int64_t now = clock_mono_us();
	if (!s->busy) /* the server closed an idle connection */
		return;
	int asked = s->asked;
	s->asked = 0;
	if (status == 0 || status == 503) { /* sent again until it is heard */
		s->p->asked -= asked;
		g->lost++;
		timer_at(s->timer, now + 100000);
		return;
	}
	if (status != 200 && !g->refused++)
		fprintf(stderr, "driver: finish of %s: %d %.200s\n", s->task, status, text);
	samples_add(&g->finish_us, now - s->sent);
	samples_add(&g->done_at, now);
	s->busy = false;
	s->p->busy--;
	if (status == 200 && ++g->done == g->until)
		hub_stop(g->hub);
	if (status == 200)
		begin_all(s->p, text, len);
	s->p->asked -= asked; /* not before: what is begun may end at once */
	take(s->p);
}

static struct slot *free_slot(struct provisioner *p)
{
	for (int i = 0; i < 2 * p->n_slots; i++)
		if (!p->slots[i].busy)
			return &p->slots[i];
	return NULL;
}

static void begin(struct provisioner *p, const char *task, const char *end, int64_t wall)
{
	struct play *g = p->play;
	struct slot *s = free_slot(p);
	const char *attempt = memmem(task, (size_t)(end - task), "\"attempt\":", 10);
	loom_assert(s && attempt);
	snprintf(s->task, sizeof(s->task), "%.*s", (int)strcspn(task, "\""), task);
	s->attempt = strtoll(attempt + 10, NULL, 10);
	s->confirm = memmem(task, (size_t)(end - task), "\"taskName\":\"CONFIRM\"", 20);
	s->busy = s->running = true;
	p->busy++;
	p->running++;
	if (g->keep)
		buf_addf(&g->log, "%s %lld %lld\n", s->task, (long long)s->attempt,
		         (long long)wall);
	int64_t us = g->ms * 1000;
	if (g->spread)
		us += (random() % (2 * g->spread * 1000 + 1)) - g->spread * 1000;
	if (us > 0)
		timer_at(s->timer, clock_mono_us() + us);
	else
		finish(s);
}

static void begin_all(struct provisioner *p, const char *text, size_t len)
{
	static const char mark[] = "{\"taskId\":\"";
	int64_t wall = wall_us();
	const char *end = text + len, *at = len ? strstr(text, mark) : NULL;
	while (at) {
		const char *id = at + sizeof(mark) - 1, *next = strstr(id, mark);
		begin(p, id, next ? next : end, wall);
		at = next;
	}
}

static void taken(void *arg, int status, const char *text, size_t len)
{
	struct provisioner *p = arg;
	if (!p->taking)
		return;
	p->play->takes++;
	if (status == 204) {
		p->play->empty++;
	} else if (status != 200) {
		p->taking = false;
		p->asked -= p->take_asked;
		p->play->lost++;
		timer_at(p->again, clock_mono_us() + 100000);
		return;
	}
	if (status == 200)
		begin_all(p, text, len);
	p->asked -= p->take_asked;
	p->taking = false;
	take(p);
}

static void take_again(void *arg)
{
	take(arg);
}

static void beat(void *arg)
{
	struct provisioner *p = arg;
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(1u << 20);
	buf_adds(&b, "{\"usage\":{},\"tasks\":[");
	const char *comma = "";
	for (int i = 0; i < 2 * p->n_slots; i++)
		if (p->slots[i].busy) {
			buf_addf(&b, "%s{\"taskId\":\"%s\",\"attempt\":%lld}", comma,
			         p->slots[i].task, (long long)p->slots[i].attempt);
			comma = ",";
		}
	buf_adds(&b, "]}");
	char path[160];
	snprintf(path, sizeof(path), "%s/heartbeat", p->path);
	hub_send(p->beater, "POST", path, "", buf_str(&b));
	timer_at(p->beat, clock_mono_us() + 2000000);
}

/* The registration's answer starts the rest; later ones are heartbeats'. */
static void beaten(void *arg, int status, const char *text, size_t len LOOM_UNUSED)
{
	struct provisioner *p = arg;
	if (status != 200) {
		fprintf(stderr, "driver: %s: %d %.200s\n", p->path, status, text);
		exit(1);
	}
	take(p);
}

static void start(struct play *g, struct provisioner *p, const struct options *o, int number)
{
	int port = (int)option_int(o, "internal", 0);
	p->play = g;
	p->n_slots = (int)option_int(o, "slots", 16);
	p->slots = loom_calloc(2 * (size_t)p->n_slots, sizeof(*p->slots));
	snprintf(p->id, sizeof(p->id), "%s-%d", option(o, "name", "bench"), number);
	snprintf(p->path, sizeof(p->path), "/v2/provisioners/%s", p->id);
	p->taker = conn_create(g->hub, port, taken, p);
	p->beater = conn_create(g->hub, port, beaten, p);
	p->beat = timer_create_on(g->hub, beat, p);
	p->again = timer_create_on(g->hub, take_again, p);
	for (int i = 0; i < 2 * p->n_slots; i++)
		p->slots[i] =
			(struct slot){ .p = p,
			               .conn = conn_create(g->hub, port, finished, &p->slots[i]),
			               .timer = timer_create_on(g->hub, finish, &p->slots[i]) };
	char body[256];
	snprintf(body, sizeof(body),
	         "{\"id\":\"%s\",\"host\":\"127.0.0.1\",\"port\":\"1\",\"capacityTotal\":\"%d\"}",
	         p->id, p->n_slots);
	hub_send(p->beater, "PUT", p->path, "", body);
	timer_at(p->beat, clock_mono_us() + 2000000);
}

static void too_long(void *arg)
{
	struct play *g = arg;
	hub_stop(g->hub);
}

/* Completions per second between the first and the last tenth, where all workers are busy. */
static double steady_rate(const struct samples *at)
{
	size_t from = at->n / 10, to = at->n - 1 - at->n / 10;
	if (at->n < 20 || at->v[to] == at->v[from])
		return 0;
	return (double)(to - from) * 1e6 / (double)(at->v[to] - at->v[from]);
}

static void report(struct play *g)
{
	struct rusage ru;
	getrusage(RUSAGE_SELF, &ru);
	LOOM_CLEANUP(json_free) struct json *out = json_set_int(json_new_obj(), "done", g->done);
	set_double(out, "rate", steady_rate(&g->done_at));
	set_double(out, "seconds", (double)(clock_mono_us() - g->began) / 1e6);
	set_double(out, "cpu_seconds",
	           (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	                   (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
	json_set_int(out, "takes", g->takes);
	json_set_int(out, "empty_takes", g->empty);
	json_set_int(out, "refused", g->refused);
	json_set_int(out, "lost", g->lost);
	json_set(out, "finish_ms", samples_ms(&g->finish_us));
	LOOM_CLEANUP_STR char *text = json_text(out);
	puts(text);
}

static int write_log(const struct play *g, const char *path)
{
	FILE *f = fopen(path, "w");
	if (!f || fputs(buf_str(&g->log), f) < 0 || fclose(f)) {
		perror(path);
		return 1;
	}
	return 0;
}

int play_main(const struct options *o)
{
	int n = (int)option_int(o, "provisioners", 4);
	struct play g = { .hub = hub_create(),
		          .tenant = option(o, "tenant", "*"),
		          .ms = option_int(o, "ms", 0),
		          .spread = option_int(o, "spread", 0),
		          .until = option_int(o, "until", -1),
		          .began = clock_mono_us(),
		          .log = BUF_INIT(256u << 20),
		          .keep = option(o, "takes", NULL),
		          .next = option_int(o, "next", 1) };
	struct provisioner *all = loom_calloc((size_t)n, sizeof(*all));
	g.end = timer_create_on(g.hub, too_long, &g);
	timer_at(g.end, g.began + option_int(o, "seconds", 60) * 1000000);
	for (int i = 0; i < n; i++)
		start(&g, &all[i], o, i + 1);
	hub_run(g.hub);
	report(&g);
	int rc = g.keep ? write_log(&g, option(o, "takes", "")) : 0;
	hub_destroy(g.hub);
	for (int i = 0; i < n; i++)
		loom_free(all[i].slots);
	loom_free(all);
	samples_fini(&g.finish_us);
	samples_fini(&g.done_at);
	buf_fini(&g.log);
	return rc;
}
