/* The terms of a merge: dictionaries side by side, postings renumbered. */
#include "index/merge_state.h"

#include <errno.h>
#include <stdlib.h>

#include "common/err.h"

enum { REPORT_EVERY_TERMS = 4096, POSITIONS_MOST = 16 << 10 };

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

static int reserve_gaps(struct merge *m, size_t count)
{
    if (count <= m->gaps_room)
        return 0;
    free(m->gaps);
    m->gaps_room = count + count / 2;
    m->gaps = calloc(m->gaps_room, sizeof *m->gaps);
    if (m->gaps)
        return 0;
    m->gaps_room = 0;
    return -ENOMEM;
}

/* How many postings from the current one on are of its block and below `until` in the output: with POSITIONS_MOST of
 * positions, or one alone. */
static uint32_t gather_run(struct merge *m, const struct merge_source *s, uint32_t until)
{
    const struct posting_block *b = &s->postings.block;
    uint32_t from = s->postings.next - 1, most = b->starts[from] + POSITIONS_MOST, i = from;
    do {
        uint32_t number = s->numbers[b->documents[i]];
        if (number >= until)
            break;
        m->documents_of_run[i - from] = number;
        m->counts_of_run[i - from] = b->starts[i + 1] - b->starts[i];
        i++;
    } while (i < b->count && b->starts[i + 1] < most);
    return i - from;
}

static int copy_run(struct merge *m, struct merge_source *s, uint32_t until)
{
    struct postings *p = &s->postings;
    uint32_t from = p->next - 1, count = gather_run(m, s, until);
    struct posting_run run = {.documents = m->documents_of_run, .count = count};
    if (p->list.with_positions) {
        int err = reserve_gaps(m, p->block.starts[from + count] - p->block.starts[from] + (size_t)GAPS_SLACK);
        if (err)
            return err;
        run.gaps = block_gaps(&p->list, &p->block, from, from + count, m->gaps);
        run.t = p->block.t + from;
        run.n = m->counts_of_run;
        if (!run.gaps)
            return ERR_CORRUPT;
    }
    segment_writer_postings(m->writer, &run);
    postings_pass(p, count);
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
            int err = copy_run(m, source, second);
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
