/* SPDX-License-Identifier: Apache-2.0 */
/* A list by its key: one part after the other, until the page or the list is over. */
#include "services/api/watch/listing.h"

#include "common/base/str.h"
#include "services/api/api.h"
#include "services/api/request/pieces.h"
#include "services/api/request/request.h"
#include "services/api/watch/blocking.h"

#include <string.h>

#define FEW      ((size_t)256 << 10) /* bytes: when items have fewer, more are read at once, */
#define MUCH     ((size_t)1 << 20)   /* and fewer when they have more */
#define TEXT_MAX ((size_t)256 << 20) /* bytes: more than a piece can have */

struct listing {
	struct pieces p;
	struct api *a;
	struct http_req *req;
	const struct listing_kind *kind;
	struct strs fields;     /* none: all */
	bool filtered, columns; /* a filter is there; only members of a brief part are shown */
	int64_t limit;          /* of the page; 0: there is none */

	struct list_part part; /* what is read next, */
	char *behind;          /* and behind which place */
	int64_t step;          /* items that are read at once */
	struct json *got;

	int64_t n;  /* items of the page that were found */
	char *last; /* the place of the last one of them */
	bool more;  /* behind it */

	/* Of a page that is long. */
	enum { READING, LOOKING, KNOWN } state;
	struct strs ahead; /* the places of what is behind its text */
	size_t shown;      /* of these */
	char *back;        /* the place at which its text ended */
};

static void listing_free(void *arg)
{
	struct listing *l = arg;
	json_free(l->got);
	loom_free(l->behind);
	loom_free(l->last);
	loom_free(l->back);
	strs_fini(&l->ahead);
	strs_fini(&l->fields);
	pieces_fini(&l->p);
	loom_free(l);
}

static void set(char **at, char *text)
{
	loom_free(*at);
	*at = text;
}

/* ---- what is asked for ----------------------------------------------------------------------- */

/* Has a brief part all that is shown? */
static bool is_columns(const struct listing *l)
{
	size_t n = 0;
	for (const char *const *b = l->kind->brief; b && *b; b++)
		n += strs_has(&l->fields, *b);
	return n && n == l->fields.n;
}

static bool is_place(const struct listing *l, const char *text)
{
	int64_t number;
	if (l->kind->is_place)
		return l->kind->is_place(l->req, text);
	return l->kind->number ? !str_to_int(text, &number) : str_is_utf8(text);
}

static bool place_asked(struct listing *l)
{
	const char *text = http_query(l->req, "after");
	if (!text)
		return true;
	if (!is_place(l, text)) {
		http_reply_problem(l->req, 400,
		                   "after '%.40s' is no place in this list: take it from the Link "
		                   "of the page before",
		                   text);
		return false;
	}
	l->behind = loom_strdup(text);
	return true;
}

/* false when answered. */
static bool asked(struct listing *l)
{
	const struct schema *item = request_route(l->req)->answer->items;
	const char *sort = http_query(l->req, "sort");
	if (!list_query_limit(l->req, &l->limit) || !list_query_check(l->req) ||
	    !list_query_fields(l->req, item, &l->fields) || !place_asked(l))
		return false;
	l->columns = is_columns(l);
	l->filtered = list_query_filters(l->req, &l->kind->rules);
	if (sort)
		l->part.down = *sort == '-';
	return true;
}

/* ---- items ----------------------------------------------------------------------------------- */

static char *place_of(struct listing *l, const struct json *item)
{
	const char *key = l->kind->rules.key;
	if (l->kind->place)
		return l->kind->place(l->req, item);
	return l->kind->number ? loom_asprintf("%lld", (long long)json_get_int(item, key, 0))
	                       : loom_strdup(json_get_str(item, key));
}

/* `"KEY":VALUE`, owned. */
static char *member_of(const struct listing *l, const struct json *item)
{
	LOOM_CLEANUP(json_free)
	struct json *o = json_set(json_new_obj(), json_get_str(item, l->kind->rules.key),
	                          json_copy(json_get(item, l->kind->value)));
	LOOM_CLEANUP_STR char *text = json_text(o);
	return loom_strndup(text + 1, strlen(text) - 2);
}

/* Its bytes. */
static size_t show(struct listing *l, const struct json *item)
{
	LOOM_CLEANUP(json_free) struct json *some = list_query_pick(item, &l->fields);
	LOOM_CLEANUP_STR char *text = l->kind->value ? member_of(l, some) : json_text(some);
	size_t n = strlen(text);
	pieces_add(&l->p, text, n);
	return n;
}

/* One behind the text of a page of which the rest is known. What is not ahead has come meanwhile,
 * and what is not there any more is left out. */
static size_t show_known(struct listing *l, const struct json *item, const char *place)
{
	size_t i = l->shown;
	while (i < l->ahead.n && !str_eq(l->ahead.v[i], place))
		i++;
	if (i == l->ahead.n)
		return 0;
	l->shown = i + 1;
	return show(l, item);
}

/* One that comes next; its bytes. */
static size_t take(struct listing *l, const struct json *item)
{
	if (l->state != KNOWN && !list_query_fits(l->req, item, &l->kind->rules))
		return json_size(item);
	LOOM_CLEANUP_STR char *place = place_of(l, item);
	if (l->state == KNOWN)
		return show_known(l, item, place);
	l->more = l->limit && l->n == l->limit;
	if (l->more)
		return 0;
	l->n++;
	set(&l->last, loom_strdup(place));
	if (l->state == READING)
		return show(l, item);
	strs_add(&l->ahead, place);
	return json_size(item);
}

static bool is_full(const struct listing *l)
{
	return l->state == KNOWN ? l->shown == l->ahead.n : l->more;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void choose_part(struct listing *l)
{
	int64_t left = l->state == KNOWN ? (int64_t)(l->ahead.n - l->shown) : l->limit - l->n + 1;
	l->part.brief = l->kind->brief && !l->filtered && (l->state == LOOKING || l->columns);
	l->part.limit = l->part.brief ? LIST_PAGE_MAX : l->step;
	if (l->limit && !l->filtered)
		l->part.limit = least(l->part.limit, left);
	l->part.after = l->behind;
	l->part.more = false;
}

static int part_read(struct db *db, void *arg)
{
	struct listing *l = arg;
	json_free(l->got);
	l->got = NULL;
	return l->kind->read(db, l->req, &l->part, &l->got);
}

static void note_bytes(struct listing *l, size_t bytes)
{
	if (bytes < FEW)
		l->step = least(l->step * 2, l->kind->most);
	else if (bytes > MUCH && l->step > 1)
		l->step /= 2;
}

/* The page is over, or the list. */
static void end(struct listing *l)
{
	l->p.over = l->state != LOOKING || !l->ahead.n;
	if (l->state == LOOKING) { /* back to where the text ended */
		l->state = KNOWN;
		l->p.blind = false;
		set(&l->behind, loom_take(l->back));
	}
}

static int next_piece(struct pieces *p)
{
	struct listing *l = (struct listing *)p;
	choose_part(l);
	int rc = db_read(l->a->db, part_read, l);
	if (rc)
		return rc;
	size_t n = json_len(l->got), bytes = 0;
	for (size_t i = 0; i < n && !is_full(l); i++)
		bytes += take(l, json_at(l->got, i));
	if (n)
		set(&l->behind, place_of(l, json_at(l->got, n - 1)));
	note_bytes(l, bytes);
	if (is_full(l) || ((int64_t)n < l->part.limit && !l->part.more)) {
		end(l);
	} else if (l->limit && l->state == READING && p->text.len >= PIECES_AT_ONCE) {
		l->state = LOOKING;
		l->back = loom_strdup(l->behind);
	}
	return 0;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void link_next(struct http_req *req, const struct pieces *p)
{
	const struct listing *l = (const struct listing *)p;
	if (l->more)
		list_link_next(req, l->last);
}

static void answer(struct http_req *req, void *arg)
{
	struct listing *l = arg;
	if (!l->limit)
		l->limit = l->kind->usual_limit;
	l->p.blind = l->limit;
	pieces_answer(req, &l->p);
}

void listing_answer(struct http_req *req, struct api *a, const struct listing_kind *kind,
                    const struct tally_of *of)
{
	struct listing *l = loom_calloc(1, sizeof(*l));
	*l = (struct listing){
		.p = { .next = next_piece, .head = link_next, .object = kind->value != NULL },
		.a = a,
		.req = req,
		.kind = kind,
		.part = { .down = kind->rules.down },
		.step = kind->first,
	};
	pieces_init(&l->p, TEXT_MAX);
	request_keep(req, l, listing_free);
	bool plain = !list_query_asked(req);
	if (!plain && !asked(l))
		return;
	if (!plain && (of || request_route(req)->owner == OWNER_CLUSTER))
		blocking_list(req, a, of, l, answer);
	else
		answer(req, l);
}
