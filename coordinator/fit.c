#include "coordinator/fit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/logger.h"
#include "coordinator/budget.h"

enum { MIB = 1 << 20 };

#define AT(member) offsetof(struct config, member)

struct step {
    const char *key;
    size_t offset;
    uint64_t unit; /* it is cut by */
    uint64_t comfortable, least;
    bool holds_documents; /* whole ones: twice the largest is the least */
    bool at_start;        /* and only there */
};

static const struct step steps[FIT_CUTS] = {
    {"heap of a shard", AT(shard_heap), MIB, 128 * MIB, 64 * MIB, false, true},
    {"max-connections", AT(max_connections), 1, 200, 32, false, false},
    {"region-memory", AT(region_memory), MIB, 64 * MIB, 16 * MIB, true, false},
    {"workers", AT(workers), 1, 2, 2, false, false},
    {"worker-memory", AT(worker_memory), MIB, 128 * MIB, 32 * MIB, true, false},
    {"query-memory", AT(query_memory), MIB, 32 * MIB, 16 * MIB, true, false},
    {"readers", AT(readers), 1, UINT64_MAX, 1, false, true},
};
enum { STEPS = FIT_CUTS };

static uint64_t *value_of(struct config *c, const struct step *s)
{
    return (uint64_t *)(void *)((char *)c + s->offset);
}

static uint64_t total_with(const struct config *c, const struct cap *cap, const struct step *s, uint64_t value)
{
    struct config tried = *c;
    *value_of(&tried, s) = value;
    return budget_of(&tried, cap).total;
}

static uint64_t floor_of(const struct config *c, const struct step *s, bool comfortable)
{
    uint64_t least = comfortable ? s->comfortable : s->least;
    if (s->holds_documents && least < 2 * c->max_document_size)
        least = (2 * c->max_document_size + s->unit - 1) / s->unit * s->unit;
    return least;
}

/* The largest value that fits, or the lowest there may be. */
static uint64_t cut_value(const struct config *c, const struct cap *cap, const struct step *s, uint64_t from,
                          uint64_t floor, uint64_t limit)
{
    uint64_t low = 0, high = (from - floor) / s->unit; /* steps above the floor; `low` fits, or nothing does */
    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2;
        if (total_with(c, cap, s, floor + middle * s->unit) <= limit)
            low = middle;
        else
            high = middle - 1;
    }
    return floor + low * s->unit;
}

static void cut(struct config *c, const struct cap *cap, const struct step *s, bool comfortable, uint64_t limit)
{
    uint64_t now = *value_of(c, s), floor = floor_of(c, s, comfortable);
    if (now > floor)
        *value_of(c, s) = cut_value(c, cap, s, now, floor, limit);
}

static void note_cuts(struct config *before, struct config *after, struct fit *out)
{
    for (size_t i = 0; i < STEPS; i++) {
        uint64_t wanted = *value_of(before, &steps[i]), given = *value_of(after, &steps[i]);
        if (wanted != given)
            out->cuts[out->count++] = (struct fit_cut){steps[i].key, steps[i].unit == MIB, wanted, given};
    }
}

int fit_config(struct config *c, const struct cap *cap, uint64_t limit, bool is_start, struct fit *out)
{
    *out = (struct fit){.limit = limit, .total = budget_of(c, cap).total};
    if (out->total <= limit)
        return 0;
    c->workers = config_workers(c); /* as many as it stands for */
    struct config wanted = *c;
    for (size_t i = 0; i < 2 * STEPS && budget_of(c, cap).total > limit; i++) {
        const struct step *s = &steps[i % STEPS];
        if (is_start || !s->at_start)
            cut(c, cap, s, i < STEPS, limit);
    }
    note_cuts(&wanted, c, out);
    out->total = budget_of(c, cap).total;
    return out->total <= limit ? 0 : ERR_FULL;
}

bool fit_is_of_start(const struct fit_cut *cut)
{
    for (size_t i = 0; i < STEPS; i++)
        if (strcmp(steps[i].key, cut->key) == 0)
            return steps[i].at_start;
    return false;
}

bool fit_has_cut(const struct fit *f, const char *key)
{
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->cuts[i].key, key) == 0)
            return true;
    return false;
}

void fit_format(const struct fit_cut *cut, uint64_t value, char to[FIT_VALUE])
{
    if (cut->is_size)
        snprintf(to, FIT_VALUE, "%" PRIu64 "M", value / MIB);
    else
        snprintf(to, FIT_VALUE, "%" PRIu64, value);
}

void fit_log(const struct fit *f)
{
    char wanted[FIT_VALUE], given[FIT_VALUE];
    for (size_t i = 0; i < f->count; i++) {
        fit_format(&f->cuts[i], f->cuts[i].wanted, wanted);
        fit_format(&f->cuts[i], f->cuts[i].given, given);
        log_warn("%s is %s instead of %s, so that the budget fits the %lluM that the control group may have",
                 f->cuts[i].key, given, wanted, (unsigned long long)f->limit >> 20);
    }
}
