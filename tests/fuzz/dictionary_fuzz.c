/* A dictionary block of any bytes: as they are, and with a beginning that looks right, so that what follows is read. */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "index/dictionary.h"
#include "tests/fuzz/fuzz.h"

static void read_block(const uint8_t *block, size_t size)
{
    char key[MAX_KEY] = "";
    size_t key_length = 0;
    struct dictionary_block b;
    struct dictionary_entry e = {0};
    if (!dictionary_block_open(&b, block, block + size))
        return;
    while (b.at < b.terms && dictionary_read(&b, key, &key_length, &e)) {
        const uint8_t *list = (const uint8_t *)e.inlined.ptr;
        if (key_length < 2 || key_length > MAX_KEY || key[0] != (char)b.kind)
            abort();
        if (e.inlined.len && (list < block || e.inlined.len > (size_t)(block + size - list)))
            abort();
    }
}

static void mend(uint8_t *block, size_t size)
{
    uint8_t terms = (uint8_t)(1 + block[0] % TERMS_PER_BLOCK);
    if (size < 3u + terms + 2u)
        return;
    size_t left = size - 3;
    block[0] = terms;
    store_u16(block + 1, (uint16_t)(terms + 2 + load_u16(block + 1) % (left - terms - 1)));
    block[3] = 2;
    block[3 + terms] = block[3 + terms] % 2 ? TERM_STEM : TERM_WORD;
}

static int dictionary_fuzz(const uint8_t *data, size_t size)
{
    /* On the heap, of that size, so that a sanitizer sees a read behind its end. */
    uint8_t *block = calloc(1, size ? size : 1);
    if (!block)
        return 0;
    if (size)
        memcpy(block, data, size);
    read_block(block, size);
    if (size)
        mend(block, size);
    read_block(block, size);
    free(block);
    return 0;
}

const struct fuzz_target fuzz_target = {.most = 4096, .rounds = 50000, .mutations = 50, .run = dictionary_fuzz};
