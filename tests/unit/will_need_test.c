#include "index/will_need.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the four above first
#include <cmocka.h>

#include "common/hash.h"
#include "index/segment_parts.h"
#include "index/segment_writer.h"

enum { DOCUMENTS = 9000, TERMS = 2000, PAGES = 4096 };

struct file {
    char directory[40], path[64];
};

static void write_documents(struct segment_writer *w)
{
    char id[32], body[300];
    memset(body, 'x', sizeof body);
    for (uint32_t n = 0; n < DOCUMENTS; n++) {
        struct segment_document d = {.stamp = n + 1, .body = {body, n % sizeof body}, .length_code = (uint8_t)(n % 50)};
        d.id = (struct str){id, (size_t)snprintf(id, sizeof id, "id-%u", n)};
        d.hash = hash64(d.id);
        segment_writer_document(w, &d);
    }
}

/* The first is in all documents, the others in fewer and fewer. */
static void write_terms(struct segment_writer *w)
{
    for (uint32_t term = 0; term < TERMS; term++) {
        char key[16];
        segment_writer_term(w, (struct str){key, (size_t)snprintf(key, sizeof key, "s%05u", term)});
        for (uint32_t n = 0; n < DOCUMENTS; n += 1 + term)
            segment_writer_posting(w, n, 2 + n * 7919 % 200, (uint32_t[]){n % 90, n}, n % 90 < n ? 2 : 1);
    }
}

static struct segment *make(struct file *f)
{
    struct segment_writer *w;
    struct segment_result result;
    struct segment *s;
    *f = (struct file){.directory = "/tmp/mayfly-need-XXXXXX"};
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->path, sizeof f->path, "%s/seg-7.mdb", f->directory);
    struct segment_options options = {.id = 7, .transaction = 1 << 20, .analyzer = STR("test 1")};
    assert_int_equal(segment_writer_open(f->path, &options, &w), 0);
    write_documents(w);
    write_terms(w);
    assert_int_equal(segment_writer_finish(w, &result), 0);
    assert_int_equal(segment_open(f->path, &s), 0);
    return s;
}

static void discard(struct file *f, struct segment *s)
{
    segment_close(s);
    unlink(f->path);
    rmdir(f->directory);
}

static void read_documents(const struct segment *s)
{
    struct arena a;
    struct str id, body;
    assert_int_equal(arena_init(&a, 1 << 20, 0), 0);
    for (uint32_t n = 0; n < DOCUMENTS; n++) {
        char wanted[32];
        snprintf(wanted, sizeof wanted, "id-%u", n);
        assert_int_equal(segment_document_id(s, n, &id, NULL), 0);
        assert_true(str_equal(id, str_of(wanted)));
        assert_int_equal(segment_document_body(s, n, &a, &body), 0);
        assert_int_equal(body.len, n % 300);
        arena_reset(&a, 0);
    }
    arena_finish(&a);
}

/* ------------------------------------------------------------------------------------------------------ what was asked
 */

/* What was asked for, in place of asking: a bit per page of a file's mapping. */
struct asked {
    struct page_range map;
    size_t pages;
    unsigned char page[PAGES];
    struct page_ranges ranges;
};

static void record(void *context, struct page_range range)
{
    struct asked *a = context;
    assert_true(range.from < range.end && range.from % PAGE_LEAST == 0 && range.end % PAGE_LEAST == 0);
    assert_true(range.from >= a->map.from && range.end <= a->map.end);
    for (uintptr_t at = range.from; at < range.end; at += PAGE_LEAST) {
        assert_false(a->page[(at - a->map.from) / PAGE_LEAST]); /* a page is asked for once */
        a->page[(at - a->map.from) / PAGE_LEAST] = 1;
        a->pages++;
    }
}

/* In steps that may overlap. */
static void record_range(void *context, struct page_range range)
{
    struct asked *a = context;
    assert_true(range.from >= a->map.from && range.end <= a->map.end && range.from < range.end);
    memset(a->page + (range.from - a->map.from) / PAGE_LEAST, 1, (range.end - range.from) / PAGE_LEAST);
}

static struct page_range mapping_of(const char *path)
{
    char line[4096];
    struct page_range r = {0};
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    while (!r.end && fgets(line, sizeof line, maps)) {
        if (strstr(line, path))
            assert_int_equal(sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &r.from, &r.end), 2);
    }
    fclose(maps);
    assert_true(r.end > r.from && r.end - r.from <= sizeof((struct asked *)0)->page * PAGE_LEAST);
    return r;
}

static struct page_ranges *begin(struct asked *a)
{
    a->pages = 0;
    memset(a->page, 0, sizeof a->page);
    page_ranges_init(&a->ranges);
    a->ranges.advise = record;
    a->ranges.context = a;
    return &a->ranges;
}

static bool has_asked_for(const struct asked *a, const void *at)
{
    return a->page[((uintptr_t)at - a->map.from) / PAGE_LEAST];
}

/* ---------------------------------------------------------------------------------------------------------- segments
 */

static struct asked *new_asked(const struct file *f)
{
    struct asked *a = calloc(1, sizeof *a);
    assert_non_null(a);
    a->map = mapping_of(f->path);
    return a;
}

static struct term find(const struct segment *s, struct str key)
{
    struct term t;
    int err = 0;
    assert_true(segment_find_term(s, key, &t, &err));
    return t;
}

static const uint8_t *place_in(const struct parts *p, uint64_t place)
{
    return p->extents[place >> 32].payload + (uint32_t)place;
}

static void read_list(const struct segment *s, const struct term *t)
{
    struct postings p;
    uint32_t positions[2], n = 0;
    for (postings_open(&p, s, t); p.document != POSTINGS_END; postings_next(&p), n++)
        assert_true(postings_positions(&p, positions));
    assert_int_equal(p.err, 0);
    assert_int_equal(n, t->documents);
}

static void asks_for_a_list_by_pieces_then_by_pages(void **state)
{
    (void)state;
    struct file f;
    struct segment *s = make(&f);
    struct asked *a = new_asked(&f);
    struct term t = find(s, STR("s00000"));
    const uint8_t *list = place_in(&s->postings, t.postings.place);
    will_need_list(s, &t, UINT64_MAX, true, begin(a));
    page_ranges_ask(&a->ranges);
    assert_true(has_asked_for(a, list) && has_asked_for(a, list + t.postings.length - 1));
    assert_true(has_asked_for(a, place_in(&s->positions, t.positions.place)));
    size_t unchecked = a->pages;

    struct term later = find(s, STR("s00001"));
    uint32_t in_piece = (uint32_t)later.postings.place % PIECE;
    assert_true(in_piece > PAGE_LEAST);
    will_need_list(s, &later, UINT64_MAX, false, begin(a));
    page_ranges_ask(&a->ranges);
    assert_true(has_asked_for(a, place_in(&s->postings, later.postings.place - in_piece)));

    read_list(s, &t); /* now its pieces are checked, and its pages are enough */
    will_need_list(s, &t, UINT64_MAX, true, begin(a));
    page_ranges_ask(&a->ranges);
    assert_true(has_asked_for(a, list) && has_asked_for(a, list + t.postings.length - 1));
    assert_true(has_asked_for(a, place_in(&s->positions, t.positions.place)));
    assert_in_range(a->pages, 2, unchecked - 1);

    t.positions.length = 0;
    will_need_list(s, &t, 0, true, begin(a)); /* nothing leads to any of its documents: the front tells */
    page_ranges_ask(&a->ranges);
    assert_true(has_asked_for(a, list) && has_asked_for(a, list + list_front(&t) - 1));
    assert_in_range(a->pages, 1, 2);
    free(a);
    discard(&f, s);
}

static void asks_for_blocks_that_documents_may_be_in(void **state)
{
    (void)state;
    struct file f;
    struct segment *s = make(&f);
    struct asked *a = new_asked(&f);
    struct term t = find(s, STR("s00000"));
    struct posting_list l;
    static struct posting_block b;
    const uint32_t documents[] = {3, 255, 256, 5000, DOCUMENTS - 1, UINT32_MAX};
    read_list(s, &t);
    assert_int_equal(list_open(&l, s, &t, segment_kernels(s)), 0);
    for (size_t i = 0; i < 5; i++) {
        will_need_blocks(&l, documents + i, 1, true, begin(a));
        page_ranges_ask(&a->ranges);
        size_t pages = a->pages;
        assert_in_range(pages, 1, 4);
        assert_int_equal(block_enter(&l, list_find(&l, 0, documents[i]), &b), 0);
        block_documents(&l, &b);
        assert_int_equal(block_starts(&l, &b), 0);
        uint32_t positions[2];
        assert_int_equal(block_positions(&l, &b, 0, 0, positions), 0);
        assert_true(has_asked_for(a, b.end - 1) && has_asked_for(a, b.positions));
    }
    will_need_blocks(&l, documents, 6, true, begin(a)); /* the last one is in no block */
    page_ranges_ask(&a->ranges);
    assert_true(a->pages > 0);

    t = find(s, STR("s01999")); /* one block */
    assert_int_equal(list_open(&l, s, &t, segment_kernels(s)), 0);
    will_need_blocks(&l, documents, 6, true, begin(a));
    page_ranges_ask(&a->ranges);
    free(a);
    discard(&f, s);
}

static void asks_for_documents_before_they_are_read(void **state)
{
    (void)state;
    struct file f;
    struct segment *s = make(&f);
    struct asked *a = new_asked(&f);
    const struct needed_document documents[] = {
        {s, 0}, {s, 17}, {s, DOCUMENTS - 1}, {s, DOCUMENTS}, {s, UINT32_MAX}}; /* the last two are not there */
    struct str id;
    for (int with_bodies = 0; with_bodies < 2; with_bodies++) {
        begin(a)->advise = record_range;
        will_need_documents(documents, 5, with_bodies, &a->ranges);
        page_ranges_ask(&a->ranges);
        assert_int_equal(segment_document_id(s, 17, &id, NULL), 0);
        assert_true(has_asked_for(a, id.ptr));
        const uint8_t *entry;
        assert_int_equal(segment_element(s, &s->body_blocks, 0, &entry), 0);
        assert_int_equal(has_asked_for(a, place_in(&s->bodies, load_u64(entry))), with_bodies);
    }
    read_documents(s);
    free(a);
    discard(&f, s);
}

static void asks_for_the_dictionary_and_columns(void **state)
{
    (void)state;
    struct file f;
    struct segment *s = make(&f);
    struct asked *a = new_asked(&f);
    const struct str keys[] = {STR(""),    STR("s00000"), STR("a"),
                               STR("zzz"), STR("s01999"), STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff")};
    for (size_t i = 0; i < 12; i++) {
        will_need_key(s, keys[i / 2], i % 2, begin(a));
        page_ranges_ask(&a->ranges);
        assert_true(a->pages > 0);
    }
    will_need_dictionary(s, begin(a));
    will_need_index(s, &a->ranges);
    will_need_columns(s, &a->ranges);
    page_ranges_ask(&a->ranges);
    assert_true(has_asked_for(a, s->dictionary.extents[0].payload) && has_asked_for(a, segment_block_index(s, 0)));
    assert_true(has_asked_for(a, segment_stamps(s)) && has_asked_for(a, segment_length_codes(s)));
    free(a);
    discard(&f, s);
}

/* Whoever reads it says so. */
static void asks_for_nothing_outside_of_the_file(void **state)
{
    (void)state;
    struct file f;
    struct segment *s = make(&f);
    struct asked *a = new_asked(&f);
    struct term t = find(s, STR("s00000"));
    for (unsigned bit = 0; bit < 64; bit++) {
        struct term damaged = t;
        damaged.postings.place ^= UINT64_C(1) << bit;
        damaged.positions.place ^= UINT64_C(1) << bit;
        damaged.postings.length ^= UINT32_C(1) << bit % 32;
        damaged.positions.length ^= UINT32_C(1) << bit % 32;
        damaged.documents ^= UINT32_C(1) << bit % 32;
        will_need_list(s, &damaged, bit % 2 ? 1 : UINT64_MAX, true, begin(a));
        page_ranges_ask(&a->ranges);
    }
    struct posting_list l;
    const uint32_t documents[] = {0, 300, 5000};
    assert_int_equal(list_open(&l, s, &t, segment_kernels(s)), 0);
    for (unsigned bit = 0; bit < 64; bit++) {
        struct posting_list damaged = l;
        damaged.place ^= UINT64_C(1) << bit;
        damaged.positions.place ^= UINT64_C(1) << bit;
        damaged.ends = bit % 2 ? l.last : l.maxima; /* other numbers than ends */
        damaged.position_ends = bit % 2 ? l.maxima : l.last;
        damaged.size ^= UINT32_C(1) << bit % 32;
        begin(a)->advise = record_range;
        will_need_blocks(&damaged, documents, 3, true, &a->ranges);
        page_ranges_ask(&a->ranges);
    }
    free(a);
    discard(&f, s);
}

/* ------------------------------------------------------------------------------------------------------------- ranges
 */

static void asks_for_ranges_once_and_joined(void **state)
{
    (void)state;
    static struct asked a; /* large */
    static char pages[(PAGE_RANGES + 2) * 2 * PAGE_LEAST];
    a.map = (struct page_range){(uintptr_t)pages & ~(uintptr_t)(PAGE_LEAST - 1), UINTPTR_MAX};
    struct page_ranges *r = begin(&a);
    for (size_t i = 0; i < PAGE_RANGES; i++) /* every other page: there is no room for more */
        page_ranges_add(r, pages + 2 * i * PAGE_LEAST, 1);
    assert_int_equal(r->count, PAGE_RANGES);
    page_ranges_add(r, pages + 2 * (size_t)PAGE_RANGES * PAGE_LEAST, 1);
    assert_int_equal(a.pages, PAGE_RANGES);
    begin(&a);
    page_ranges_add(r, pages + 9 * PAGE_LEAST, PAGE_LEAST);
    page_ranges_add(r, pages + 2 * PAGE_LEAST, 3 * PAGE_LEAST);
    page_ranges_add(r, pages + 3 * PAGE_LEAST, 1); /* inside of the one before */
    page_ranges_add(r, pages, 2 * PAGE_LEAST);
    page_ranges_ask(r); /* the recorder sees to it that no page comes twice */
    assert_int_equal(r->count, 0);
    assert_true(has_asked_for(&a, pages) && has_asked_for(&a, pages + 3 * PAGE_LEAST) &&
                has_asked_for(&a, pages + 9 * PAGE_LEAST));
    assert_false(has_asked_for(&a, pages + 7 * PAGE_LEAST));
}

static void asks_until_it_was_quiet_for_long(void **state)
{
    (void)state;
    struct page_waits w = {0};
    unsigned asked = 0;
    assert_int_equal(page_waits_ask(&w), ASKS_ALL);
    for (int i = 0; i < 10000; i++)
        asked += page_waits_ask(&w) != ASKS_NOTHING;
    assert_in_range(asked, 1, 9999); /* this machine may have waited for pages meanwhile, but not all the time */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_for_a_list_by_pieces_then_by_pages),
        cmocka_unit_test(asks_for_blocks_that_documents_may_be_in),
        cmocka_unit_test(asks_for_documents_before_they_are_read),
        cmocka_unit_test(asks_for_the_dictionary_and_columns),
        cmocka_unit_test(asks_for_nothing_outside_of_the_file),
        cmocka_unit_test(asks_for_ranges_once_and_joined),
        cmocka_unit_test(asks_until_it_was_quiet_for_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
