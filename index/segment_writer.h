/* segment_writer.h - one new immutable segment, written in bounded memory: a file, or an image.  Runs in: worker.
 *
 * Order of calls: open; every document by rising stamp; every term by rising key, each with its postings by rising
 * document number; finish. A failure is sticky: later calls do nothing and finish reports it. A file is durable when
 * finish returns 0, and invisible until core.mdb names it; an image is durable when core.mdb has it. */
#ifndef INDEX_SEGMENT_WRITER_H
#define INDEX_SEGMENT_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/str.h"

struct image;
struct segment_writer;

/* Lists of pairs are made when all terms are written, of large segments. */
struct pairs_options {
    size_t memory;   /* that it may take; 0: none are made */
    uint32_t wanted; /* segments of so many documents get them; 0: of PAIRS_DOCUMENTS (pairs_out.h) */
};

struct segment_options {
    uint64_t id;
    size_t transaction; /* bytes written before a commit */
    struct str analyzer; /* analyzer_identity */
    size_t image; /* above 0: one of at most so many bytes is to be an image, and has no pairs */
    struct pairs_options pairs; /* whether it gets lists of word pairs (pairs.h) */
};

/* `path`, of the file, must not exist (O_EXCL). Memory comes from malloc, in a worker its arena. */
int segment_writer_open(const char *path, const struct segment_options *options, struct segment_writer **out);

/* The segment's own number of a searchable field; the same name gives the same number. ERR_FULL past 65,535. */
int segment_writer_field(struct segment_writer *w, struct str name);

/* Positions from here to the next range are the field's. */
struct field_range {
    uint32_t field; /* segment_writer_field */
    uint32_t from;
};

struct segment_document {
    uint64_t stamp;
    uint64_t hash; /* of the id */
    struct str id;
    struct str body;    /* stored as it is */
    bool body_is_written; /* its bytes have come: of `body` only the length is looked at */
    uint8_t length_code; /* index/score.h */
    const struct field_range *ranges; /* by rising `from` */
    size_t range_count;
};

/* Bodies of the documents that come next, all of them before the first, one after the other: as they are, or blocks as
 * another segment has them (index/bodies.h), `length` bytes unpacked. */
void segment_writer_bodies(struct segment_writer *w, struct str bytes);
void segment_writer_body_block(struct segment_writer *w, struct str packed, uint32_t length);

/* Its number is the count of documents before it. */
void segment_writer_document(struct segment_writer *w, const struct segment_document *d);

/* Dictionary keys: one byte of kind, then the text.
 *   's' stem       every occurrence, with T and positions: what words score by
 *   'w' word       a folded word that differs from its stem: documents only, T = 1, no positions; for prefixes and typos
 * Whether a stem is also a word is not kept: it would depend on documents that are deleted and not yet gone. */
enum term_kind { TERM_STEM = 's', TERM_WORD = 'w' };

void segment_writer_term(struct segment_writer *w, struct str key);

/* `t` = sum over fields of weight * occurrences, 1 to INT32_MAX. `positions`, words from the beginning of the document with a
 * gap of 100 between values, rise; there is at least one, and none for 'w' terms. */
void segment_writer_posting(struct segment_writer *w, uint32_t document, uint32_t t, const uint32_t *positions,
                            size_t count);

/* The same of postings that follow each other: n positions of each, of which the first comes as it is, and of the others
 * what each is above the one before, less 1 (format.h). 'w' terms have documents alone, the rest is NULL. */
struct posting_run {
    const uint32_t *documents, *t, *n;
    const uint32_t *gaps; /* of all of them, one after the other */
    size_t count;
};

void segment_writer_postings(struct segment_writer *w, const struct posting_run *run);

struct segment_result {
    uint32_t documents;
    uint64_t total_length; /* sum of decoded length codes */
    uint64_t bytes;        /* of the file, or of the image */
    uint64_t first_stamp, last_stamp;
    struct image *image; /* NULL: it is a file. The caller's reference */
};

int segment_writer_error(const struct segment_writer *w); /* the first failure so far, or 0 */

/* Closes and frees; 0 or the first failure, then the file is unlinked. */
int segment_writer_finish(struct segment_writer *w, struct segment_result *out);
void segment_writer_abandon(struct segment_writer *w);

#endif
