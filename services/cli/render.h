/* SPDX-License-Identifier: Apache-2.0 */
/* render - a view as text: whole frames for a terminal, single lines for everything else.  Pure. */
#ifndef LOOM_CLI_RENDER_H
#define LOOM_CLI_RENDER_H

#include "services/cli/view.h"

struct render {
	int width, height; /* of the terminal; lines never reach the last column */
	bool utf8, color;
	const char *id, *name; /* of the cluster */
	const char *trouble;   /* a message about the connection; NULL: none */
};

/* Draws a frame as of now (server's clock, ms). Returns its number of lines, each ended by \n. */
int render_frame(const struct render *r, const struct view *v, int64_t now, struct buf *out);

/* "10:02:31 web1-1000 install web: done 3.2 s\n"; nothing if the change is not worth a line. */
void render_change(const struct render *r, const struct view_change *c, struct buf *out);

/* The state in one line: "shop (00000003) is pending: creating, 12 of 28 tasks". */
void render_state(const struct render *r, const struct view *v, struct buf *out);

/* The final lines: how the job ended, and after a failure where to look. */
void render_end(const struct render *r, const struct view *v, struct buf *out);

/* "3.2 s", "42 s", "2:05", "1:02:05" */
void render_span(char out[24], int64_t ms);

#endif
