/* SPDX-License-Identifier: Apache-2.0 */
/* Replaces node numbers in the server's sentences by host names. */
#include "services/cli/hosts.h"

#include "services/cli/view.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX ((size_t)1 << 20)

char *hosts_in_words(const char *words, const char *(*host_of)(const void *arg, int64_t num),
                     const void *arg)
{
	static const char mark[] = "on node ";
	struct buf b = BUF_INIT(WORDS_MAX);
	for (const char *at; (at = strstr(words, mark));) {
		const char *digits = at + sizeof(mark) - 1;
		size_t n = strspn(digits, "0123456789");
		LOOM_CLEANUP_STR char *text = loom_strndup(digits, n);
		int64_t num;
		const char *host = str_to_int(text, &num) == 0 ? host_of(arg, num) : NULL;
		buf_add(&b, words, (size_t)(at - words));
		buf_adds(&b, host && *host ? "on " : mark);
		if (host && *host)
			buf_add(&b, host, strcspn(host, "."));
		else
			buf_adds(&b, text);
		words = digits + n;
	}
	buf_adds(&b, words);
	return buf_take(&b);
}

const char *hosts_of_cluster(const void *cluster, int64_t num)
{
	const struct json *nodes = json_get(cluster, "nodes");
	for (size_t i = 0; i < json_len(nodes); i++) {
		const struct json *p = json_get(json_at(nodes, i), "properties");
		if (json_get_int(p, "nodenum", -1) == num)
			return json_get_str(p, "hostname");
	}
	return NULL;
}

const char *hosts_of_view(const void *view, int64_t num)
{
	const struct view *v = view;
	for (size_t i = 0; i < v->n_nodes; i++) {
		if (v->nodes[i]->num == num)
			return v->nodes[i]->hostname;
	}
	return NULL;
}
