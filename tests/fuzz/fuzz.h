/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz - what every fuzz target defines: libFuzzer calls it with bytes of its own making, replay.c
 * with those of the corpus. A target aborts where a promise is broken; it always returns 0.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

#endif
