#include "coordinator/core_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/logger.h"

bool core_state_add(struct core_state *c, const Mayfly__Internal__CoreState *part)
{
    struct stream_segment *segments =
        realloc(c->segments, (c->segment_count + part->n_segments + 1) * sizeof *segments);
    struct range *ranges = realloc(c->ranges, (c->range_count + part->n_applied + 1) * sizeof *ranges);
    require(segments && ranges);
    c->segments = segments;
    c->ranges = ranges;
    for (size_t i = 0; i < part->n_segments; i++) {
        const Mayfly__Internal__CoreState__Segment *from = part->segments[i];
        segments[c->segment_count++] = (struct stream_segment){
            .id = from->id, .bytes = from->bytes, .documents = from->documents, .deleted = from->deleted, .image = from->image};
    }
    for (size_t i = 0; i < part->n_applied; i++)
        ranges[c->range_count++] = (struct range){.first = part->applied[i]->first, .end = part->applied[i]->end};
    c->generation = part->generation;
    c->watermark = part->watermark;
    c->documents = part->documents;
    return !part->more;
}

void core_state_finish(struct core_state *c)
{
    free(c->segments);
    free(c->ranges);
    *c = (struct core_state){.segments = NULL};
}

bool core_state_names(const struct core_state *c, uint64_t segment)
{
    for (size_t i = 0; i < c->segment_count; i++)
        if (c->segments[i].id == segment)
            return true;
    return false;
}

static bool is_merging(const struct stream *s, uint64_t segment)
{
    for (size_t i = 0; i < s->segment_count; i++)
        if (s->segments[i].id == segment)
            return s->segments[i].merging;
    return false;
}

static void take_segments(const struct core_state *c, struct stream *s)
{
    struct stream_segment *fresh = calloc(c->segment_count + 1, sizeof *fresh);
    require(fresh);
    for (size_t i = 0; i < c->segment_count; i++) {
        fresh[i] = c->segments[i];
        fresh[i].merging = is_merging(s, fresh[i].id);
    }
    free(s->segments);
    s->segments = fresh;
    s->segment_count = c->segment_count;
}

/* Reports of several workers come in any order; only the newest tells which segments are live. */
void core_state_take(const struct core_state *c, struct stream *s,
                     void (*dropped)(void *context, struct stream *s, uint64_t segment), void *context)
{
    if (c->generation >= s->generation) {
        for (size_t i = 0; i < s->segment_count; i++)
            if (!s->segments[i].image && !core_state_names(c, s->segments[i].id))
                dropped(context, s, s->segments[i].id);
        take_segments(c, s);
        s->generation = c->generation;
        s->documents = c->documents;
    }
    stream_mark_applied(s, 1, c->watermark);
    for (size_t i = 0; i < c->range_count; i++)
        stream_mark_applied(s, c->ranges[i].first, c->ranges[i].end);
}

void stream_damaged(struct stream *s, const char *why)
{
    if (!s->damaged)
        log_error("index is damaged and refused index=%s shard=%u: %.200s", s->index->name, s->shard, why);
    s->damaged = true;
    snprintf(s->damage, sizeof s->damage, "%s", why);
}

struct refusal refusal_of(const Mayfly__Internal__Refused *r)
{
    return (struct refusal){.sequence = r->sequence,
                            .task = r->task,
                            .position = r->position,
                            .id = r->id,
                            .code = r->code,
                            .message = r->message,
                            .generation = r->generation};
}
