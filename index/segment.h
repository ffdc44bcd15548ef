/* segment.h - an immutable segment, a mapped file or an image of core.mdb, and how it is read.  Runs in: shard, worker (merges, looking up ids).
 *
 * Everything is checked when it is first touched: a cursor that meets damage stops and says so in `err`, which names no
 * file; the caller does, and the section by segment_damaged. Views are valid while the segment is open. */
#ifndef INDEX_SEGMENT_H
#define INDEX_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/str.h"
#include "index/dictionary.h"
#include "index/segment_writer.h"

struct image;
struct kernels;
struct segment;

/* Where damage was found. */
struct segment_fault {
    uint64_t segment;    /* 0: in none */
    const char *section; /* in words; NULL: the file could not even be opened */
    bool in_core;        /* it has no file, but an image */
};

/* "seg-7.mdb, postings", "core.mdb, image of segment 7, postings". */
enum { FAULT_TEXT = 96 };
void segment_fault_text(const struct segment_fault *fault, char out[FAULT_TEXT]);

/* ERR_VERSION for another format, ERR_CORRUPT, or an errno. Memory by malloc. */
int segment_open(const char *path, struct segment **out);

/* The same; on failure *out_section as in a segment_fault. */
int segment_open_named(const char *path, struct segment **out, const char **out_section);
int segment_open_image(struct image *image, struct segment **out, const char **out_section); /* takes a reference */

/* For who looks up a few ids in a file that may be large: stamps, length codes and the block index are not checked now.
 * Those of a document are by segment_check_document, before they are looked at; words are not to be looked up. */
int segment_open_for_ids(const char *path, struct segment **out, const char **out_section);
int segment_check_document(const struct segment *s, uint32_t document);

/* Looks at every byte of a segment file; on failure *out_section as in a segment_fault. */
int segment_verify(const char *path, const char **out_section);
int segment_verify_image(struct image *image, const char **out_section);

/* The section whose checksum was found wrong last, in words; `otherwise` if none was. */
const char *segment_damaged(const struct segment *s, const char *otherwise);

void segment_close(struct segment *s); /* accepts NULL */

uint64_t segment_id(const struct segment *s);
uint32_t segment_documents(const struct segment *s);
uint64_t segment_bytes(const struct segment *s);
struct image *segment_image(const struct segment *s); /* NULL: it is a file */
size_t segment_heap(const struct segment *s); /* bytes of malloc, without the image */
void segment_trim(const struct segment *s);   /* as snapshot_trim */
struct str segment_analyzer(const struct segment *s);

/* Those that its lists are read with: chosen when it was opened. */
const struct kernels *segment_kernels(const struct segment *s);

/* Of every document, by number: `segment_documents` elements. */
const uint64_t *segment_stamps(const struct segment *s);
const uint8_t *segment_length_codes(const struct segment *s);

uint32_t segment_fields(const struct segment *s);
struct str segment_field_name(const struct segment *s, uint32_t field);
int64_t segment_field_find(const struct segment *s, struct str name); /* -1 if none */

int segment_document_id(const struct segment *s, uint32_t document, struct str *out, uint64_t *out_hash);

/* Ahead of the ids of some documents that lie here and there: what says where they are, of all of them, then they
 * themselves, so that the memory brings them together, where each would be waited for. */
void segment_ask_for_id_place(const struct segment *s, uint32_t document);
void segment_ask_for_id(const struct segment *s, uint32_t document);

int segment_id_hash(const struct segment *s, uint32_t at, uint64_t *out); /* the at-th of all ids' hashes, rising */
int segment_document_body(const struct segment *s, uint32_t document, struct arena *arena, struct str *out);

/* Documents with that id: several where versions of one batch stand together. The number of the first at or above
 * *from, which is set past it; false when there is none. ERR_* in *err. */
bool segment_find_id(const struct segment *s, uint64_t hash, struct str id, uint32_t *from, uint32_t *out_document,
                     int *err);

struct list_view { /* where a list is: checked when it is opened */
    uint64_t place;
    uint32_t length;
};

struct term {
    struct str key;     /* kind and text */
    uint32_t documents; /* postings, deleted ones included */
    struct list_view postings, positions;
    struct str inlined; /* the list, in the mapping, in place of the two; empty: none */
};

bool segment_find_term(const struct segment *s, struct str key, struct term *out, int *err);

/* All terms at or after a key, in order. `key` of a term is valid until the next call. */
struct term_cursor {
    const struct segment *segment;
    struct dictionary_block open; /* the current one */
    uint32_t block;               /* after the current one */
    size_t key_length;
    char key[DICTIONARY_KEY];
    struct term pending; /* found by seek, given by next */
    bool has_pending;
    int err;
};
void term_cursor_seek(struct term_cursor *c, const struct segment *s, struct str from);
bool term_cursor_next(struct term_cursor *c, struct term *out);

/* Where the fields lie in a document, as far as it was gone through. A copy goes on from there on its own. Good as long
 * as the segment is open. */
struct field_ranges {
    const uint8_t *at, *end;
    uint32_t from, field; /* of the range before `at`; before the first: 0, UINT32_MAX */
};
int segment_field_ranges(const struct segment *s, uint32_t document, struct field_ranges *out);

/* The field of a position, not below the one that was asked for before; UINT32_MAX if none is known. */
uint32_t field_ranges_find(struct field_ranges *r, uint32_t position);

/* One after the other; false at the end. */
bool field_ranges_next(struct field_ranges *r, struct field_range *range);

#endif
