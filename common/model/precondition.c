/* SPDX-License-Identifier: Apache-2.0 */
/* Compares the tags of If-Match and If-None-Match. */
#include "common/model/precondition.h"

#include "common/base/str.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define BLANKS " \t"

/* The next tag of a list; advances *text. false at the end, and for a malformed list. */
static bool next_tag(const char **text, const char **tag, size_t *len, bool *weak)
{
	const char *p = *text + strspn(*text, BLANKS ",");
	*weak = str_starts(p, "W/");
	p += *weak ? 2 : 0;
	*text = p;
	if (*p != '"')
		return false;
	size_t n = strcspn(p + 1, "\"");
	if (p[n + 1] != '"')
		return false;
	*tag = p;
	*len = n + 2;
	*text = p + n + 2;
	return true;
}

static bool is_any(const char *text)
{
	const char *p = text + strspn(text, BLANKS);
	return *p == '*' && !p[1 + strspn(p + 1, BLANKS)];
}

bool precondition_well_formed(const char *text)
{
	const char *tag;
	size_t len, n = 0;
	bool weak;
	if (is_any(text))
		return true;
	while (next_tag(&text, &tag, &len, &weak)) {
		n++;
		text += strspn(text, BLANKS);
		if (*text && *text != ',')
			return false;
	}
	return n && !*text && !weak;
}

/* Does a listed tag name the same version? */
static bool same_version(const char *listed, size_t len, const char *tag)
{
	size_t a = strcspn(listed + 1, ".\""), b = strcspn(tag + 1, ".\"");
	return a == b && a < len && memcmp(listed + 1, tag + 1, a) == 0;
}

static bool same(const char *listed, size_t len, const char *tag)
{
	return strlen(tag) == len && memcmp(listed, tag, len) == 0;
}

typedef bool (*compare)(const char *listed, size_t len, const char *tag);

static bool is_listed(const char *text, const char *tag, compare fn, bool weak_too)
{
	const char *listed;
	size_t len;
	bool weak;
	if (is_any(text))
		return true;
	while (next_tag(&text, &listed, &len, &weak)) {
		if ((weak_too || !weak) && fn(listed, len, tag))
			return true;
	}
	return false;
}

bool precondition_met(const struct precondition *p, const char *tag)
{
	if (p && p->match && (!tag || !is_listed(p->match, tag, same_version, false)))
		return false;
	return !p || !p->none_match || !tag || !is_listed(p->none_match, tag, same_version, true);
}

bool precondition_has(const struct precondition *p, const char *tag)
{
	return p->none_match && is_listed(p->none_match, tag, same, true);
}

static void sum_of(char ret[17], const char *text)
{
	unsigned char sum[16];
	char hex[33];
	crypto_generichash(sum, sizeof(sum), (const unsigned char *)text, strlen(text), NULL, 0);
	sodium_bin2hex(hex, sizeof(hex), sum, sizeof(sum));
	memcpy(ret, hex, 16);
	ret[16] = '\0';
}

void precondition_tag(char tag[TAG_MAX], const char *version, const char *rest)
{
	char first[17], second[17] = "";
	sum_of(first, version);
	if (rest)
		sum_of(second, rest);
	snprintf(tag, TAG_MAX, "\"%s%s%s\"", first, rest ? "." : "", second);
}
