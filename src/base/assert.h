/*
 * assert: checks of the programmer, on in every build.
 *
 * FST_ASSERT is for what cannot happen if the code is right; it never judges bytes that come from a
 * socket, a disk or a file. It prints place and condition, then aborts.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#include <assert.h>

#include "fstore/status.h"

void assert_fail(const char *file, int line, const char *condition) __attribute__((noreturn, cold));

#define FST_ASSERT(condition)                                                                      \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) assert_fail(__FILE__, __LINE__, #condition);        \
    } while (0)

/* Leaves the function with the status of `call` unless it is FST_OK. Only where nothing is held. */
#define FST_TRY(call)                                                                              \
    do {                                                                                           \
        enum fst_status fst_try_status = (call);                                                   \
        if (__builtin_expect(fst_try_status != FST_OK, 0)) return fst_try_status;                  \
    } while (0)

#endif
