/* SPDX-License-Identifier: Apache-2.0 */
/* compare - functions for qsort() and bsearch() of plain numbers, ascending. Any thread. */
#ifndef LOOM_BASE_COMPARE_H
#define LOOM_BASE_COMPARE_H

#include <stdint.h>

static inline int compare_ints(const void *a, const void *b)
{
	const int *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static inline int compare_int64s(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

#endif
