/* SPDX-License-Identifier: Apache-2.0 */
/* What the command prints: reasons, paths, tables, JSON; and the requests that it makes. */
#include "tests/unit/cli_args_case.h"

/* ---- operations ------------------------------------------------------------------------------ */

static const struct {
	const char *present, *line, *want; /* a configuration, or a word of the reason */
} configs[] = {
	{ "{\"web\":{\"port\":\"80\",\"m\":\"x\"}}", "--set web/port=81",
	  "{\"web\":{\"port\":\"81\",\"m\":\"x\"}}" },
	{ "{}", "--set /web/port:=81 --set a=b=c", "{\"web\":{\"port\":81},\"a\":\"b=c\"}" },
	{ "{\"a\":1}", "--set a= --set b/~1c~0=2", "{\"a\":\"\",\"b\":{\"/c~\":\"2\"}}" },
	{ "{\"a\":{\"b\":1,\"c\":2}}", "--unset a/b --set a/c:=[1,2]", "{\"a\":{\"c\":[1,2]}}" },
	{ "{\"a\":{\"b\":1,\"c\":2}}", "--merge {\"a\":{\"b\":null,\"d\":{\"e\":3}}}",
	  "{\"a\":{\"c\":2,\"d\":{\"e\":3}}}" },
	{ "{\"a\":1}", "--config {\"b\":2} --set c=3", "{\"b\":2,\"c\":\"3\"}" },
	{ "{\"a\":1}", "--set /a.b=2", "{\"a\":1,\"a.b\":\"2\"}" },
	{ "{}", "--set web.port=81", "web/port" },
	{ "{}", "--set web", "PATH=TEXT" },
	{ "{}", "--set =1", "PATH=TEXT" },
	{ "{}", "--set web//port=1", "a key is empty" },
	{ "{}", "--set web:={", "not JSON" },
	{ "{\"web\":\"x\"}", "--set web/port=1", "'web' is no object but a string" },
	{ "{}", "--unset web/port", "no such setting" },
	{ "{}", "--merge []", "--merge must be a JSON object" },
};

START_TEST(changes_configurations)
{
	LOOM_CLEANUP(json_free) struct json *present = NULL, *config = NULL, *want = NULL;
	char line[256];
	snprintf(line, sizeof(line), "cluster configure 7 %s", configs[_i].line);
	ck_assert_msg(parse(line) == 0, "%s", err.msg);
	ck_assert_int_eq(json_parse_str(configs[_i].present, &present, NULL), 0);
	int r = config_option(&a, present, &config, &err);
	if (*configs[_i].want != '{') {
		ck_assert_int_eq(r, CLI_USAGE);
		ck_assert_msg(strstr(err.msg, configs[_i].want) != NULL, "%s", err.msg);
		return;
	}
	ck_assert_msg(r == 0, "%s", err.msg);
	LOOM_CLEANUP_STR char *text = json_text(config);
	ck_assert_int_eq(json_parse_str(configs[_i].want, &want, NULL), 0);
	ck_assert_msg(json_equal(config, want), "%s", text);
}
END_TEST

START_TEST(writes_changes)
{
	LOOM_CLEANUP(json_free) struct json *plan = NULL, *cluster = NULL;
	struct buf b = BUF_INIT(65536);
	ck_assert_int_eq(
		json_parse_str(
			"{\"nodes\":{\"added\":[{\"nodenum\":1003,\"hostname\":\"d\",\"services\":"
			"[\"web\",\"base\"]}],\"removed\":[{\"nodenum\":1000,\"hostname\":\"a\"}],"
			"\"changed\":[{\"nodenum\":1001,\"hostname\":\"b\",\"servicesAdded\":"
			"[\"cron\"],\"servicesRemoved\":[\"db\"]}]},\"config\":[{\"path\":\"/x\","
			"\"from\":\"80\",\"to\":81},{\"path\":\"/y\",\"to\":[]},{\"path\":\"/z\"}],"
			"\"tasks\":[{\"nodenum\":1003},{\"nodenum\":1001},{\"nodenum\":1003}]}",
			&plan, NULL),
		0);
	ck_assert_int_eq(json_parse_str("{\"nodes\":[{\"properties\":{\"nodenum\":1001,"
	                                "\"hostname\":\"b.local\"}}]}",
	                                &cluster, NULL),
	                 0);
	plan_diff_write(plan, 2, NULL, &b);
	ck_assert_str_eq(buf_str(&b), "  CHANGE  WHERE       WHAT\n"
	                              "  add     1003 d      web,base\n"
	                              "  remove  1000 a      -\n"
	                              "  change  1001 b      +cron -db\n"
	                              "  config  /x          \"80\" -> 81\n"
	                              "  config  /y          (none) -> []\n"
	                              "  config  and 1 more  -\n");
	LOOM_CLEANUP_STR char *summary = plan_diff_summary(plan);
	ck_assert_str_eq(summary, "1 node added, 1 node removed, 1 node changed, "
	                          "3 settings changed, 3 tasks");
	LOOM_CLEANUP(json_free) struct json *nodes = plan_diff_nodes(plan, cluster);
	LOOM_CLEANUP_STR char *text = json_text(nodes);
	ck_assert_str_eq(text, "[{\"nodenum\":1001,\"hostname\":\"b.local\"},"
	                       "{\"nodenum\":1003,\"hostname\":\"d\"}]");
	buf_reset(&b);
	plan_diff_write(NULL, PLAN_DIFF_ALL, NULL, &b);
	ck_assert_uint_eq(b.len, 0);
	buf_fini(&b);
}
END_TEST

START_TEST(reads_times)
{
	int64_t ms = 0;
	ck_assert_int_eq(time_parse("2030-01-31T18:00:05Z", &ms), CLI_OK);
	ck_assert_int_eq(ms, 1896112805000);
	ck_assert_int_eq(time_parse("2030-01-31 18:00", &ms), CLI_OK);
	ck_assert_int_eq(ms, 1896112800000);
	ck_assert_int_eq(time_parse("2030-01-31", &ms), CLI_OK);
	ck_assert_int_eq(ms, 1896048000000);
	ck_assert_int_eq(time_parse("1896112805001", &ms), CLI_OK);
	ck_assert_int_eq(ms, 1896112805001);
	ck_assert_int_eq(time_parse("soon", &ms), CLI_USAGE);
	ck_assert_int_eq(time_parse("2030-02-31", &ms), CLI_USAGE);
	ck_assert_int_eq(time_parse("2030-04-31T18:00Z", &ms), CLI_USAGE);
	ck_assert_int_eq(time_parse("2030-01-31T18:00+02", &ms), CLI_USAGE);
	ck_assert_int_eq(time_parse("0", &ms), CLI_USAGE);
}
END_TEST

/* ---- text ------------------------------------------------------------------------------------ */

static const struct {
	int status;
	const char *body, *want;
} reasons[] = {
	{ 400, "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"detail\":\"no such field\"}",
	  "no such field" },
	{ 503, "{\"title\":\"Service Unavailable\"}", "Service Unavailable" },
	{ 400, "plain words\n", "plain words" },
	{ 400, "\"quoted words\"", "quoted words" },
	{ 500, "", "the server answered 500" },
	{ 502, "<html>", "the server answered 502" },
	{ 400, "{\"missingFields\":[{\"key\":{},\"user\":{}},{\"token\":{}}]}",
	  "the provider needs more fields: key and user, or token" },
};

START_TEST(finds_reasons)
{
	LOOM_CLEANUP_STR char *s =
		cli_reason(reasons[_i].status, reasons[_i].body, strlen(reasons[_i].body));
	ck_assert_str_eq(s, reasons[_i].want);
}
END_TEST

START_TEST(quotes_paths)
{
	LOOM_CLEANUP_STR char *s = cli_quote("a/b ü?..");
	ck_assert_str_eq(s, "a%2Fb%20%C3%BC%3F..");
}
END_TEST

START_TEST(lines_up_tables)
{
	struct table t;
	struct buf b = BUF_INIT(4096);
	table_init(&t, "ID|NAME|X");
	table_add(&t, "1");
	table_add(&t, "überlang");
	table_add(&t, NULL);
	table_addf(&t, "%d", 22);
	table_add(&t, "a\nb");
	table_add(&t, "");
	table_write(&t, "  ", NULL, &b);
	ck_assert_str_eq(buf_str(&b), "  ID  NAME      X\n"
	                              "  1   überlang  -\n"
	                              "  22  a b       -\n");
	ck_assert_uint_eq(table_rows(&t), 2);
	ck_assert_uint_eq(text_width("日本"), 4);
	ck_assert_uint_eq(text_width("█✓"), 2);
	buf_fini(&b);
	table_fini(&t);
}
END_TEST

static const struct {
	struct table_fit fit;
	const char *want;
} fits[] = {
	/* all of it where there is no end */
	{ { 0, false, true },
	  "ID  STATUS      NAME                      ABOUT\n"
	  "1   incomplete  a-name-that-is-very-long  überaus lang, aber nicht gar so sehr\n"
	  "2   pending     b                         -\n" },
	/* the widest is cut first, then both */
	{ { 60, false, true },
	  "ID  STATUS      NAME                   ABOUT\n"
	  "1   incomplete  a-name-that-is-very-…  überaus lang, aber n…\n"
	  "2   pending     b                      -\n" },
	{ { 50, false, false },
	  "ID  STATUS      NAME              ABOUT\n"
	  "1   incomplete  a-name-that-is..  überaus lang, ..\n"
	  "2   pending     b                 -\n" },
	/* too narrow for columns */
	{ { 30, false, true },
	  "ID: 1\nSTATUS: incomplete\nNAME: a-name-that-is-very-long\n"
	  "ABOUT: überaus lang, aber nicht gar so sehr\n\nID: 2\nSTATUS: pending\nNAME: b\n" },
	{ { 60, true, true },
	  "ID  STATUS      NAME                   ABOUT\n"
	  "1   \033[31mincomplete\033[0m  a-name-that-is-very-…  überaus lang, aber n…\n"
	  "2   \033[36mpending\033[0m     b                      -\n" },
};

START_TEST(fits_tables)
{
	static const char *const cells[] = { "1",
		                             "incomplete",
		                             "a-name-that-is-very-long",
		                             "überaus lang, aber nicht gar so sehr",
		                             "2",
		                             "pending",
		                             "b",
		                             "" };
	struct table t;
	struct buf b = BUF_INIT(4096);
	table_init(&t, "ID|STATUS|NAME|ABOUT");
	for (size_t i = 0; i < LOOM_COUNT(cells); i++)
		table_add(&t, cells[i]);
	table_write(&t, "", &fits[_i].fit, &b);
	ck_assert_str_eq(buf_str(&b), fits[_i].want);
	buf_fini(&b);
	table_fini(&t);
}
END_TEST

/* No line is wider than the terminal, whatever its width: columns, or blocks of short cells. */
START_TEST(never_wider_than_the_terminal)
{
	struct table t;
	table_init(&t, "ONE|TWO|THREE|FOUR|FIVE");
	for (int i = 0; i < 20; i++)
		table_addf(&t, "%.*s", i * 7 % 23, "abcdefghijklmnopqrstuvwxyz");
	for (size_t width = 30; width < 140; width++) {
		const struct table_fit fit = { .width = width, .utf8 = width % 2 };
		struct buf b = BUF_INIT(65536);
		table_write(&t, "  ", &fit, &b);
		for (char *line = strtok(b.data, "\n"); line; line = strtok(NULL, "\n"))
			ck_assert_msg(text_width(line) <= width, "%zu: %s", width, line);
		buf_fini(&b);
	}
	table_fini(&t);
}
END_TEST

static const struct {
	const char *text, *want;
} pretties[] = {
	{ "{}", "{}" },
	{ "[]", "[]" },
	{ "\"a,b:{\\\"\"", "\"a,b:{\\\"\"" },
	{ "{\"a\":1,\"b\":[]}", "{\n  \"a\": 1,\n  \"b\": []\n}" },
	{ "[1,{\"x\":\"[,]\"}]", "[\n  1,\n  {\n    \"x\": \"[,]\"\n  }\n]" },
};

START_TEST(lays_json_out)
{
	LOOM_CLEANUP_STR char *s = cli_pretty(pretties[_i].text);
	ck_assert_str_eq(s, pretties[_i].want);
}
END_TEST

int main(void)
{
	commands_init(&commands);
	TCase *tc = tcase_create("all");
	tcase_add_loop_test(tc, changes_configurations, 0, LOOM_COUNT(configs));
	tcase_add_test(tc, writes_changes);
	tcase_add_test(tc, reads_times);
	tcase_add_loop_test(tc, finds_reasons, 0, LOOM_COUNT(reasons));
	tcase_add_test(tc, quotes_paths);
	tcase_add_test(tc, lines_up_tables);
	tcase_add_loop_test(tc, fits_tables, 0, LOOM_COUNT(fits));
	tcase_add_test(tc, never_wider_than_the_terminal);
	tcase_add_loop_test(tc, lays_json_out, 0, LOOM_COUNT(pretties));
	int rc = UNIT_RUN("cli_text", tc);
	commands_fini(&commands);
	return rc;
}
