/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text - foreign text made fit to be sent on or shown.  Any thread.
 */
#ifndef LOOM_BASE_TEXT_H
#define LOOM_BASE_TEXT_H

#include "common/base/mem.h"

#include <stddef.h>

/* Valid UTF-8: what is not (a text cut in mid character, say) becomes U+FFFD. Takes and returns
 * owned; the same text when nothing is wrong with it. */
char *text_utf8(char *text);

/*
 * For a person's terminal: n bytes with every character that would change what the terminal does
 * rather than be seen spelled out: controls and bytes that are no UTF-8 as \x1b, invisible and
 * direction-changing characters as \u202e. Tabs stay, and newlines too but in a line. Of JSON, the
 * meaning stays. Returns owned.
 */
enum text_form { TEXT_LINE, TEXT_LINES, TEXT_JSON };
char *text_shown(const char *s, size_t n, enum text_form form);

/* How many of the n bytes are whole characters: all but those of one that is cut off at the end. */
size_t text_whole(const char *s, size_t n);

#endif
