#include "shard/reply.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/err.h"
#include "index/query.h"
#include "proto/frame.h"

void reply_init(struct reply *r, struct arena *arena, uint64_t request)
{
    *r = (struct reply){.arena = arena, .envelope = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT};
    r->envelope.request = request;
}

void reply_finish(struct reply *r)
{
    snapshot_release(r->snapshot);
    r->snapshot = NULL;
}

void reply_keep(struct reply *r, struct snapshot *s, const Mayfly__Internal__Place *place)
{
    r->place = place;
    snapshot_release(r->snapshot);
    r->snapshot = s;
}

void reply_prepared(struct reply *r, Mayfly__Internal__Prepared *m)
{
    r->envelope.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_PREPARED;
    r->envelope.prepared = m;
}

void reply_guessed(struct reply *r, Mayfly__Internal__Guessed *m)
{
    r->envelope.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_GUESSED;
    r->envelope.guessed = m;
}

void reply_executed(struct reply *r, Mayfly__Internal__Executed *m)
{
    r->envelope.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_EXECUTED;
    r->envelope.executed = m;
}

void reply_fetched(struct reply *r, Mayfly__Internal__Fetched *m)
{
    r->envelope.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FETCHED;
    r->envelope.fetched = m;
}

void reply_trimmed(struct reply *r, Mayfly__Internal__Trimmed *m)
{
    r->envelope.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_TRIMMED;
    r->envelope.trimmed = m;
}

void reply_filter_checked(struct reply *r)
{
    Mayfly__Internal__FilterChecked *m = arena_new(r->arena, Mayfly__Internal__FilterChecked);
    if (!m) {
        reply_fail_query(r, ERR_FULL);
        return;
    }
    mayfly__internal__filter_checked__init(m);
    r->envelope.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FILTER_CHECKED;
    r->envelope.filter_checked = m;
}

void reply_moved(struct reply *r)
{
    Mayfly__Internal__Moved *m = arena_new(r->arena, Mayfly__Internal__Moved);
    if (!m) {
        reply_fail_query(r, ERR_FULL);
        return;
    }
    mayfly__internal__moved__init(m);
    r->envelope.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_MOVED;
    r->envelope.moved = m;
}

void reply_settings_wanted(struct reply *r)
{
    Mayfly__Internal__SettingsWanted *m = arena_new(r->arena, Mayfly__Internal__SettingsWanted);
    if (!m) {
        reply_fail_query(r, ERR_FULL);
        return;
    }
    mayfly__internal__settings_wanted__init(m);
    r->envelope.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_SETTINGS_WANTED;
    r->envelope.settings_wanted = m;
}

/* ------------------------------------------------------------------------------------------------------------ failures
 */

enum { MAX_MESSAGE = 1024 };

/* Starts again with an empty arena: whatever the request made is not wanted any more, and may have filled it. Formatted
 * before that, since the arguments may lie in it. */
void reply_fail(struct reply *r, const char *code, const char *format, ...)
{
    char text[MAX_MESSAGE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);

    struct snapshot *kept = r->snapshot;
    arena_rewind(r->arena, 0);
    reply_init(r, r->arena, r->envelope.request);
    r->snapshot = kept;
    Mayfly__Internal__Failed *m = arena_new(r->arena, Mayfly__Internal__Failed);
    struct str message = arena_copy(r->arena, str_of(text));
    if (!m || !message.ptr)
        return;
    mayfly__internal__failed__init(m);
    m->code = message_string(code);
    m->message = message_string(message.ptr);
    r->envelope.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FAILED;
    r->envelope.failed = m;
}

void reply_fail_query(struct reply *r, int err)
{
    if (err == ERR_FULL)
        reply_fail(r, CODE_QUERY_TOO_LARGE, "the query needs more than the %zu MiB that one query may use",
                   r->arena->cap >> 20);
    else if (err == ERR_TOO_LARGE)
        reply_fail(r, CODE_QUERY_TOO_LARGE, "a query has at most %d words", QUERY_MAX_WORDS);
    else
        reply_fail(r, CODE_INTERNAL, "the query failed: %s", err_str(err));
}

/* ----------------------------------------------------------------------------------------------------------- documents
 */

int reply_add_document(struct reply *r, struct str document)
{
    if (r->document_bytes > 0 && r->document_bytes + document.len > ANSWER_MAX_DOCUMENTS)
        return ERR_TOO_LARGE;
    if (r->document_count == r->document_room) {
        size_t room = r->document_room ? 2 * r->document_room : 32;
        size_t size = sizeof *r->documents;
        struct str *documents = arena_grow(r->arena, r->documents, r->document_room * size, room * size);
        if (!documents)
            return ERR_FULL;
        r->documents = documents;
        r->document_room = room;
    }
    r->documents[r->document_count++] = document;
    r->document_bytes += document.len;
    return 0;
}

/* ----------------------------------------------------------------------------------------------------------- the frame
 */

static void *unconst(const char *bytes)
{
    return message_string(bytes);
}

struct iovec *reply_frame(struct reply *r, size_t *out_count)
{
    size_t envelope = protobuf_c_message_get_packed_size(&r->envelope.base);
    uint8_t *head = arena_alloc(r->arena, FRAME_HEADER + envelope);
    struct iovec *pieces = arena_new_array(r->arena, 1 + r->document_count, struct iovec);
    if (!head || !pieces)
        return NULL;
    frame_header(head, envelope, r->document_bytes);
    protobuf_c_message_pack(&r->envelope.base, head + FRAME_HEADER);
    pieces[0] = (struct iovec){head, FRAME_HEADER + envelope};
    for (size_t i = 0; i < r->document_count; i++)
        pieces[1 + i] = (struct iovec){unconst(r->documents[i].ptr), r->documents[i].len};
    *out_count = 1 + r->document_count;
    return pieces;
}
