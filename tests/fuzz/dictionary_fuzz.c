/* A dictionary block of any bytes: as they are, and with a beginning that looks right, so that what follows is read. */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "index/dictionary_terms.h"
#include "tests/fuzz/fuzz.h"

static void read_block(const uint8_t *block, size_t size)
{
    char key[DICTIONARY_KEY] = "";
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

/* The same terms by their numbers, by their last bytes, and as keys. */
static void look_up(const uint8_t *block, size_t size)
{
    uint8_t key[DICTIONARY_KEY] = "";
    struct dictionary_block b, again;
    if (!dictionary_block_open(&b, block, block + size))
        return;
    for (uint32_t i = 0; i < b.terms; i++) {
        uint64_t alike = dictionary_ending(&b, b.lasts[i]);
        if (!(alike >> i & 1) || (alike | dictionary_up_to(&b, i)) & ~dictionary_all(&b))
            abort();
        uint32_t found;
        size_t length = dictionary_key(&b, i, key);
        if (length == 0)
            continue;
        if (length > MAX_KEY || key[length - 1] != b.lasts[i] || !dictionary_block_open(&again, block, block + size))
            abort();
        if (dictionary_find(&again, (struct str){(const char *)key, length}, &found) && found > b.terms)
            abort();
    }
}

/* By the ends of their texts, with every kind of kernels: they may read on behind the block. */
static void look_for_endings(const uint8_t *block, size_t size)
{
    static const char *const cpus[] = {"portable", "avx2", "avx512"};
    struct dictionary_block b;
    uint8_t *copy = malloc(size + KERNEL_OVERREAD);
    if (!copy)
        return;
    memcpy(copy, block, size);
    memset(copy + size, 0xa5, KERNEL_OVERREAD);
    for (uint32_t i = 0; dictionary_block_open(&b, copy, copy + size) && i < b.terms; i++) {
        uint64_t lengths = (uint64_t)(1 + block[i % size]) << (i % 24), found = 0;
        for (size_t cpu = 0; cpu < sizeof cpus / sizeof *cpus; cpu++) {
            const struct kernels *k = kernels_named(cpus[cpu]);
            uint64_t set = k ? dictionary_texts_ending(&b, k, lengths, b.lasts, 1 + i % b.terms) : found;
            if ((set & ~dictionary_all(&b)) || (cpu > 0 && set != found))
                abort();
            found = set;
        }
    }
    free(copy);
}

static void mend(uint8_t *block, size_t size)
{
    uint8_t terms = (uint8_t)(1 + block[0] % TERMS_PER_BLOCK);
    if (size < 5u + 2u * terms + 2u)
        return;
    uint32_t left = (uint32_t)size - 5;
    uint16_t texts = (uint16_t)(2u * terms + 1 + load_u16(block + 1) % (left - 2u * terms));
    block[0] = terms;
    store_u16(block + 1, texts);
    store_u16(block + 3, (uint16_t)(texts + load_u16(block + 3) % (left - texts + 1)));
    block[5] = 2;
    block[5 + 2 * terms] = block[5 + 2 * terms] % 2 ? TERM_STEM : TERM_WORD;
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
    look_up(block, size);
    look_for_endings(block, size);
    if (size)
        mend(block, size);
    read_block(block, size);
    look_up(block, size);
    look_for_endings(block, size);
    free(block);
    return 0;
}

const struct fuzz_target fuzz_target = {.most = 4096, .rounds = 50000, .mutations = 50, .run = dictionary_fuzz};
