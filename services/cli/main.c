/* SPDX-License-Identifier: Apache-2.0 */
/* loom, the command line of Loom. */
#include "services/cli/commands.h"

#include "common/base/stdfds.h"
#include "common/base/version.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>

static int wrong_usage(const struct args *a, const char *why)
{
	cli_fail(CLI_USAGE, "%s", why);
	fprintf(stderr, "      loom %s%s--help says what there is.\n",
	        a->command ? a->command->words
	        : a->group ? a->group
	                   : "",
	        a->command || a->group ? " " : "");
	return CLI_USAGE;
}

static int run(const struct args *a)
{
	struct cli c;
	int code = cli_init(&c, a);
	if (!code)
		code = a->command->run(&c, a);
	cli_fini(&c);
	return code;
}

static int serve(const struct command *commands, int argc, char **argv)
{
	struct args a;
	struct loom_err err = { 0 };
	int code = args_parse(&a, commands, argc, argv, &err);
	if (code)
		return wrong_usage(&a, err.msg);
	if (a.version) {
		printf("loom %s %s\n", loom_version, loom_commit);
		return CLI_OK;
	}
	if (a.help && a.command)
		args_help_command(a.command, stdout);
	else if (a.help)
		args_help(commands, a.group, stdout);
	else
		code = run(&a);
	return code;
}

int main(int argc, char **argv)
{
	struct commands all;
	stdfds_take();
	signal(SIGPIPE, SIG_IGN); /* NOLINT(cert-err33-c): cannot fail for it */
	setlocale(LC_CTYPE, "");  /* NOLINT(cert-err33-c): no such locale is "C" */
	commands_init(&all);
	int code = serve(all.v, argc, argv);
	commands_fini(&all);
	if (fflush(stdout) != 0 || ferror(stdout))
		return cli_fail(CLI_FAILED, "standard output cannot be written");
	return code;
}
