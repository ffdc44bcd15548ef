/* hooks.h - limits that tests do not wait for as long as clients do; only in builds for tests.  Runs in: coordinator. */
#ifndef COORDINATOR_HOOKS_H
#define COORDINATOR_HOOKS_H

#include <stdint.h>
#include <stdlib.h>

/* Milliseconds that the environment has in place of `earnest`. */
static inline uint64_t hooks_ms(const char *variable, uint64_t earnest)
{
#ifdef MAYFLY_TEST_HOOKS
    const char *other = getenv(variable);
    return other ? strtoull(other, NULL, 10) : earnest;
#else
    (void)variable;
    return earnest;
#endif
}

#endif
