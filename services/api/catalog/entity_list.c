/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entity_list - the lists of documents (listing.h): names and versions out of an index, and then,
 * unless these are enough, the documents.
 */
#include "services/api/resources.h"

#include "common/model/catalog/entity_list.h"
#include "common/model/keys/secret.h"
#include "services/api/catalog/entities.h"
#include "services/api/request/request.h"
#include "services/api/watch/listing.h"

static void add_names(struct json *list, const struct entity_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++) {
		struct json *doc = json_set_str(json_new_obj(), "name", keys->v[i].name);
		json_push(list, json_set_int(doc, "version", keys->v[i].version));
	}
}

static int read_part(struct db *db, struct http_req *req, struct list_part *part, struct json **ret)
{
	enum entity_kind kind = entities_kind(req);
	const struct entity_range range = {
		.tenant = entities_home(kind, request_who(req)->tenant_id),
		.kind = kind,
		.down = part->down,
		.after = part->after,
		.limit = part->limit,
	};
	struct entity_keys keys = { 0 };
	int rc = entity_list_keys(db, &range, &keys);
	if (rc)
		return rc;
	*ret = json_new_arr();
	part->more = keys.more;
	if (part->brief)
		add_names(*ret, &keys);
	else
		rc = entity_list_docs(db, &range, keys.v, keys.n, *ret);
	for (size_t i = 0; i < json_len(*ret); i++)
		secrets_mask(json_at(*ret, i));
	loom_free(keys.v);
	return rc;
}

/* entity_list_keys() finds a place for each. */
static bool is_place(struct http_req *req LOOM_UNUSED, const char *text LOOM_UNUSED)
{
	return true;
}

void entities_list(struct http_req *req, void *ctx)
{
	static const char *const searched[] = { "name", "label", "description", NULL };
	static const char *const brief[] = { "name", "version", NULL };
	static const struct listing_kind documents = { .rules = { .key = "name",
		                                                  .searched = searched },
		                                       .read = read_part,
		                                       .first = LIST_STEP,
		                                       .most = DB_MANY,
		                                       .brief = brief,
		                                       .is_place = is_place };
	enum entity_kind kind = entities_kind(req);
	const struct tally_of of =
		tally_of_entities(entities_home(kind, request_who(req)->tenant_id), kind);
	listing_answer(req, ctx, &documents, &of);
}
