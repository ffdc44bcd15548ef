#include "index/filter.h"
#include "index/snapshot.h"

int filter_scan_open(struct filter_scan *s, struct filter *f, const struct snapshot_segment *segment, uint64_t below,
                     struct arena *scratch)
{
    *s = (struct filter_scan){.filter = f, .segment = segment, .below = below, .scratch = scratch};
    return bodies_open(&s->bodies, segment->segment);
}

void filter_scan_close(struct filter_scan *s)
{
    bodies_close(&s->bodies);
}

static bool is_asked(const struct filter_scan *s, uint32_t document)
{
    return segment_stamps(s->segment->segment)[document] < s->below && !core_is_deleted(s->segment->core, document);
}

bool filter_scan_next(struct filter_scan *s, uint32_t most, uint32_t *out_document, bool *out_found, int *err)
{
    uint32_t count = segment_documents(s->segment->segment);
    *err = 0;
    *out_found = false;
    for (; s->next < count && most && !*out_found && !*err; s->next++, most--) {
        struct str body;
        if (!is_asked(s, s->next))
            continue;
        *err = bodies_get(&s->bodies, s->next, &body);
        if (!*err)
            *err = filter_matches(s->filter, s->scratch, body, out_found);
        *out_document = s->next;
    }
    return !*err && (*out_found || s->next < count);
}
