#include "index/maxima_out.h"

#include <string.h>

#include "index/score.h"

struct pair {
    uint8_t t, code;
};

void maxima_out_add(struct maxima_out *m, uint32_t t, uint8_t length_code)
{
    uint32_t at = t < UINT8_MAX ? t : UINT8_MAX;
    uint8_t shortness = (uint8_t)(UINT8_MAX - length_code);
    m->most = at > m->most ? at : m->most;
    if (shortness >= m->lowest[at])
        m->lowest[at] = shortness;
}

void maxima_out_join(struct maxima_out *m, const struct maxima_out *other)
{
    for (uint32_t t = 0; t <= other->most; t++)
        m->lowest[t] = m->lowest[t] > other->lowest[t] ? m->lowest[t] : other->lowest[t];
    m->most = m->most > other->most ? m->most : other->most;
}

/* What a pair adds, as far as that is known before the query is: BM25's saturation. */
static float worth(struct pair p, float average)
{
    return (float)p.t / ((float)p.t + 0.3F + 0.9F * (float)length_decoded[p.code] / average);
}

static struct pair join(struct pair larger, struct pair smaller)
{
    return (struct pair){larger.t, smaller.code};
}

/* Two neighbours become one where that raises the bound the least. */
static void join_cheapest(struct pair *pairs, size_t count, float average)
{
    size_t best = 0;
    float least = 2.0F;
    for (size_t i = 0; i + 1 < count; i++) {
        float a = worth(pairs[i], average), b = worth(pairs[i + 1], average);
        float rise = worth(join(pairs[i], pairs[i + 1]), average) - (a > b ? a : b);
        if (rise < least) {
            least = rise;
            best = i;
        }
    }
    pairs[best] = join(pairs[best], pairs[best + 1]);
    memmove(&pairs[best + 1], &pairs[best + 2], (count - best - 2) * sizeof *pairs);
}

/* From the largest T down those whose document is shorter than all with a larger one. */
static size_t front(const struct maxima_out *m, struct pair *out)
{
    size_t count = 0;
    int shortest = -1;
    for (uint32_t t = m->most; t > 0; t--) {
        int shortness = m->lowest[t];
        bool is_there = shortness > 0 || t == m->most;
        if (!is_there || shortness <= shortest)
            continue;
        shortest = shortness;
        out[count++] = (struct pair){(uint8_t)t, (uint8_t)(UINT8_MAX - shortness)};
    }
    return count;
}

void maxima_out_end(struct maxima_out *m, float average, uint8_t out[2 * KERNEL_PAIRS])
{
    struct pair pairs[256];
    size_t count = front(m, pairs);
    for (; count > KERNEL_PAIRS; count--)
        join_cheapest(pairs, count, average);
    for (size_t i = 0; i < KERNEL_PAIRS; i++) {
        struct pair p = count ? pairs[i < count ? i : count - 1] : (struct pair){0, 0};
        out[2 * i] = p.t;
        out[2 * i + 1] = p.code;
    }
    memset(m->lowest, 0, m->most + 1);
    m->most = 0;
}
