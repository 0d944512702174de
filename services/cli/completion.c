/* SPDX-License-Identifier: Apache-2.0 */
/* completion - the completion script for bash, made from the parser's tables. */
#include "services/cli/commands.h"

static const char head[] = "# bash completion for loom, made by `loom completion`\n\n"
			   "declare -gA _loom_options=(\n";

/* The words before the completed one, without options, name the command. An option's value is
 * mistaken for a word of the command, which only spoils a completion. */
static const char function[] =
	"\n_loom()\n"
	"{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} given=() next='' key words i\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\t[[ ${COMP_WORDS[i]} == -* ]] || given+=(\"${COMP_WORDS[i]}\")\n"
	"\tdone\n"
	"\tif [[ $cur == -* ]]; then\n"
	"\t\tkey=\"${given[*]:0:2}\"\n"
	"\t\t[[ -n ${_loom_options[${key:-none}]+known} ]] || key=${given[0]:-none}\n"
	"\t\tnext=\"${_loom_options[$key]:-} $_loom_common\"\n"
	"\telse\n"
	"\t\tfor key in \"${!_loom_options[@]}\"; do\n"
	"\t\t\tread -ra words <<<\"$key\"\n"
	"\t\t\tif [[ ${#given[@]} -eq 0 ]]; then\n"
	"\t\t\t\tnext+=\" ${words[0]}\"\n"
	"\t\t\telif [[ ${#given[@]} -eq 1 && ${given[0]} == \"${words[0]}\" ]]; then\n"
	"\t\t\t\tnext+=\" ${words[1]:-}\"\n"
	"\t\t\tfi\n"
	"\t\tdone\n"
	"\tfi\n"
	"\tmapfile -t COMPREPLY < <(compgen -W \"$next\" -- \"$cur\" | sort -u)\n"
	"}\n"
	"complete -o default -F _loom loom\n";

static void add_options(const struct option *o)
{
	for (; o && o->name; o++)
		printf(" --%s", o->name);
}

int completion_print(struct cli *c, const struct args *a)
{
	struct commands all;
	(void)c;
	(void)a;
	commands_init(&all);
	fputs(head, stdout);
	for (const struct command *row = all.v; row->words; row++) {
		printf("\t['%s']='", row->words);
		add_options(row->options);
		puts("'");
	}
	fputs(")\n_loom_common='", stdout);
	add_options(args_common);
	puts("'");
	fputs(function, stdout);
	commands_fini(&all);
	return CLI_OK;
}
