/* fuzz.h - a fuzz target: a plain function from bytes to no crash, which aborts on what must not be. One a program.
 *
 * ctest replays a target (replay.c): the same inputs at each run. The preset fuzz links the same file with libFuzzer
 * (libfuzzer.c) as fuzz_NAME:
 *
 *   fuzz_NAME -max_total_time=300 found tests/fuzz/corpus/NAME      looks for more, into the directory `found`
 *   fuzz_NAME -merge=1 tests/fuzz/corpus/NAME found                 keeps what reaches something new */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef int fuzz_run(const uint8_t *data, size_t size);

struct fuzz_target {
    size_t most;      /* bytes of an input */
    size_t rounds;    /* random inputs to replay */
    size_t mutations; /* to replay of each seed and of each file of the corpus */
    fuzz_run *run;
    void (*seeds)(fuzz_run *take); /* inputs that code writes better than a file keeps them; may be NULL */
    void (*finish)(void);          /* may be NULL */
};

extern const struct fuzz_target fuzz_target;

/* Text of a grammar's pieces, one for each byte of input, to where there is room for the longest ones: its length. */
static inline size_t fuzz_spell(const char *const *pieces, size_t count, const uint8_t *data, size_t size, char *text)
{
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        const char *piece = pieces[data[i] % count];
        size_t length = strlen(piece);
        memcpy(text + used, piece, length);
        used += length;
    }
    return used;
}

#endif
