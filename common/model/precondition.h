/* SPDX-License-Identifier: Apache-2.0 */
/*
 * precondition - a change that is only to be made to the version that its sender has seen (RFC 9110
 * 13.1: If-Match, If-None-Match), compared where the row is locked; and a reader who has it
 * already.
 *
 * A tag is "version" or "version.rest", in its quotes. The version is what changes are compared by;
 * the rest tells answers apart that differ in what no change is about. Pure; any thread.
 */
#ifndef LOOM_MODEL_PRECONDITION_H
#define LOOM_MODEL_PRECONDITION_H

#include <stdbool.h>

struct precondition {
	const char *match, *none_match; /* headers, well formed; borrowed; NULL: not given */
};

#define TAG_MAX 80 /* bytes of a tag with its NUL */

/* Is a header's text "*", or tags with commas? */
bool precondition_well_formed(const char *tags);
/* tag: of what is there; NULL: nothing is. p NULL: no condition. */
bool precondition_met(const struct precondition *p, const char *tag);
/* Has the reader what he asks for? Tags are compared as a whole, weak ones too. */
bool precondition_has(const struct precondition *p, const char *tag);

/* The tag of a version that is told by what is in it, and of the rest beside it (NULL: none). */
void precondition_tag(char tag[TAG_MAX], const char *version, const char *rest);

#endif
