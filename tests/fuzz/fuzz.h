/* fuzz.h - a fuzz target: a plain function from bytes to no crash.
 *
 * ctest replays a fixed sequence of inputs (replay.c); with clang's -fsanitize=fuzzer a target's file is linked with
 * LLVMFuzzerTestOneInput calling it instead. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

struct fuzz_target {
    size_t most;   /* bytes of an input */
    size_t rounds; /* inputs to replay */
    int (*run)(const uint8_t *data, size_t size);
    void (*finish)(void); /* may be NULL */
};

extern const struct fuzz_target fuzz_target;

#endif
