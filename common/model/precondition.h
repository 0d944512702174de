/* SPDX-License-Identifier: Apache-2.0 */
/*
 * precondition - a change meant only for the version that its sender has seen (RFC 9110 13.1:
 * If-Match, If-None-Match), compared where the row is locked; and a reader who has the present
 * version already.
 *
 * A tag is "version" or "version.rest", including its quotes. Changes compare only the version; the
 * rest distinguishes answers whose difference does not matter to a change. Pure; any thread.
 */
#ifndef LOOM_MODEL_PRECONDITION_H
#define LOOM_MODEL_PRECONDITION_H

#include <stdbool.h>

struct precondition {
	const char *match, *none_match; /* header values, well formed; borrowed; NULL: absent */
};

#define TAG_MAX 80 /* bytes of a tag with its NUL */

/* Is a header's value "*", or tags separated by commas? */
bool precondition_well_formed(const char *tags);
/* tag: of the present version; NULL: the thing does not exist. p NULL: no condition. */
bool precondition_met(const struct precondition *p, const char *tag);
/* Does the reader have the present answer? Compares whole tags, also weak ones. */
bool precondition_has(const struct precondition *p, const char *tag);

/* Makes a tag from texts that describe the version, and the rest (NULL: none). */
void precondition_tag(char tag[TAG_MAX], const char *version, const char *rest);

#endif
