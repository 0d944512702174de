/* SPDX-License-Identifier: Apache-2.0 */
/* near - counts the slips between two short names row by row (Damerau, adjacent). */
#include "common/base/near.h"

#include "common/base/str.h"

#include <ctype.h>
#include <string.h>

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;
	return ab < c ? ab : c;
}

static size_t slips(const char *a, size_t na, const char *b, size_t nb)
{
	size_t d[NEAR_MAX + 1][NEAR_MAX + 1];
	for (size_t i = 0; i <= na; i++)
		d[i][0] = i;
	for (size_t k = 0; k <= nb; k++)
		d[0][k] = k;
	for (size_t i = 1; i <= na; i++) {
		for (size_t k = 1; k <= nb; k++) {
			int x = tolower((unsigned char)a[i - 1]);
			int y = tolower((unsigned char)b[k - 1]);
			d[i][k] =
				least(d[i - 1][k] + 1, d[i][k - 1] + 1, d[i - 1][k - 1] + (x != y));
			bool swapped = i > 1 && k > 1 && x == tolower((unsigned char)b[k - 2]) &&
			               y == tolower((unsigned char)a[i - 2]);
			if (swapped && d[i - 2][k - 2] + 1 < d[i][k])
				d[i][k] = d[i - 2][k - 2] + 1;
		}
	}
	return d[na][nb];
}

/* Copies s without its digits; names have at most NEAR_MAX characters here. */
static void letters(char *to, const char *s)
{
	for (; *s; s++) {
		if (!isdigit((unsigned char)*s))
			*to++ = *s;
	}
	*to = '\0';
}

bool near(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b), shorter = na < nb ? na : nb;
	size_t allowed = shorter < 6 ? 1 : 2;
	if (str_ieq(a, b))
		return !str_eq(a, b);
	if (na > NEAR_MAX || nb > NEAR_MAX || shorter < 4 || na + nb - 2 * shorter > allowed)
		return false;
	char x[NEAR_MAX + 1], y[NEAR_MAX + 1];
	letters(x, a);
	letters(y, b);
	return !str_ieq(x, y) && slips(a, na, b, nb) <= allowed;
}

const char *near_which(const char *name, const char *const *names, size_t n)
{
	const char *found = NULL;
	for (size_t i = 0; i < n; i++) {
		if (str_eq(name, names[i]))
			return NULL;
		if (!found && near(name, names[i]))
			found = names[i];
	}
	return found;
}
