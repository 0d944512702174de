/* SPDX-License-Identifier: Apache-2.0 */
/* Short texts that people and other programs write: durations, addresses, lists of networks, ids;
 * and foreign text that is shown. What is taken means the same when it is written again. */
#include "tests/fuzz/fuzz.h"

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/near.h"
#include "common/base/netlist.h"
#include "common/base/str.h"
#include "common/base/text.h"
#include "common/model/identity/audit.h"
#include "common/model/identity/token.h"

#include <inttypes.h>
#include <string.h>

static void check_numbers(const char *text)
{
	int64_t n, again = -1;
	if (clock_parse_ms(text, &n) == 0) {
		LOOM_CLEANUP_STR char *written = loom_asprintf("%" PRId64 "ms", n);
		loom_assert(n >= 0 && clock_parse_ms(written, &again) == 0 && again == n);
	}
	if (str_to_int(text, &n) == 0) {
		LOOM_CLEANUP_STR char *written = loom_asprintf("%" PRId64, n);
		loom_assert(str_to_int(written, &again) == 0 && again == n);
		char shown[32];
		clock_format(n, shown);
		loom_assert(strlen(shown) == strlen("2024-05-01T10:00:00.123Z"));
	}
}

static void check_ids(const char *text)
{
	struct task_ref ref, again;
	char id[ID_MAX];
	if (id_parse_task(text, &ref) == 0) {
		id_task(id, ref.cluster, ref.job, ref.task);
		loom_assert(id_parse_task(id, &again) == 0 && again.cluster == ref.cluster);
		loom_assert(again.job == ref.job && again.task == ref.task);
	}
	if (id_parse_job(text, &ref) == 0) {
		id_job(id, ref.cluster, ref.job);
		loom_assert(id_parse_job(id, &again) == 0 && again.cluster == ref.cluster);
		loom_assert(again.job == ref.job);
	}
	struct token_place place;
	int64_t time, seq;
	if (token_place_parse(text, &place))
		loom_assert(*place.id && place.user >= text && place.user <= text + strlen(text));
	loom_assert(!audit_place_parse(text, &time, &seq) || seq > 0);
}

static void check_networks(const char *text)
{
	struct net_addr a;
	char owner[NET_OWNER], again[NET_OWNER];
	LOOM_CLEANUP_STR char *bad = NULL;
	bool valid = net_list_valid(text, &bad);
	loom_assert(valid ? !bad : bad && *bad && !net_is_network(bad));
	net_addr_owner(text, owner);
	if (net_addr_text(text, &a)) {
		loom_assert(net_addr_in(&a, text) && net_list_has(text, &a));
		net_addr_owner(owner, again);
		loom_assert(str_eq(owner, again));
	}
	if (net_addr_peer(text, &a))
		loom_assert(net_addr_in(&a, "0.0.0.0/0") || net_addr_in(&a, "::/0"));
}

static void check_shown(const char *s, size_t n)
{
	for (int form = TEXT_LINE; form <= TEXT_JSON; form++) {
		LOOM_CLEANUP_STR char *shown = text_shown(s, n, (enum text_form)form);
		LOOM_CLEANUP_STR char *again =
			text_shown(shown, strlen(shown), (enum text_form)form);
		loom_assert(str_is_utf8(shown) && !strpbrk(shown, "\x1b\x7f\b\r"));
		loom_assert(str_eq(shown, again) && (form || !strchr(shown, '\n')));
	}
	LOOM_CLEANUP_STR char *valid = text_utf8(loom_strndup(s, n));
	loom_assert(str_is_utf8(valid) && text_whole(valid, strlen(valid)) == strlen(valid));
	char fit[16];
	text_fit(loom_strndup(s, n), fit, sizeof(fit));
	loom_assert(str_is_utf8(fit) && text_whole(s, n) <= n);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	LOOM_CLEANUP_STR char *text = loom_strndup((const char *)data, size);
	char *second = text + strcspn(text, "\n");
	if (*second)
		*second++ = '\0';
	check_numbers(text);
	check_ids(text);
	check_networks(text);
	loom_assert(near(text, second) == near(second, text));
	check_shown((const char *)data, size);
	return 0;
}
