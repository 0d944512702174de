/* SPDX-License-Identifier: Apache-2.0 */
/* screen - a picture of a few lines at the terminal's cursor, redrawn in place by ANSI codes. */
#ifndef LOOM_CLI_SCREEN_H
#define LOOM_CLI_SCREEN_H

#include <stdbool.h>
#include <stdio.h>

struct screen;

/* NULL if f is not a terminal, or one that cannot redraw. */
struct screen *screen_open(FILE *f);
void screen_size_of(int fd, int *ret_width, int *ret_height); /* 80 x 24 if unknown */
void screen_size(const struct screen *s, int *ret_width, int *ret_height);
/* Replaces the picture; text has that many lines. 0, or -EIO when the terminal is gone. */
int screen_draw(struct screen *s, const char *text, int lines);
void screen_close(struct screen *s);   /* leaves the picture and restores the cursor; may be called
                                        * twice */
void screen_destroy(struct screen *s); /* NULL ok */

bool screen_utf8(void);  /* is the locale's encoding UTF-8? */
bool screen_color(void); /* NO_COLOR is not set, and the terminal can show colours */

#endif
