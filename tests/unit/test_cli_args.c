/* SPDX-License-Identifier: Apache-2.0 */
/* The command line, the body of a create request, tables and reasons. */
#include "services/cli/commands.h"
#include "services/cli/hint.h"
#include "services/cli/plan_diff.h"
#include "services/cli/table.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct commands commands;
static struct args a;
static struct loom_err err;
static char words[256];
static char *argv[32];

/* Splits at spaces, as a shell would without quotes. */
static int parse(const char *line)
{
	int argc = 0;
	snprintf(words, sizeof(words), "loom %s", line);
	for (char *at = words; at && *at; argc++) {
		argv[argc] = at;
		at = strchr(at, ' ');
		if (at)
			*at++ = '\0';
	}
	argv[argc] = NULL;
	memset(&err, 0, sizeof(err));
	return args_parse(&a, commands.v, argc, argv, &err);
}

static const struct {
	const char *line, *command;
	size_t n;
} good[] = {
	{ "status", "status", 0 },
	{ "cluster list", "cluster list", 0 },
	{ "cluster create hello --template web --size 3", "cluster create", 1 },
	{ "--url http://x cluster create --size=3 hello -t web", "cluster create", 1 },
	{ "cluster plan -t web -n 3", "cluster plan", 0 },
	{ "cluster watch -- --odd", "cluster watch", 1 },
	{ "task log 00000001-001-001 -f", "task log", 1 },
	{ "template show web -o json", "template show", 1 },
	{ "cluster delete 1 --yes --wait", "cluster delete", 1 },
	{ "cluster create --help", "cluster create", 0 },
	{ "help cluster create", "cluster create", 0 },
	{ "cluster restart shop web --plan -o json", "cluster restart", 2 },
	{ "cluster shrink shop --nodes 1002,1003 -w", "cluster shrink", 1 },
	{ "cluster extend shop --by 2h", "cluster extend", 1 },
	{ "cluster resume shop --wait", "cluster resume", 1 },
};

/* Each letter is the command's own, whatever it stands for in another command. */
START_TEST(letters_are_the_commands_own)
{
	for (const struct command *c = commands.v; c->words; c++)
		for (const struct option *o = c->options; o && o->name; o++) {
			char line[128];
			int n = snprintf(line, sizeof(line), "%s", c->words);
			for (size_t i = 0; i < c->min; i++)
				n += snprintf(line + n, sizeof(line) - (size_t)n, " a");
			snprintf(line + n, sizeof(line) - (size_t)n, " -%c%s", o->letter,
			         o->arg ? " 1" : "");
			if (!o->letter)
				continue;
			ck_assert_msg(!parse(line), "%s: %s", line, err.msg);
			ck_assert_msg(args_has(&a, o->name), "%s: not --%s", line, o->name);
		}
}
END_TEST

START_TEST(parses_good_lines)
{
	int r = parse(good[_i].line);
	ck_assert_msg(r == 0, "%s: %s", good[_i].line, err.msg);
	ck_assert_str_eq(a.command->words, good[_i].command);
	ck_assert_uint_eq(a.n, good[_i].n);
}
END_TEST

static const struct {
	const char *line, *word;
} bad[] = {
	{ "", "no command" },
	{ "cluster", "wants a further word" },
	{ "cluster frobnicate", "'cluster frobnicate'" },
	{ "frobnicate", "'frobnicate'" },
	{ "cluster create", "wants NAME" },
	{ "cluster create a b", "'b' is one argument too many" },
	{ "cluster show 1 --wait", "no option --wait" },
	{ "cluster show -x", "'-x'; a name that begins with '-' goes behind '--'" },
	{ "status --frob", "'--frob'" },
	{ "status -x", "'-x'" },
	{ "status --o json", "'--o'" },
	{ "status -output json", "'-output'" },
	{ "status -o yaml", "table or json" },
	{ "status -o", "wants a value" },
	{ "cluster delete 1 --yes=1", "takes no value" },
	{ "cluster add-services shop", "wants ID|NAME A,B" },
	{ "cluster pause shop --wait", "no option --wait" },
	{ "cluster sync shop web", "'web' is one argument too many" },
	{ "cluster creat x", "'cluster creat'; did you mean 'cluster create'?" },
	{ "clsuter lsit", "did you mean 'cluster list'?" },
	{ "clusters", "did you mean 'cluster'?" },
	{ "statsu", "did you mean 'status'?" },
	{ "template ls", "did you mean 'template list'?" },
	{ "cluster rm x", "did you mean 'cluster delete'?" },
	{ "cluster remove-services x y", "did you mean 'cluster remove-service'?" },
	{ "cluster create x --tempalte web", "'--tempalte'; did you mean --template?" },
	{ "cluster list --templat web", "'--templat'; a name" },
	{ "cluster shrink x --cuont=1", "'--cuont'; did you mean --count?" },
	{ "status --ulr x", "'--ulr'; a name" },
	{ "status --usre x", "did you mean --user?" },
};

START_TEST(knows_names_that_are_near)
{
	LOOM_CLEANUP(json_free) struct json *list = NULL;
	ck_assert_int_eq(json_parse_str("[{\"name\":\"web\"},{\"name\":\"stack\"},{\"name\":"
	                                "\"wiki-farm\"}]",
	                                &list, NULL),
	                 0);
	ck_assert_str_eq(hint_name(list, "stakc"), "stack");
	ck_assert_str_eq(hint_name(list, "Web"), "web");
	ck_assert_str_eq(hint_name(list, "wikifarm"), "wiki-farm");
	ck_assert_ptr_null(hint_name(list, "stack"));
	ck_assert_ptr_null(hint_name(list, "database"));
	ck_assert_ptr_null(hint_name(NULL, "web"));
}
END_TEST

START_TEST(refuses_bad_lines)
{
	ck_assert_int_eq(parse(bad[_i].line), CLI_USAGE);
	ck_assert_msg(strstr(err.msg, bad[_i].word) != NULL, "%s: %s", bad[_i].line, err.msg);
}
END_TEST

START_TEST(keeps_the_last_value)
{
	ck_assert_int_eq(parse("status --user a --user=b"), 0);
	ck_assert_str_eq(args_get(&a, "user"), "b");
	ck_assert_ptr_null(args_get(&a, "tenant"));
	ck_assert(!args_has(&a, "help"));
	ck_assert_int_eq(parse("--help"), 0);
	ck_assert(a.help && !a.command);
	ck_assert_int_eq(parse("--version"), 0);
	ck_assert(a.version);
}
END_TEST

static const struct {
	const char *line, *group;
	bool help, version;
} asks[] = {
	{ "help", NULL, true, false },
	{ "--help", NULL, true, false },
	{ "help template", "template", true, false },
	{ "template --help", "template", true, false },
	{ "version", NULL, false, true },
	{ "--version", NULL, false, true },
};

START_TEST(tells_of_itself)
{
	char text[1 << 14];
	ck_assert_int_eq(parse(asks[_i].line), 0);
	ck_assert_ptr_null(a.command);
	ck_assert_int_eq(a.help, asks[_i].help);
	ck_assert_int_eq(a.version, asks[_i].version);
	if (!asks[_i].group)
		return;
	ck_assert_str_eq(a.group, asks[_i].group);
	FILE *f = fmemopen(text, sizeof(text), "w");
	args_help(commands.v, a.group, f);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(text, "  template list "));
	ck_assert_ptr_null(strstr(text, "  cluster list "));
}
END_TEST

START_TEST(helps_with_every_command)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	args_help(commands.v, NULL, f);
	for (const struct command *c = commands.v; c->words; c++)
		args_help_command(c, f);
	ck_assert_int_eq(fclose(f), 0);
	for (const struct command *c = commands.v; c->words; c++) {
		ck_assert_ptr_nonnull(strstr(text, c->words));
		for (const struct option *o = c->options; o && o->name; o++)
			ck_assert_ptr_nonnull(strstr(text, o->name));
	}
	free(text);
}
END_TEST

/* ---- create ---------------------------------------------------------------------------------- */

static const struct {
	const char *line, *want; /* a body, or a word of the reason */
} creates[] = {
	{ "cluster create x -t web -n 3",
	  "{\"name\":\"x\",\"clusterTemplate\":\"web\",\"numMachines\":3}" },
	{ "cluster create x -t web -n 3 --provider p --services a,b --hardware h --image i",
	  "{\"name\":\"x\",\"clusterTemplate\":\"web\",\"numMachines\":3,\"provider\":\"p\","
	  "\"services\":[\"a\",\"b\"],\"hardwaretype\":\"h\",\"imagetype\":\"i\"}" },
	{ "cluster create x -t web -n 1 --lease 7d --config {\"web\":{\"port\":1.50}}",
	  "{\"name\":\"x\",\"clusterTemplate\":\"web\",\"numMachines\":1,"
	  "\"initialLeaseDuration\":604800000,\"config\":{\"web\":{\"port\":1.50}}}" },
	{ "cluster create x -t web -n 1 --lease 0",
	  "{\"name\":\"x\",\"clusterTemplate\":\"web\",\"numMachines\":1,"
	  "\"initialLeaseDuration\":0}" },
	{ "cluster create x -t web -n 1 --config {\"a\":1} --set b/c=2",
	  "{\"name\":\"x\",\"clusterTemplate\":\"web\",\"numMachines\":1,"
	  "\"config\":{\"a\":1,\"b\":{\"c\":\"2\"}}}" },
	{ "cluster create x -t web -n 1 --set b", "PATH=TEXT" },
	{ "cluster create x -n 3", "--template" },
	{ "cluster create x -t web", "--size N is needed" },
	{ "cluster create x -t web -n three", "'three'" },
	{ "cluster create x -t web -n 0", "'0'" },
	{ "cluster create x -t web -n 1 --lease soon", "'soon'" },
	{ "cluster create x -t web -n 1 --config {", "not JSON" },
	{ "cluster create x -t web -n 1 --config []", "JSON object" },
	{ "cluster create x -t web -n 1 --config @/nonexistent/c.json", "/nonexistent/c.json" },
};

START_TEST(makes_create_requests)
{
	LOOM_CLEANUP(json_free) struct json *body = NULL, *want = NULL;
	ck_assert_int_eq(parse(creates[_i].line), 0);
	int r = create_body(&a, a.positional[0], &body, &err);
	if (*creates[_i].want != '{') {
		ck_assert_int_eq(r, CLI_USAGE);
		ck_assert_msg(strstr(err.msg, creates[_i].want) != NULL, "%s", err.msg);
		return;
	}
	ck_assert_msg(r == 0, "%s", err.msg);
	LOOM_CLEANUP_STR char *text = json_text(body);
	ck_assert_int_eq(json_parse_str(creates[_i].want, &want, NULL), 0);
	ck_assert_msg(json_equal(body, want), "%s", text);
}
END_TEST

/* ---- operations ------------------------------------------------------------------------------ */

static const struct {
	const char *line, *want; /* a body, or a word of the reason */
	const char *path;
} operations[] = {
	{ "cluster configure 7 --config {\"a\":1}",
	  "{\"operation\":\"configure\",\"config\":{\"a\":1}}", "config" },
	{ "cluster configure 7 --no-restart --config {}",
	  "{\"operation\":\"configure\",\"config\":{},\"restart\":false}", "config" },
	{ "cluster add-services 7 a,b",
	  "{\"operation\":\"add_services\",\"services\":[\"a\",\"b\"]}", "services" },
	{ "cluster remove-service 7 a/b",
	  "{\"operation\":\"remove_services\",\"services\":[\"a/b\"]}", "services/a%2Fb" },
	{ "cluster stop 7", "{\"operation\":\"stop\"}", "services/stop" },
	{ "cluster restart 7 web", "{\"operation\":\"restart\",\"services\":[\"web\"]}",
	  "services/restart" },
	{ "cluster expand 7 --count 2", "{\"operation\":\"expand\",\"count\":2}", "expand" },
	{ "cluster shrink 7 --nodes 1002,1003", "{\"operation\":\"shrink\",\"nodes\":[1002,1003]}",
	  "shrink" },
	{ "cluster sync 7", "{\"operation\":\"sync\"}", "clustertemplate/sync" },
	{ "cluster configure 7", "--config", "" },
	{ "cluster configure 7 --config []", "JSON object", "" },
	{ "cluster add-services 7 ,", "names no service", "" },
	{ "cluster remove-service 7 a,b", "one service at a time", "" },
	{ "cluster expand 7", "--count N is needed", "" },
	{ "cluster shrink 7", "--nodes", "" },
	{ "cluster shrink 7 --count 1 --nodes 1000", "not both", "" },
	{ "cluster shrink 7 --nodes one", "'one'", "" },
	{ "cluster expand 7 --count 0", "'0'", "" },
};

START_TEST(makes_operations)
{
	LOOM_CLEANUP(json_free) struct json *body = NULL, *want = NULL;
	ck_assert_msg(parse(operations[_i].line) == 0, "%s", err.msg);
	int r = operation_body(&a, &body, &err);
	if (*operations[_i].want != '{') {
		ck_assert_int_eq(r, CLI_USAGE);
		ck_assert_msg(strstr(err.msg, operations[_i].want) != NULL, "%s", err.msg);
		return;
	}
	ck_assert_msg(r == 0, "%s", err.msg);
	LOOM_CLEANUP_STR char *text = json_text(body);
	LOOM_CLEANUP_STR char *path = operation_path(a.command->data, "00000007", body);
	ck_assert_int_eq(json_parse_str(operations[_i].want, &want, NULL), 0);
	ck_assert_msg(json_equal(body, want), "%s", text);
	ck_assert_str_eq(path + strlen("/v2/clusters/00000007/"), operations[_i].path);
}
END_TEST

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
	tcase_add_test(tc, letters_are_the_commands_own);
	tcase_add_loop_test(tc, parses_good_lines, 0, LOOM_COUNT(good));
	tcase_add_loop_test(tc, refuses_bad_lines, 0, LOOM_COUNT(bad));
	tcase_add_test(tc, knows_names_that_are_near);
	tcase_add_test(tc, keeps_the_last_value);
	tcase_add_test(tc, helps_with_every_command);
	tcase_add_loop_test(tc, tells_of_itself, 0, LOOM_COUNT(asks));
	tcase_add_loop_test(tc, makes_create_requests, 0, LOOM_COUNT(creates));
	tcase_add_loop_test(tc, makes_operations, 0, LOOM_COUNT(operations));
	tcase_add_loop_test(tc, changes_configurations, 0, LOOM_COUNT(configs));
	tcase_add_test(tc, writes_changes);
	tcase_add_test(tc, reads_times);
	tcase_add_loop_test(tc, finds_reasons, 0, LOOM_COUNT(reasons));
	tcase_add_test(tc, quotes_paths);
	tcase_add_test(tc, lines_up_tables);
	tcase_add_loop_test(tc, fits_tables, 0, LOOM_COUNT(fits));
	tcase_add_test(tc, never_wider_than_the_terminal);
	tcase_add_loop_test(tc, lays_json_out, 0, LOOM_COUNT(pretties));
	int rc = UNIT_RUN("cli_args", tc);
	commands_fini(&commands);
	return rc;
}
