#include "worker/malloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "worker/words.h"

/* malloc of mayfly-worker: bump allocation over one PROT_NONE reservation, with lists of freed blocks. Exit is the
 * free.
 *
 *   base                         top        edge                             base + RESERVE
 *   | block | hole | block | ... |          |                                |
 *   |<-------- given out ------->|          |
 *   |<------------- committed ------------->|<- PROT_NONE: not counted, faults ->|
 *
 * A block's header is the 16 bytes before it. Below LARGE bytes freed blocks are kept by exact size (ICU frees and
 * takes small vectors for every run of text); from LARGE on sizes are rounded up to four classes per doubling and kept
 * by class (LMDB frees and takes every dirty page run). Holes are split for what is large too, never joined or given
 * back.
 *
 *  - This file is compiled with -fno-builtin, or gcc makes calloc's malloc and memset into a call of calloc.
 *  - The whole family is here, with default visibility: one left out would hand out a block of libc's.
 *  - No stdio, no thread-local state: ld.so calls before libc is ready. One thread.
 *  - The cap never returns NULL, which libraries do not survive: last words, _exit.
 *  - Memory above `top` was never touched, so calloc need not clear it: LMDB callocs 2 MiB per environment and touches
 *    little of it. For the same reason a large block that calloc takes from a list gives its pages back instead. */

enum {
    HEADER = 16,
    LARGE = 4096,
    LARGE_ALIGN = 64,
    CLASSES = 128,
    PAGE = 4096,
    STEP = 1 << 20,
    LARGE_STEP = 4 << 20,
    LARGE_STEP_FROM = 16 << 20,
    CLEAR_BY_KERNEL = 64 << 10,
    SPLIT_FOR = 64 << 10,
    HUGE_PAGE = 2 << 20,
    HUGE_AFTER = 16 << 20, /* a small job touches none: LMDB and the writer take 14 MiB at once, and leave most empty */
    NO_CLASS = 0xffff,
};

static const size_t reserve = (size_t)64 << 30;

struct header {
    size_t size;
    uint32_t class; /* NO_CLASS: small, or aligned in its own way */
    uint32_t unused;
};

struct hole {
    struct hole *next;
};

static_assert(sizeof(struct header) == HEADER, "blocks after a header are aligned to 16");

static struct {
    char *base, *top, *edge;
    size_t limit;   /* bytes from base that may be committed, charged ones included */
    size_t charged; /* in arenas beside this one */
    size_t used;
    size_t cap;
    struct hole *small[LARGE / 16];
    struct hole *large[CLASSES];
    struct last_words *words; /* NULL in the nursery */
} heap;

/* ------------------------------------------------------------------------------------------------------- the two ends
 */

static _Noreturn void die(enum exit_reason reason, const char *text)
{
    static const char prefix[] = "mayfly-worker: ";
    if (heap.words) {
        words_say(heap.words, reason, text);
    } else if (write(STDERR_FILENO, prefix, sizeof prefix - 1) > 0 && write(STDERR_FILENO, text, strlen(text)) > 0) {
        ssize_t ignored = write(STDERR_FILENO, "\n", 1);
        (void)ignored;
    }
    _exit(EXIT_STATUS_CAP);
}

static uintptr_t round_up(uintptr_t n, uintptr_t to)
{
    return (n + to - 1) & ~(to - 1);
}

static void begin(void)
{
    char *p = mmap(NULL, reserve + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        die(EXIT_REASON_KERNEL_CAP, "no address space to reserve for the arena");
    p += round_up((uintptr_t)p, HUGE_PAGE) - (uintptr_t)p;
    heap.base = heap.top = heap.edge = p;
    heap.limit = reserve;
}

/* ----------------------------------------------------------------------------------------------------------- growing
 */

static bool commit_to(size_t end)
{
    size_t have = (size_t)(heap.edge - heap.base);
    if (end > have && mprotect(heap.edge, end - have, PROT_READ | PROT_WRITE) != 0)
        return false;
    heap.edge = heap.base + end;
    return true;
}

/* In steps, so that the system call is rare; the last ones before the cap are small. */
static void grow(size_t need)
{
    size_t limit = heap.limit > heap.charged ? heap.limit - heap.charged : 0;
    if (need > limit)
        die(EXIT_REASON_CAP, "the arena reached worker_memory");
    size_t end = round_up(need, (size_t)(heap.edge - heap.base) >= LARGE_STEP_FROM ? LARGE_STEP : STEP);
    if (end > limit)
        end = round_up(need, PAGE);
    if (!commit_to(end) && !commit_to(round_up(need, PAGE)))
        die(EXIT_REASON_KERNEL_CAP, "the kernel refused memory below worker_memory");
    if (heap.words) {
        heap.words->arena_used = heap.used;
        heap.words->arena_peak = (size_t)(heap.edge - heap.base) + heap.charged;
    }
}

/* Four classes per doubling: at most a quarter is lost. */
static uint32_t class_of(size_t n, size_t *out_size)
{
    unsigned log = 63 - (unsigned)__builtin_clzll(n);
    size_t quarter = (size_t)1 << (log - 2);
    size_t quarters = (n - ((size_t)1 << log) + quarter - 1) / quarter;
    *out_size = ((size_t)1 << log) + quarters * quarter;
    return (log - 12) * 4 + (uint32_t)quarters;
}

static struct header *header_of(void *block)
{
    return (struct header *)block - 1;
}

static void *take_new(size_t size, size_t align, uint32_t class)
{
    uintptr_t at = round_up((uintptr_t)heap.top + HEADER, align);
    char *block = heap.top + (at - (uintptr_t)heap.top);
    size_t end = (size_t)(block - heap.base) + size;
    if (block + size > heap.edge)
        grow(end);
    *header_of(block) = (struct header){.size = size, .class = class};
    heap.top = block + size;
    heap.used += size;
    return block;
}

static void *take_hole(struct hole **list)
{
    struct hole *h = *list;
    if (h) {
        *list = h->next;
        heap.used += header_of(h)->size;
    }
    return h;
}

static void clear(char *block, size_t size)
{
    size_t head = round_up((uintptr_t)block, PAGE) - (uintptr_t)block;
    size_t pages = size > head ? (size - head) & ~(size_t)(PAGE - 1) : 0;
    if (size < CLEAR_BY_KERNEL || madvise(block + head, pages, MADV_DONTNEED) != 0) {
        memset(block, 0, size);
        return;
    }
    memset(block, 0, head);
    memset(block + head + pages, 0, size - head - pages);
}

static void *take_small(size_t size, bool zeroed)
{
    void *block = take_hole(&heap.small[size / 16]);
    if (!block)
        return take_new(size, 16, NO_CLASS);
    return zeroed ? memset(block, 0, size) : block;
}

/* The largest class that fits into n bytes. */
static uint32_t class_within(size_t n, size_t *out_size)
{
    unsigned log = 63 - (unsigned)__builtin_clzll(n);
    size_t quarter = (size_t)1 << (log - 2), quarters = (n - ((size_t)1 << log)) / quarter;
    *out_size = ((size_t)1 << log) + quarters * quarter;
    return (log - 12) * 4 + (uint32_t)quarters;
}

/* What is behind the first `size` bytes of a block that was a hole becomes a hole of its own. */
static void split(void *block, size_t size, uint32_t class)
{
    struct header *h = header_of(block);
    size_t rest = h->size - size;
    if (rest < LARGE_ALIGN + LARGE)
        return;
    struct hole *hole = (struct hole *)(void *)((char *)block + size + LARGE_ALIGN);
    size_t hole_size;
    uint32_t hole_class = class_within(rest - LARGE_ALIGN, &hole_size);
    *header_of(hole) = (struct header){.size = hole_size, .class = hole_class};
    hole->next = heap.large[hole_class];
    heap.large[hole_class] = hole;
    heap.used -= h->size - size;
    *h = (struct header){.size = size, .class = class};
}

/* A large hole, such as a table leaves that has grown, serves what is smaller, but not what is small: single pages
 * would crumble what LMDB wants whole. */
static void *take_part(size_t size, uint32_t class)
{
    if (size < SPLIT_FOR)
        return NULL;
    for (uint32_t larger = class + 1; larger < CLASSES; larger++) {
        void *block = take_hole(&heap.large[larger]);
        if (block) {
            split(block, size, class);
            return block;
        }
    }
    return NULL;
}

static void *take_large(size_t size, bool zeroed)
{
    uint32_t class = class_of(size, &size);
    void *block = take_hole(&heap.large[class]);
    if (!block)
        block = take_part(size, class);
    if (!block)
        return take_new(size, LARGE_ALIGN, class);
    if (zeroed)
        clear(block, size);
    return block;
}

static void *take(size_t size, bool zeroed)
{
    if (!heap.base)
        begin();
    if (size > reserve / 2)
        die(EXIT_REASON_CAP, "more was asked for than any arena holds");
    size = size ? round_up(size, 16) : 16;
    return size < LARGE ? take_small(size, zeroed) : take_large(size, zeroed);
}

static void *take_aligned(size_t align, size_t size)
{
    if (align <= 16 || (align <= LARGE_ALIGN && size >= LARGE))
        return take(size, false);
    if (!heap.base)
        begin();
    if (size > reserve / 2 || align > reserve / 2)
        die(EXIT_REASON_CAP, "more was asked for than any arena holds");
    return take_new(size ? round_up(size, 16) : 16, align, NO_CLASS);
}

/* ------------------------------------------------------------------------------------------------ the family of malloc
 */

#define EXPORT __attribute__((visibility("default")))

EXPORT void *malloc(size_t size);
EXPORT void *calloc(size_t count, size_t size);
EXPORT void *realloc(void *block, size_t size);
EXPORT void *reallocarray(void *block, size_t count, size_t size);
EXPORT void free(void *block);
EXPORT void cfree(void *block);
EXPORT int posix_memalign(void **out, size_t align, size_t size);
EXPORT void *aligned_alloc(size_t align, size_t size);
EXPORT void *memalign(size_t align, size_t size);
EXPORT void *valloc(size_t size);
EXPORT void *pvalloc(size_t size);
EXPORT size_t malloc_usable_size(void *block);

void *malloc(size_t size)
{
    return take(size, false);
}

void *calloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return take(bytes, true);
}

static bool is_ours(const void *block)
{
    return (const char *)block >= heap.base && (const char *)block < heap.top && heap.base;
}

void free(void *block)
{
    if (!is_ours(block)) /* NULL, or one that ld.so made before we were there */
        return;
    struct header *h = header_of(block);
    struct hole *hole = block;
    struct hole **list = h->size < LARGE ? &heap.small[h->size / 16] : &heap.large[h->class];
    heap.used -= h->size;
    if (h->size >= LARGE && h->class == NO_CLASS)
        return; /* aligned in its own way: rare, and not used again */
    hole->next = *list;
    *list = hole;
}

void cfree(void *block)
{
    free(block);
}

/* The newest block grows where it stands, if its alignment is that of its new size. */
static bool extend(void *block, size_t size)
{
    struct header *h = header_of(block);
    if ((char *)block + h->size != heap.top || size > reserve / 2)
        return false;
    uint32_t class = NO_CLASS;
    size = round_up(size, 16);
    if (size >= LARGE) {
        if ((uintptr_t)block % LARGE_ALIGN)
            return false;
        class = class_of(size, &size);
    }
    if ((char *)block + size > heap.edge)
        grow((size_t)((char *)block - heap.base) + size);
    heap.used += size - h->size;
    heap.top = (char *)block + size;
    *h = (struct header){.size = size, .class = class};
    return true;
}

void *realloc(void *block, size_t size)
{
    if (!block)
        return take(size, false);
    if (size == 0) {
        free(block);
        return NULL;
    }
    if (!is_ours(block)) { /* ld.so's, whose size nobody knows */
        errno = ENOMEM;
        return NULL;
    }
    size_t have = header_of(block)->size;
    if (size <= have || extend(block, size))
        return block;
    void *moved = take(size, false);
    memcpy(moved, block, have);
    free(block);
    return moved;
}

void *reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, bytes);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    if (align < sizeof(void *) || (align & (align - 1)))
        return EINVAL;
    *out = take_aligned(align, size);
    return 0;
}

void *aligned_alloc(size_t align, size_t size)
{
    return memalign(align, size);
}

void *memalign(size_t align, size_t size)
{
    if (align == 0 || (align & (align - 1))) {
        errno = EINVAL;
        return NULL;
    }
    return take_aligned(align, size);
}

void *valloc(size_t size)
{
    return take_aligned(PAGE, size);
}

void *pvalloc(size_t size)
{
    return take_aligned(PAGE, size > reserve / 2 ? size : round_up(size, PAGE));
}

size_t malloc_usable_size(void *block)
{
    return is_ours(block) ? header_of(block)->size : 0;
}

/* ------------------------------------------------------------------------------------------------- the cap of a worker
 */

/* What RLIMIT_DATA counts (and the stack): the sixth number of statm, in pages. */
static size_t data_bytes(void)
{
    char text[256];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (got <= 0)
        return (size_t)(heap.edge - heap.base) + ((size_t)4 << 20);
    text[got] = '\0';
    const char *at = text;
    for (int spaces = 0; spaces < 5 && *at; at++)
        spaces += *at == ' ';
    size_t pages = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        pages = pages * 10 + (size_t)(*at - '0');
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void advise_huge_pages(size_t cap)
{
    size_t from = round_up((size_t)(heap.top - heap.base) + HUGE_AFTER, HUGE_PAGE), end = round_up(cap, HUGE_PAGE);
    if (from < end)
        (void)madvise(heap.base + from, end - from, MADV_HUGEPAGE);
}

void heap_begin(struct last_words *words, size_t cap)
{
    if (!heap.base)
        begin();
    heap.words = words;
    size_t all = data_bytes(), ours = (size_t)(heap.edge - heap.base);
    size_t outside = all > ours ? all - ours : 0; /* libraries' data, the stack */
    heap.cap = cap < reserve ? cap : reserve;
    heap.limit = heap.cap > outside ? heap.cap - outside : 0;
    struct rlimit kernel = {.rlim_cur = heap.cap, .rlim_max = heap.cap};
    if (setrlimit(RLIMIT_DATA, &kernel) != 0)
        die(EXIT_REASON_KERNEL_CAP, "RLIMIT_DATA could not be set");
    if (ours > heap.limit)
        die(EXIT_REASON_CAP, "worker_memory is less than an idle worker needs");
    advise_huge_pages(heap.cap);
    words->arena_cap = heap.cap;
}

void heap_charge(size_t bytes)
{
    heap.charged = bytes;
}

struct heap_use heap_use(void)
{
    size_t outside = heap.cap ? heap.cap - heap.limit : 0;
    return (struct heap_use){
        .used = heap.used + heap.charged,
        .extent = (size_t)(heap.top - heap.base) + heap.charged + outside,
        .cap = heap.cap,
    };
}
