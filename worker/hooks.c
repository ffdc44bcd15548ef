#include "worker/hooks.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CHUNK = 1 << 20, MOST = 3000 /* chunks: where nothing holds it, a machine is not to go down */ };

static bool names(const char *variable, struct str id)
{
    const char *named = getenv(variable);
    return named && str_equal(id, str_of(named));
}

static void fill_heap(void)
{
    for (int i = 0; i < MOST; i++)
        memset(malloc(CHUNK), 1, CHUNK);
}

/* Until the kernel gives no more. */
static void fill_mappings(int kind)
{
    for (int i = 0; i < MOST; i++) {
        void *p = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            return;
        memset(p, 1, CHUNK);
    }
}

static _Noreturn void hog(const char *how)
{
    if (strcmp(how, "none") == 0)
        for (;;)
            pause();
    if (strcmp(how, "private") == 0)
        fill_mappings(MAP_PRIVATE);
    else if (strcmp(how, "shared") == 0)
        fill_mappings(MAP_SHARED);
    fill_heap(); /* and with what is left, malloc gets nowhere */
    abort();
}

void hooks_obey(struct str id)
{
    const char *how = getenv("MAYFLY_TEST_HOG");
    if (names("MAYFLY_TEST_KILL_ID", id))
        abort();
    if (how && names("MAYFLY_TEST_HOG_ID", id))
        hog(how);
}

uint32_t hooks_pairs(void)
{
    const char *wanted = getenv("MAYFLY_TEST_PAIRS");
    return wanted ? (uint32_t)strtoul(wanted, NULL, 10) : 0;
}
