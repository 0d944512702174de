/* SPDX-License-Identifier: Apache-2.0 */
/* The command line, the body of a create request, tables and reasons. */
#include "tests/unit/cli_args_case.h"

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
	{ "frobnicate --help", "'frobnicate'" },
	{ "help clsuter list", "did you mean 'cluster list'?" },
	/* lists of unset script variables, which would mean all */
	{ "role set r --base user --permissions a --templates ,", "--templates is empty" },
	{ "cluster create x -t t -n 1 --services ,", "--services is empty" },
	{ "callback-target set x u --events a --triggers=,,", "--triggers is empty" },
	{ "cluster retry x --only ,", "--only is empty" },
	{ "user set x --role user --no-password --password-file f",
	  "give --no-password or --password-file, not both" },
	{ "callback-target set x u --secret-file f --no-secret", "not both" },
	/* what is sent is text */
	{ "cluster create x -t t -n 1 --description a\xff", "--description must be UTF-8" },
	{ "cluster create x -t t -n 1 --set web/a=\xff", "--set must be UTF-8" },
	{ "cluster create x -t t -n 1 --config {\"a\":\"\xff\"}", "--config must be UTF-8" },
	{ "cluster create x\xc3 -t t -n 1", "NAME must be UTF-8" },
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
	{ "cluster create x -t web -n 1 --lease 3", "--lease 3 has no unit: 3s, 3m, 3h or 3d" },
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
	{ "cluster configure 7", "--config JSON|@FILE or --merge JSON|@FILE or --set ", "" },
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
	int rc = UNIT_RUN("cli_args", tc);
	commands_fini(&commands);
	return rc;
}
