/* SPDX-License-Identifier: Apache-2.0 */
/*
 * near - is one name a misspelling of another? For "did you mean": pure, any thread.
 *
 * Names are near if one or two slips turn one into the other: a letter added, removed or changed,
 * or two swapped; below six letters only one slip. Names that differ only in digits are not near
 * (web1, web2), nor are names below four letters.
 */
#ifndef LOOM_BASE_NEAR_H
#define LOOM_BASE_NEAR_H

#include <stdbool.h>
#include <stddef.h>

#define NEAR_MAX 48 /* longer names are never near */

bool near(const char *a,
          const char *b); /* names equal but for ASCII case are near, equal ones are not */
/* The first of the names that is near; NULL if none is, or if one is equal. Borrowed. */
const char *near_which(const char *name, const char *const *names, size_t n);

#endif
