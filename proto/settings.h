/* settings.h - an index's settings: one JSON object, kept complete in the catalog, carried by jobs and queries.
 *
 *   { "fields":      { "title": { "type": "text", "weight": 2 }, ... },   weights 1 to 100
 *     "searchable":  [ "title", "body" ],     empty: every string of a document but its primary key
 *     "filterable":  [ ... ], "sortable": [ ... ],
 *     "language":    "en",                    or "none"; Snowball stemmer and word breaks
 *     "stop_words":  null or [ "the", ... ],  null: the language's own
 *     "synonyms":    { ... }, "displayed": [ ... ], "distinct": null }
 *
 * A field's name is its path in the document, "author.name"; elements of arrays have the path of the array. */
#ifndef PROTO_SETTINGS_H
#define PROTO_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/str.h"

enum { SETTINGS_MAX_WEIGHT = 100 };

struct field_setting {
    struct str name;
    uint32_t weight; /* 1 unless set */
};

struct settings {
    struct field_setting *fields; /* those with a weight other than 1 */
    size_t field_count;
    struct str *searchable; /* none: all */
    size_t searchable_count;
    struct str language; /* "en" */
    bool own_stop_words; /* the list below replaces the language's */
    struct str *stop_words;
    size_t stop_word_count;
    struct str *displayed;
    size_t displayed_count;
};

/* A setting that does what it says nowhere yet is not accepted: it is named in the error. */
struct settings_error {
    char field[128];
    char message[256];
};

/* The defaults, complete. */
void settings_default(struct buf *out_json);

/* `current` (complete) with the members of `change`; null resets. ERR_INVALID fills `error`. *out_reanalyze is whether
 * documents that are indexed already have to be analyzed again. */
int settings_merge(struct arena *arena, struct str current, struct str change, struct buf *out_json,
                   bool *out_reanalyze, struct settings_error *error);

/* Of two complete ones: whether documents are analyzed the same under both. */
int settings_compare(struct arena *arena, struct str a, struct str b, bool *out_same);

/* Of a change that settings_merge took: whether all that it names acts at once, whatever there was before. */
int settings_act_at_once(struct arena *arena, struct str change, bool *out);

/* Complete JSON to a struct whose views point into the arena. */
int settings_decode(struct arena *arena, struct str json, struct settings *out);

uint32_t settings_weight(const struct settings *s, struct str field);
bool settings_is_searchable(const struct settings *s, struct str field);

extern const char *const settings_languages[]; /* "none" and ISO 639-1 codes; ends with NULL */
bool settings_knows_language(struct str code);

#endif
