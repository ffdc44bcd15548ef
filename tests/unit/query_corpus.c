#include "query_corpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/hash.h"
#include "index/core.h"
#include "index/score.h"
#include "index/segment_writer.h"
#include "plain_analyzer.h"

const char *const corpus_fields[CORPUS_FIELDS] = {"title", "body"};
const uint32_t corpus_weights[CORPUS_FIELDS] = {3, 1};

/* Some with an s, whose stem is without; some of which begin others; "the" and "of" are stop words. */
static const char *const words[CORPUS_WORDS] = {
    "the",     "cat",      "cats",   "of",   "dog",   "dogs",  "linux", "kernel", "kernels", "net",
    "network", "networks", "car",    "care", "cared", "cares", "card",  "cards",  "a1",      "a2",
    "b1",      "b2",       "c1",     "c2",   "d1",    "d2",    "e1",    "e2",     "lin",     "line",
    "lines",   "lint",     "linked", "rare", "rares", "rarer", "x",     "xs",     "xy",      "z"};

uint32_t corpus_random(struct corpus *c, uint32_t below)
{
    c->random = c->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((c->random >> 33) % below);
}

const char *corpus_word(struct corpus *c)
{
    uint32_t most = 1 + corpus_random(c, CORPUS_WORDS);
    return words[corpus_random(c, most)];
}

/* ------------------------------------------------------------------------------------------------------- documents */

static struct str stem_of(const char *folded)
{
    return analyzer_stem(NULL, str_of(folded));
}

static void make_document(struct corpus *c, struct corpus_document *d, uint64_t stamp)
{
    uint64_t length = 0;
    uint32_t at = 0;
    *d = (struct corpus_document){.stamp = stamp};
    for (uint32_t field = 0; field < CORPUS_FIELDS; field++) {
        size_t count = corpus_random(c, field == 0 ? 5 : CORPUS_MAX_TOKENS - 5);
        for (size_t i = 0; i < count; i++) {
            struct corpus_token *t = &d->tokens[d->token_count++];
            t->folded = corpus_word(c);
            struct str stem = stem_of(t->folded);
            snprintf(t->stem, sizeof t->stem, "%.*s", (int)stem.len, stem.ptr);
            t->field = field;
            t->at = at++;
            if (!analyzer_is_stop_word(NULL, str_of(t->folded)))
                length += corpus_weights[field];
        }
        at += 100;
    }
    d->length_code = length_encode(length);
}

/* ------------------------------------------------------------------------------------------------------- one segment
 */

/* A term and what it is in the documents of one segment, found by looking at every token: slow and obvious. */
struct key {
    char text[24];
};

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct key *)a)->text, ((const struct key *)b)->text);
}

static size_t collect_keys(const struct corpus *c, uint32_t segment, struct key *keys)
{
    size_t count = 0;
    for (size_t i = 0; i < c->document_count; i++) {
        const struct corpus_document *d = &c->documents[i];
        for (size_t k = 0; d->segment == segment && k < d->token_count; k++) {
            snprintf(keys[count++].text, sizeof keys->text, "s%s", d->tokens[k].stem);
            if (strcmp(d->tokens[k].stem, d->tokens[k].folded) != 0)
                snprintf(keys[count++].text, sizeof keys->text, "w%s", d->tokens[k].folded);
        }
    }
    qsort(keys, count, sizeof *keys, compare_keys);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || strcmp(keys[kept - 1].text, keys[i].text) != 0)
            keys[kept++] = keys[i];
    }
    return kept;
}

static void write_posting(struct segment_writer *w, const struct corpus_document *d, const char *key)
{
    uint32_t positions[CORPUS_MAX_TOKENS];
    size_t count = 0;
    uint32_t t = 0;
    bool has = false;
    for (size_t k = 0; k < d->token_count; k++) {
        const struct corpus_token *token = &d->tokens[k];
        if (key[0] == TERM_WORD) {
            has |= strcmp(token->folded, key + 1) == 0;
        } else if (strcmp(token->stem, key + 1) == 0) {
            positions[count++] = token->at;
            t += corpus_weights[token->field];
        }
    }
    if (has || count > 0)
        segment_writer_posting(w, d->number, has ? 1 : t, positions, count);
}

static void write_terms(struct corpus *c, struct segment_writer *w, uint32_t segment)
{
    struct key *keys = malloc(2 * c->document_count * CORPUS_MAX_TOKENS * sizeof *keys);
    assert_non_null(keys);
    size_t count = collect_keys(c, segment, keys);
    for (size_t i = 0; i < count; i++) {
        const char *key = keys[i].text;
        segment_writer_term(w, str_of(key));
        for (size_t k = 0; k < c->document_count; k++) {
            if (c->documents[k].segment == segment)
                write_posting(w, &c->documents[k], key);
        }
    }
    free(keys);
}

static size_t ranges_of(const struct corpus_document *d, struct field_range *out)
{
    size_t count = 0;
    for (size_t k = 0; k < d->token_count; k++) {
        const struct corpus_token *token = &d->tokens[k];
        if (count == 0 || out[count - 1].field != token->field)
            out[count++] = (struct field_range){token->field, token->at};
    }
    return count;
}

static uint32_t write_documents(struct corpus *c, struct segment_writer *w, uint32_t segment)
{
    uint32_t number = 0;
    for (size_t i = 0; i < c->document_count; i++) {
        struct corpus_document *d = &c->documents[i];
        struct field_range ranges[CORPUS_MAX_TOKENS];
        char id[32];
        if (d->segment != segment)
            continue;
        d->number = number++;
        snprintf(id, sizeof id, "%llu", (unsigned long long)d->stamp);
        struct segment_document written = {
            .stamp = d->stamp,
            .hash = hash64(str_of(id)),
            .id = str_of(id),
            .body = STR("{}"),
            .length_code = d->length_code,
            .ranges = ranges,
            .range_count = ranges_of(d, ranges),
        };
        segment_writer_document(w, &written);
    }
    return number;
}

static struct segment_result write_segment(struct corpus *c, uint32_t segment)
{
    char path[SNAPSHOT_PATH_MAX];
    struct segment_writer *w;
    struct segment_result result;
    struct segment_options options = {
        .id = segment + 1,
        .transaction = 1 << 20,
        .analyzer = STR("plain"),
        .pairs = {.memory = 1 << 20, .wanted = 1},
    };
    snapshot_segment_path(c->directory, segment + 1, path, sizeof path);
    assert_int_equal(segment_writer_open(path, &options, &w), 0);
    for (int field = 0; field < CORPUS_FIELDS; field++)
        assert_int_equal(segment_writer_field(w, str_of(corpus_fields[field])), field);
    uint32_t documents = write_documents(c, w, segment);
    write_terms(c, w, segment);
    assert_int_equal(segment_writer_finish(w, &result), 0);
    assert_int_equal(result.documents, documents);
    return result;
}

/* -------------------------------------------------------------------------------------------------------- all of them
 */

/* Deletions are marked as a worker would mark them: born deleted. */
static void commit_segment(struct corpus *c, struct core *core, uint32_t segment, const struct segment_result *result)
{
    struct deletion_chunk *chunk = core_chunk_new();
    assert_non_null(chunk);
    struct core_segment added = {
        .id = segment + 1,
        .documents = result->documents,
        .live_length = result->total_length,
        .bytes = result->bytes,
        .first_stamp = result->first_stamp,
        .last_stamp = result->last_stamp,
        .chunk_count = 1,
        .chunks = &chunk,
    };
    for (size_t i = 0; i < c->document_count; i++) {
        const struct corpus_document *d = &c->documents[i];
        if (d->segment != segment || !d->deleted)
            continue;
        chunk->bits[d->number / 64] |= UINT64_C(1) << (d->number % 64);
        chunk->count++;
        added.deleted++;
        added.live_length -= length_decoded[d->length_code];
    }
    struct core_change change = {.epoch = 1, .applied = {segment + 1, segment + 2}, .added = &added};
    uint64_t generation;
    assert_int_equal(core_begin(core), 0);
    assert_int_equal(core_commit(core, &change, &generation), 0);
    core_chunk_release(chunk);
}

void corpus_make(struct corpus *c, uint64_t seed, size_t documents, size_t segments, uint32_t deleted_one_in)
{
    *c = (struct corpus){.random = seed, .document_count = documents};
    snprintf(c->directory, sizeof c->directory, "/tmp/mayfly-corpus-XXXXXX");
    assert_non_null(mkdtemp(c->directory));
    c->documents = calloc(documents, sizeof *c->documents);
    assert_non_null(c->documents);
    for (size_t i = 0; i < documents; i++) {
        make_document(c, &c->documents[i], 1000 + 3 * i);
        c->documents[i].segment = i < segments ? (uint32_t)i : corpus_random(c, (uint32_t)segments);
        c->documents[i].deleted = deleted_one_in > 0 && corpus_random(c, deleted_one_in) == 0;
    }
    struct core *core;
    struct core_view *view;
    struct segment_fault failed;
    assert_int_equal(core_open_writer(c->directory, &core), 0);
    for (uint32_t i = 0; i < segments; i++) {
        struct segment_result result = write_segment(c, i);
        commit_segment(c, core, i, &result);
    }
    assert_int_equal(core_read(core, NULL, &view), 0);
    assert_int_equal(snapshot_open(c->directory, view, NULL, &c->snapshot, &failed), 0);
    core_close(core);
}

void corpus_remove(struct corpus *c)
{
    char path[SNAPSHOT_PATH_MAX];
    static const char *const files[] = {"core.mdb", "core.mdb-lock"};
    for (size_t i = 0; i < c->snapshot->segment_count; i++) {
        snapshot_segment_path(c->directory, c->snapshot->view->segments[i].id, path, sizeof path);
        assert_int_equal(unlink(path), 0);
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", c->directory, files[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(c->directory), 0);
    snapshot_release(c->snapshot);
    free(c->documents);
}
