/* invert.h - a document's texts to postings of its words. */
#ifndef WORKER_INVERT_H
#define WORKER_INVERT_H

#include "index/segment_writer.h"
#include "worker/document.h"
#include "worker/terms.h"

enum { INVERT_GAP = 100, INVERT_BATCH = 128, INVERT_TEXT = 8 << 10, INVERT_SHORT = 16 };

/* A word on its way: handled in batches, so that the memory that each needs is asked for before the first is used. */
struct token {
    uint64_t hash;
    struct term_record *record;
    uint32_t at, field;
    uint16_t offset, length; /* in `text` */
};

struct inverter {
    struct terms terms;
    const struct fields *fields;
    uint32_t document;
    uint32_t base; /* position of the first word of the value in hand */
    uint32_t next; /* position after the last word */
    uint32_t field;
    struct field_range *ranges; /* of the document in hand: by fields' numbers in `fields`; by malloc */
    size_t range_count, range_room;
    uint64_t length; /* sum over fields of weight * words that are no stop words */
    size_t count, used;
    struct token tokens[INVERT_BATCH];
    char text[INVERT_TEXT + INVERT_SHORT + TERM_SLACK];
};

void inverter_init(struct inverter *v, struct analyzer *analyzer, const struct fields *fields);

/* The document's weighted length, and where which field lies in v->ranges. `document` is its number in the segment. */
uint64_t invert_document(struct inverter *v, uint32_t document, const struct value *values, size_t count);

#endif
