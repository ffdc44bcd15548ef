/* The worker's malloc is linked in place of libc's: cmocka and everything else here allocates from it. */
#include "worker/malloc.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker/words.h"

enum { BLOCKS = 500, STEPS = 200000, MIB = 1 << 20 };

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

struct block {
    unsigned char *bytes;
    size_t size;
    unsigned char fill;
};

static size_t random_size(uint64_t *state)
{
    uint64_t kind = next_random(state) % 100;
    return next_random(state) % (kind < 80 ? 300 : kind < 97 ? 20000 : 400000);
}

static void check(const struct block *b)
{
    for (size_t i = 0; i < b->size; i += 1 + b->size / 64)
        assert_int_equal(b->bytes[i], b->fill);
    if (b->size)
        assert_int_equal(b->bytes[b->size - 1], b->fill);
}

static void fill(struct block *b, unsigned char with)
{
    b->fill = with;
    memset(b->bytes, with, b->size);
}

static void take(struct block *b, uint64_t *state)
{
    b->size = random_size(state);
    uint64_t how = next_random(state) % 4;
    if (how == 0) {
        b->bytes = calloc(1, b->size);
        b->fill = 0;
        check(b);
    } else if (how == 1) {
        size_t align = (size_t)16 << next_random(state) % 9;
        void *at;
        assert_int_equal(posix_memalign(&at, align, b->size), 0);
        assert_int_equal((uintptr_t)at % align, 0);
        b->bytes = at;
    } else {
        b->bytes = malloc(b->size);
    }
    assert_int_equal((uintptr_t)b->bytes % 16, 0);
    assert_true(malloc_usable_size(b->bytes) >= b->size);
}

static void resize(struct block *b, uint64_t *state)
{
    size_t size = 1 + random_size(state);
    b->bytes = realloc(b->bytes, size);
    b->size = size < b->size ? size : b->size;
    check(b);
    b->size = size;
}

/* Blocks keep what was written to them, whatever is taken, resized and freed beside them. */
static void blocks_do_not_overlap(void **unused)
{
    static struct block blocks[BLOCKS];
    uint64_t state = 7;
    (void)unused;
    for (int step = 0; step < STEPS; step++) {
        struct block *b = &blocks[next_random(&state) % BLOCKS];
        if (!b->bytes) {
            take(b, &state);
        } else {
            check(b);
            if (next_random(&state) % 3) {
                free(b->bytes);
                *b = (struct block){0};
                continue;
            }
            resize(b, &state);
        }
        fill(b, (unsigned char)next_random(&state));
    }
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i].bytes);
}

static void freed_blocks_are_used_again(void **unused)
{
    static const size_t sizes[] = {1, 24, 700, 4095, 4096, 70000, MIB, 3 * MIB + 5};
    (void)unused;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *block = malloc(sizes[i]);
        free(block);
        size_t extent = heap_use().extent;
        for (int n = 0; n < 1000; n++) {
            void *again = n % 2 ? malloc(sizes[i]) : calloc(1, sizes[i]);
            assert_ptr_equal(again, block);
            free(again);
        }
        assert_int_equal(heap_use().extent, extent);
    }
}

static void what_is_used_is_what_is_not_freed(void **unused)
{
    (void)unused;
    size_t before = heap_use().used;
    void *small = malloc(100), *large = malloc(100000);
    assert_true(heap_use().used >= before + 100100);
    free(small);
    free(large);
    assert_int_equal(heap_use().used, before);
}

static void cleared_memory_is_zero_when_it_was_used_before(void **unused)
{
    (void)unused;
    for (size_t size = 10; size < 8 * MIB; size = size * 3 + 1) {
        unsigned char *block = malloc(size);
        memset(block, 0xa5, size);
        free(block);
        block = calloc(size, 1);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(block[i], 0);
        free(block);
    }
}

static void large_blocks_are_aligned_to_cache_lines(void **unused)
{
    (void)unused;
    for (size_t size = 4096; size < 100000; size += 1717) {
        void *odd = malloc(24), *block = malloc(size);
        assert_int_equal((uintptr_t)block % 64, 0);
        free(odd);
    }
    assert_int_equal((uintptr_t)aligned_alloc(4096, 10) % 4096, 0);
    assert_int_equal((uintptr_t)valloc(10) % 4096, 0);
}

static void what_overflows_is_null(void **unused)
{
    (void)unused;
    volatile size_t most = SIZE_MAX; /* so that no compiler sees it coming */
    assert_null(calloc(most, 2));
    assert_null(reallocarray(NULL, most, 2));
    void *at;
    assert_int_not_equal(posix_memalign(&at, 3, 10), 0);
}

/* ---------------------------------------------------------------------------------------------------------- in a
 * worker
 */

static struct last_words *page;

static int status_of(void (*life)(void))
{
    memset(page, 0, LAST_WORDS_SIZE);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        life();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void eat(void)
{
    heap_begin(page, 40 * MIB);
    for (;;)
        memset(malloc(50000), 1, 50000);
}

static void the_cap_ends_a_worker_with_last_words(void **unused)
{
    (void)unused;
    assert_int_equal(status_of(eat), EXIT_STATUS_CAP);
    assert_int_equal(page->reason, EXIT_REASON_CAP);
    assert_true(strlen(page->text) > 10);
    assert_int_equal(page->arena_cap, 40 * MIB);
    assert_true(page->arena_peak <= 40 * MIB && page->arena_peak > 35 * MIB);
}

static void eat_at_once(void)
{
    heap_begin(page, 40 * MIB);
    volatile size_t size = (size_t)1 << 50;
    free(malloc(size));
}

static void an_absurd_size_ends_it_too(void **unused)
{
    (void)unused;
    assert_int_equal(status_of(eat_at_once), EXIT_STATUS_CAP);
    assert_int_equal(page->reason, EXIT_REASON_CAP);
}

/* What others map counts for the kernel: malloc finds out when it commits. */
static void eat_beside(void)
{
    heap_begin(page, 40 * MIB);
    char *beside = mmap(NULL, 20 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (beside == MAP_FAILED)
        _exit(1);
    for (;;)
        memset(malloc(50000), 1, 50000);
}

static void the_kernel_stops_it_where_malloc_does_not_know(void **unused)
{
    (void)unused;
    assert_int_equal(status_of(eat_beside), EXIT_STATUS_CAP);
    assert_int_equal(page->reason, EXIT_REASON_KERNEL_CAP);
}

static void eat_charged(void)
{
    heap_begin(page, 40 * MIB);
    heap_charge(20 * MIB);
    for (;;)
        memset(malloc(50000), 1, 50000);
}

static void what_is_charged_is_not_malloc_s(void **unused)
{
    (void)unused;
    assert_int_equal(status_of(eat_charged), EXIT_STATUS_CAP);
    assert_int_equal(page->reason, EXIT_REASON_CAP);
    assert_true(page->arena_peak <= 40 * MIB);
}

static void begin_small(void)
{
    heap_begin(page, MIB / 2);
}

static void less_than_an_idle_worker_has_is_refused(void **unused)
{
    (void)unused;
    assert_int_equal(status_of(begin_small), EXIT_STATUS_CAP);
    assert_int_equal(page->reason, EXIT_REASON_CAP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* Children first: what the others leave behind counts against a cap. */
        cmocka_unit_test(the_cap_ends_a_worker_with_last_words),
        cmocka_unit_test(an_absurd_size_ends_it_too),
        cmocka_unit_test(the_kernel_stops_it_where_malloc_does_not_know),
        cmocka_unit_test(what_is_charged_is_not_malloc_s),
        cmocka_unit_test(less_than_an_idle_worker_has_is_refused),
        cmocka_unit_test(blocks_do_not_overlap),
        cmocka_unit_test(freed_blocks_are_used_again),
        cmocka_unit_test(what_is_used_is_what_is_not_freed),
        cmocka_unit_test(cleared_memory_is_zero_when_it_was_used_before),
        cmocka_unit_test(large_blocks_are_aligned_to_cache_lines),
        cmocka_unit_test(what_overflows_is_null),
    };
    page = mmap(NULL, LAST_WORDS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
