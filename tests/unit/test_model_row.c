/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statements that lists of columns come to, and that the lists of all tables suit their
 * structs. What a server makes of them is tested with one (integration/test_model.c).
 */
#include "common/base/str.h"
#include "common/model/cluster/node.h"
#include "common/model/cluster/task.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>

struct pet {
	int64_t id, age, kept;
	char *name, *owner, *seen;
	char kind[8];
	struct json *tricks, *shots;
	int unlisted;
};

#define PET_ROW(X, SEP)                                                         \
	X(id, row_int, ROW_KEY)                                                 \
	SEP X(name, row_str, ROW_NEW)                                           \
	SEP X(kind, row_chars, ROW_NEW)                                         \
	SEP X(age, row_int, ROW_NEW | ROW_SAVE) SEP X(owner, row_str, ROW_SAVE) \
	SEP X(tricks, row_json, ROW_OPTION)                                     \
	SEP X(shots, row_object, ROW_GROUP)                                     \
	SEP X(seen, row_str, ROW_OPTION | ROW_KEEP) SEP X(kept, row_int, 0)
#define PET_COLUMN(col, type, flags) ROW_COLUMN(struct pet, col, type, flags),
static const struct row_column columns[] = { PET_ROW(PET_COLUMN, ) };
static const struct row_table pets = ROW_TABLE("pet", struct pet, columns);

START_TEST(texts)
{
	ck_assert_str_eq(ROW_NAMES(PET_ROW),
	                 "id, name, kind, age, owner, tricks, shots, seen, kept");
	LOOM_CLEANUP_STR char *insert = row_insert_text(&pets);
	ck_assert_str_eq(insert,
	                 "INSERT INTO pet (id,name,kind,age,tricks,seen) VALUES (?,?,?,?,?,?)");
	LOOM_CLEANUP_STR char *save = row_save_text(&pets, ROW_SAVE);
	ck_assert_str_eq(save,
	                 "INSERT INTO pet (id,name,kind,age,owner) VALUES (?,0,0,?,?)"
	                 " ON DUPLICATE KEY UPDATE age=VALUES(age),owner=VALUES(owner),seen=seen");
	LOOM_CLEANUP_STR char *update = row_update_text(&pets, ROW_SAVE);
	ck_assert_str_eq(update, "UPDATE pet SET age=?,owner=?,seen=seen WHERE id=?");
	LOOM_CLEANUP_STR char *group = row_save_text(&pets, ROW_GROUP);
	ck_assert_str_eq(group, "INSERT INTO pet (id,name,kind,age,shots) VALUES (?,0,0,0,?)"
	                        " ON DUPLICATE KEY UPDATE shots=VALUES(shots),seen=seen");
}
END_TEST

START_TEST(copies_are_deep)
{
	struct pet a = { .id = 7,
		         .kind = "cat",
		         .unlisted = 3,
		         .name = loom_strdup("Tom"),
		         .tricks = unit_json("{'sit':true}") };
	struct pet b = { 0 };
	row_copy(&pets, &b, &a);
	row_fini(&pets, &a);
	ck_assert_ptr_null(a.name);
	ck_assert_int_eq(a.id, 7);
	row_fini(&pets, &a); /* twice is harmless */
	ck_assert_int_eq(b.id, 7);
	ck_assert_str_eq(b.kind, "cat");
	ck_assert_str_eq(b.name, "Tom");
	ck_assert_ptr_null(b.owner);
	ck_assert(json_get_bool(b.tricks, "sit", false));
	ck_assert_int_eq(b.unlisted, 0);
	row_fini(&pets, &b);
}
END_TEST

static const struct row_table *const tables[] = { &pets,       &task_table, &task_new_table,
	                                          &node_table, &job_table,  &cluster_table };

START_TEST(lists_suit_their_structs)
{
	const struct row_table *t = tables[_i];
	size_t keys = 0;
	for (size_t k = 0; k < t->n; k++) {
		const struct row_column *c = &t->columns[k];
		keys += (c->flags & ROW_KEY) != 0;
		ck_assert_msg(c->member == c->type->member, "%s.%s: the type is not the member's",
		              t->name, c->name);
		ck_assert_msg(c->offset + c->size <= t->size, "%s.%s", t->name, c->name);
		ck_assert_msg(!(c->flags & ROW_KEY) || !(c->flags & ~(unsigned)ROW_KEY),
		              "%s.%s: a key is never saved", t->name, c->name);
		for (size_t m = 0; m < k; m++)
			ck_assert_msg(!str_eq(t->columns[m].name, c->name), "%s.%s twice", t->name,
			              c->name);
	}
	ck_assert_uint_gt(keys, 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("all");
	tcase_add_test(t, texts);
	tcase_add_test(t, copies_are_deep);
	tcase_add_loop_test(t, lists_suit_their_structs, 0, LOOM_COUNT(tables));
	return UNIT_RUN("row", t);
}
