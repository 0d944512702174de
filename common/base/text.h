/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text - makes foreign text fit to be passed on or shown.  Any thread.
 */
#ifndef LOOM_BASE_TEXT_H
#define LOOM_BASE_TEXT_H

#include "common/base/mem.h"

#include <stddef.h>

/* Makes valid UTF-8: invalid parts (for example a text cut inside a character) become U+FFFD. Takes
 * and returns owned; returns the same text if it is valid. */
char *text_utf8(char *text);
/* The same into size bytes, cut between characters. Takes the text. */
void text_fit(char *text, char *ret, size_t size);

/*
 * For a person's terminal: n bytes, with all characters spelled out that would control the terminal
 * instead of being visible: controls and invalid UTF-8 as \x1b, invisible and direction-changing
 * characters as \u202e. Tabs stay, and so do newlines except with TEXT_LINE. TEXT_JSON keeps the
 * meaning of JSON. Returns owned.
 */
enum text_form { TEXT_LINE, TEXT_LINES, TEXT_JSON };
char *text_shown(const char *s, size_t n, enum text_form form);

/* How many of the n bytes are whole characters: excludes one that is cut off at the end. */
size_t text_whole(const char *s, size_t n);

#endif
