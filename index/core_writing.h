/* core_writing.h - a change of core.mdb while it is being written: what its steps share.  Used by core_commit.c and
 * core_marks.c only. */
#ifndef INDEX_CORE_WRITING_H
#define INDEX_CORE_WRITING_H

#include "common/str.h"
#include "index/core.h"
#include "index/core_file.h"
#include "index/core_keys.h"

struct writing {
    struct core_file *file;
    const struct core_change *change;
    struct core_meta meta; /* of the generation that is being made */
    char value[CORE_VALUE_MAX];
};

int writing_get(struct writing *w, const struct core_key *key, struct str *out);
void writing_put(struct writing *w, struct str key, struct str value);

/* As its value says, without recent marks; the image is empty where it has a file. */
int writing_read_segment(struct writing *w, uint64_t id, struct core_segment *out, struct str *out_image);
void writing_put_segment(struct writing *w, const struct core_segment *s, struct str image);
void writing_put_chunk(struct writing *w, uint64_t segment, uint32_t i, const struct deletion_chunk *chunk);

/* A step: the change's marks. */
int writing_mark_documents(struct writing *w);

#endif
