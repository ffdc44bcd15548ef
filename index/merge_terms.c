/* The terms of a merge: dictionaries side by side, postings renumbered. */
#include "index/merge_state.h"

#include <errno.h>
#include <stdlib.h>

#include "common/err.h"

enum { REPORT_EVERY_TERMS = 4096 };

static int next_term(struct merge *m, size_t i)
{
    struct merge_source *s = &m->sources[i];
    s->has_term = term_cursor_next(&s->terms, &s->term);
    return s->terms.err ? merge_fail(m, i, s->terms.err) : 0;
}

/* The sources that have the lowest key, in m->standing; 0 when all are at their end. */
static size_t choose_term(struct merge *m)
{
    size_t count = 0;
    for (size_t i = 0; i < m->count; i++) {
        const struct merge_source *s = &m->sources[i];
        if (!s->has_term)
            continue;
        int order = count ? str_compare(s->term.key, m->sources[m->standing[0]].term.key) : -1;
        if (order < 0)
            count = 0;
        if (order <= 0)
            m->standing[count++] = i;
    }
    return count;
}

/* The number in the output of the posting it stands on, past those of deleted documents; MERGE_DELETED at the end. */
static uint32_t live_posting(struct merge_source *s)
{
    while (s->postings.document != POSTINGS_END && s->numbers[s->postings.document] == MERGE_DELETED)
        postings_next(&s->postings);
    return s->postings.document == POSTINGS_END ? MERGE_DELETED : s->numbers[s->postings.document];
}

static int read_positions(struct merge *m, struct merge_source *s)
{
    if (s->postings.count > m->positions_room) {
        free(m->positions);
        m->positions_room = s->postings.count + s->postings.count / 2;
        m->positions = calloc(m->positions_room, sizeof *m->positions);
        if (!m->positions) {
            m->positions_room = 0;
            return -ENOMEM;
        }
    }
    return postings_positions(&s->postings, m->positions) ? 0 : ERR_CORRUPT;
}

static int copy_posting(struct merge *m, struct merge_source *s, uint32_t number)
{
    if (s->postings.count) {
        int err = read_positions(m, s);
        if (err)
            return err;
    }
    segment_writer_posting(m->writer, number, s->postings.t, m->positions, s->postings.count);
    postings_next(&s->postings);
    return 0;
}

/* Numbers rise within a source, since its documents were taken in order: the lowest of all is written, from the same
 * source as long as it stays the lowest. */
static int copy_postings(struct merge *m, size_t count)
{
    for (;;) {
        uint32_t lowest = MERGE_DELETED, second = MERGE_DELETED;
        struct merge_source *source = NULL;
        for (size_t i = 0; i < count; i++) {
            struct merge_source *s = &m->sources[m->standing[i]];
            uint32_t number = live_posting(s);
            if (number < lowest) {
                second = lowest;
                lowest = number;
                source = s;
            } else if (number < second) {
                second = number;
            }
        }
        if (!source)
            return 0;
        for (uint32_t number = lowest; number < second; number = live_posting(source)) {
            int err = copy_posting(m, source, number);
            if (err)
                return merge_fail(m, (size_t)(source - m->sources), err);
        }
    }
}

static int copy_term(struct merge *m, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct merge_source *s = &m->sources[m->standing[i]];
        postings_open(&s->postings, s->segment, &s->term);
    }
    segment_writer_term(m->writer, m->sources[m->standing[0]].term.key);
    int err = copy_postings(m, count);
    for (size_t i = 0; i < count && !err; i++) {
        const struct merge_source *s = &m->sources[m->standing[i]];
        if (s->postings.err)
            err = merge_fail(m, m->standing[i], s->postings.err);
    }
    for (size_t i = 0; i < count && !err; i++)
        err = next_term(m, m->standing[i]);
    return err;
}

int merge_terms(struct merge *m)
{
    int err = 0;
    for (size_t i = 0; i < m->count && !err; i++) {
        term_cursor_seek(&m->sources[i].terms, m->sources[i].segment, (struct str){0});
        err = next_term(m, i);
    }
    uint64_t terms = 0;
    for (size_t count; !err && (count = choose_term(m)) > 0;) {
        err = copy_term(m, count);
        if (!err && ++terms % REPORT_EVERY_TERMS == 0)
            err = merge_report(m);
    }
    return err ? err : merge_report(m);
}
