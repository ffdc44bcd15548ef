/* A dictionary block of any bytes. */
#include <stdlib.h>
#include <string.h>

#include "index/dictionary.h"
#include "tests/fuzz/fuzz.h"

static int dictionary_fuzz(const uint8_t *data, size_t size)
{
    /* On the heap, of that size, so that a sanitizer sees a read behind its end. */
    uint8_t *block = malloc(size ? size : 1);
    char key[MAX_KEY] = "";
    size_t key_length = 0;
    struct dictionary_entry e = {0};
    if (!block)
        return 0;
    if (size)
        memcpy(block, data, size);
    for (const uint8_t *at = block; at && at < block + size;) {
        at = dictionary_read(at, block + size, key, &key_length, &e);
        if (at && (key_length < 2 || key_length > MAX_KEY))
            abort();
    }
    free(block);
    return 0;
}

const struct fuzz_target fuzz_target = {.most = 4096, .rounds = 50000, .run = dictionary_fuzz};
