#include "index/merge.h"

#include <errno.h>
#include <stdlib.h>

#include "common/err.h"
#include "index/merge_state.h"

enum {
    REPORT_EVERY = 1024,
    COPIED_LEAST = 8, /* blocks: in front of them one may end early, and is smaller for ever */
};

int merge_report(struct merge *m)
{
    int err = segment_writer_error(m->writer);
    if (!err && m->progress)
        err = m->progress(m->context, m->documents);
    return err;
}

int merge_fail(struct merge *m, size_t source, int err)
{
    m->at_fault = source;
    return err;
}

/* ----------------------------------------------------------------------------------------------------------- documents
 */

static void skip_deleted(struct merge_source *s)
{
    while (s->next < s->documents && s->core && core_is_deleted(s->core, s->next))
        s->numbers[s->next++] = MERGE_DELETED;
}

static uint64_t next_stamp(const struct merge_source *s)
{
    return s->next < s->documents ? s->stamps[s->next] : UINT64_MAX;
}

/* The source whose next document is the oldest, and the stamp at which another one has its turn. False at the end. */
static bool choose_source(const struct merge *m, size_t *out, uint64_t *out_until)
{
    uint64_t lowest = UINT64_MAX, second = UINT64_MAX;
    for (size_t i = 0; i < m->count; i++) {
        uint64_t stamp = next_stamp(&m->sources[i]);
        if (stamp < lowest) {
            second = lowest;
            lowest = stamp;
            *out = i;
        } else if (stamp < second) {
            second = stamp;
        }
    }
    *out_until = second;
    return lowest != UINT64_MAX;
}

static int grow_ranges(struct merge *m)
{
    size_t room = m->range_room ? 2 * m->range_room : 64;
    struct field_range *ranges = realloc(m->ranges, room * sizeof *ranges);
    if (!ranges)
        return -ENOMEM;
    m->ranges = ranges;
    m->range_room = room;
    return 0;
}

/* Where its fields lie, by their numbers in the output. */
static int read_ranges(struct merge *m, const struct merge_source *s, struct segment_document *d)
{
    struct field_ranges ranges;
    struct field_range range;
    int err = segment_field_ranges(s->segment, s->next, &ranges);
    while (!err && field_ranges_next(&ranges, &range)) {
        if (range.field >= segment_fields(s->segment))
            return ERR_CORRUPT;
        err = d->range_count == m->range_room ? grow_ranges(m) : 0;
        if (!err)
            m->ranges[d->range_count++] = (struct field_range){s->fields[range.field], range.from};
    }
    d->ranges = m->ranges;
    return err ? err : ranges.at == ranges.end ? 0 : ERR_CORRUPT;
}

static int write_document(struct merge *m, struct merge_source *s, bool body_is_written)
{
    struct segment_document d = {
        .stamp = s->stamps[s->next],
        .length_code = segment_length_codes(s->segment)[s->next],
        .body_is_written = body_is_written,
    };
    int err = segment_document_id(s->segment, s->next, &d.id, &d.hash);
    if (!err)
        err = read_ranges(m, s, &d);
    if (!err)
        err = body_is_written ? segment_body_size(s->segment, s->next, &d.body.len) : bodies_get(&s->bodies, s->next, &d.body);
    if (err)
        return merge_fail(m, (size_t)(s - m->sources), err);
    segment_writer_document(m->writer, &d);
    s->numbers[s->next++] = m->documents++;
    skip_deleted(s);
    return m->documents % REPORT_EVERY ? 0 : merge_report(m);
}

/* Up to the next deleted document, or another source's turn. */
static uint32_t end_of_run(const struct merge_source *s, uint64_t until)
{
    uint32_t end = s->next;
    while (end < s->documents && s->stamps[end] < until && !(s->core && core_is_deleted(s->core, end)))
        end++;
    return end;
}

static int write_bytes(struct merge *m, struct merge_source *s, uint64_t from, uint64_t end)
{
    struct str bytes;
    int err = from < end ? bodies_bytes(&s->bodies, from, end, &bytes) : 0;
    if (!err && from < end)
        segment_writer_bodies(m->writer, bytes);
    return err;
}

/* Blocks are copied as they are; what the first and the last one have besides is not of these documents. */
static int copy_bodies(struct merge *m, struct merge_source *s, const struct body_blocks *run)
{
    int err = write_bytes(m, s, run->from, run->whole_from);
    for (uint32_t block = run->first; block < run->end && !err; block++) {
        struct str packed;
        uint32_t length;
        err = bodies_packed(&s->bodies, block, &packed, &length);
        if (!err)
            segment_writer_body_block(m->writer, packed, length);
    }
    return err ? err : write_bytes(m, s, run->whole_end, run->to);
}

static int write_run(struct merge *m, struct merge_source *s, uint32_t end)
{
    struct body_blocks run;
    int err = bodies_blocks(&s->bodies, s->next, end, &run);
    bool copied = !err && run.end - run.first >= COPIED_LEAST;
    if (copied)
        err = copy_bodies(m, s, &run);
    if (err)
        return merge_fail(m, (size_t)(s - m->sources), err);
    for (uint32_t left = end - s->next; left > 0 && !err; left--)
        err = write_document(m, s, copied);
    return err;
}

static int write_documents(struct merge *m)
{
    size_t source = 0;
    uint64_t until;
    while (choose_source(m, &source, &until)) {
        struct merge_source *s = &m->sources[source];
        do {
            int err = write_run(m, s, end_of_run(s, until));
            if (err)
                return err;
        } while (next_stamp(s) < until);
    }
    return merge_report(m);
}

/* -------------------------------------------------------------------------------------------------------------- inputs
 */

static int number_fields(struct merge *m, struct merge_source *s)
{
    uint32_t count = segment_fields(s->segment);
    s->fields = calloc(count ? count : 1, sizeof *s->fields);
    if (!s->fields)
        return -ENOMEM;
    for (uint32_t field = 0; field < count; field++) {
        int number = segment_writer_field(m->writer, segment_field_name(s->segment, field));
        if (number < 0)
            return number;
        s->fields[field] = (uint32_t)number;
    }
    return 0;
}

static int open_source(struct merge *m, size_t i, const struct merge_input *input, struct str analyzer)
{
    struct merge_source *s = &m->sources[i];
    s->segment = input->segment;
    s->core = input->core;
    s->documents = segment_documents(s->segment);
    s->stamps = segment_stamps(s->segment);
    if (!str_equal(segment_analyzer(s->segment), analyzer) || (s->core && s->core->documents != s->documents))
        return merge_fail(m, i, ERR_INVALID);
    if (!s->stamps || !segment_length_codes(s->segment))
        return merge_fail(m, i, ERR_CORRUPT);
    s->numbers = malloc((s->documents ? s->documents : 1) * sizeof *s->numbers);
    if (!s->numbers)
        return -ENOMEM;
    int err = bodies_open(&s->bodies, s->segment);
    if (!err)
        err = number_fields(m, s);
    skip_deleted(s);
    return err;
}

static int open_sources(struct merge *m, const struct merge_input *inputs, struct str analyzer)
{
    m->sources = calloc(m->count, sizeof *m->sources);
    m->standing = calloc(m->count, sizeof *m->standing);
    int err = m->sources && m->standing ? 0 : -ENOMEM;
    for (size_t i = 0; i < m->count && !err; i++)
        err = open_source(m, i, &inputs[i], analyzer);
    return err;
}

/* Bodies are not needed any more when terms are written. */
static void close_bodies(struct merge *m)
{
    for (size_t i = 0; m->sources && i < m->count; i++)
        bodies_close(&m->sources[i].bodies);
}

static void close_sources(struct merge *m)
{
    close_bodies(m);
    for (size_t i = 0; m->sources && i < m->count; i++) {
        free(m->sources[i].numbers);
        free(m->sources[i].fields);
    }
    free(m->sources);
    free(m->standing);
    free(m->gaps);
    free(m->ranges);
}

static int run(struct merge *m, const struct merge_input *inputs, struct str analyzer)
{
    int err = open_sources(m, inputs, analyzer);
    if (!err)
        err = write_documents(m);
    close_bodies(m);
    return err ? err : merge_terms(m);
}

int merge_segments(const char *path, const struct segment_options *options, const struct merge_input *inputs,
                   size_t count, merge_progress *progress, void *context, struct segment_result *out, size_t *out_input)
{
    struct merge m = {.count = count, .at_fault = count, .progress = progress, .context = context};
    if (count == 0)
        return ERR_INVALID;
    int err = segment_writer_open(path, options, &m.writer);
    if (!err) {
        err = run(&m, inputs, options->analyzer);
        if (err)
            segment_writer_abandon(m.writer);
        else
            err = segment_writer_finish(m.writer, out);
    }
    close_sources(&m);
    if (err && out_input)
        *out_input = m.at_fault;
    return err;
}
