#include "index/kernels.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "index/kernels_list.h"

static bool always(void)
{
    return true;
}

#if defined(__x86_64__)
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
}

/* What came together with Ice Lake and Zen 4. */
static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vpopcntdq");
}
#endif

/* The fastest first. */
static const struct {
    const struct kernels *kernels;
    bool (*runs)(void);
} all[] = {
#if defined(__x86_64__)
    {&kernels_avx512, has_avx512},
    {&kernels_avx2, has_avx2},
#endif
    {&kernels_portable, always},
};

const struct kernels *kernels_named(const char *name)
{
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i].kernels->name, name) == 0)
            return all[i].runs() ? all[i].kernels : NULL;
    }
    return NULL;
}

const struct kernels *kernels_best(void)
{
    const char *wanted = getenv("MAYFLY_CPU");
    const struct kernels *named = wanted ? kernels_named(wanted) : NULL;
    if (named)
        return named;
    size_t i = 0;
    while (!all[i].runs())
        i++;
    return all[i].kernels;
}
