/* SPDX-License-Identifier: Apache-2.0 */
/* stdfds - the standard descriptors of a process. At its start, before anything is opened. */
#ifndef LOOM_BASE_STDFDS_H
#define LOOM_BASE_STDFDS_H

/* Takes the numbers of standard descriptors that are closed, so that no file or connection gets
 * one, and what is printed goes into it. To read or write there fails, as if it were closed. */
void stdfds_take(void);

#endif
