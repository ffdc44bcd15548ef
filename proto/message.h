/* message.h - packing and unpacking protobuf envelopes, and the stable error codes. Casts of protobuf-c's `char *` fields
 * live in message.c. */
#ifndef PROTO_MESSAGE_H
#define PROTO_MESSAGE_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/str.h"
#include "proto/internal.pb-c.h"
#include "proto/mayfly.pb-c.h"

enum { PROTOCOL_VERSION = 1 };

/* The codes of Error.code and Refusal.code. Words are for ever; docs/PROTOCOL.md says what each means. */
#define CODE_BAD_FRAME "bad_frame"             /* connection closes */
#define CODE_BAD_VERSION "bad_version"         /* connection closes */
#define CODE_BAD_REQUEST "bad_request"         /* a message or parameter that makes no sense */
#define CODE_UNAUTHORIZED "unauthorized"
#define CODE_INDEX_NOT_FOUND "index_not_found"
#define CODE_INDEX_EXISTS "index_exists"
#define CODE_INVALID_INDEX_NAME "invalid_index_name"
#define CODE_INVALID_SETTINGS "invalid_settings"
#define CODE_SETTINGS_NEED_REINDEX "settings_need_reindex"
#define CODE_REPLACED "replaced"                 /* a later change of settings took it over */
#define CODE_DISK_FULL "disk_full"               /* it would take the disk's reserve */
#define CODE_BUDGET "budget"                     /* it would take more memory than the control group may have */
#define CODE_DOCUMENT_NOT_FOUND "document_not_found"
#define CODE_TASK_NOT_FOUND "task_not_found"
#define CODE_INVALID_ID "invalid_id"
#define CODE_DOCUMENT_TOO_LARGE "document_too_large"
#define CODE_INVALID_DOCUMENT "invalid_document"   /* not a JSON object, invalid UTF-8 ... */
#define CODE_ID_MISMATCH "id_mismatch"             /* the id beside the body is not the one in it */
#define CODE_QUARANTINED "quarantined"             /* the operation ended every worker that tried it */
#define CODE_TOO_MUCH_MEMORY "too_much_memory"     /* its analysis needs more than worker_memory */
#define CODE_LOST "lost"                           /* accepted, then damaged in the log before it was applied */
#define CODE_INVALID_FILTER "invalid_filter"       /* the sentence names the place, and what was expected there */
#define CODE_QUERY_TOO_LARGE "query_too_large"
#define CODE_DEADLINE "deadline"
#define CODE_BUSY "busy"                           /* a quota is full: try again later */
#define CODE_STOPPING "stopping"
#define CODE_UNAVAILABLE "unavailable"             /* a shard that is needed is not there */
#define CODE_INDEX_DAMAGED "index_damaged"
#define CODE_NOT_SUPPORTED "not_supported"
#define CODE_BACKUP_FAILED "backup_failed"
#define CODE_BACKUP_DAMAGED "backup_damaged" /* of data that was damaged before */
#define CODE_INTERNAL "internal"

/* Not refused, though it travels and is kept as refusals are: so many documents (the message) of a shard (the position) were
 * deleted by the filter of that task, in one commit. */
#define NOTICE_DELETED "deleted"

/* Several documents of one answer have at most so many bytes together; one alone may be larger. */
enum { ANSWER_MAX_DOCUMENTS = 16 << 20 };
#define ANSWER_TOO_LARGE \
    "the documents of this page exceed 16 MiB together; ask for fewer (a smaller limit) or for less of each (fields)"

/* NULL if malformed or past the arena's cap. Nothing of it is freed one by one. */
Mayfly__Envelope *message_unpack(struct arena *arena, struct str envelope);
Mayfly__Internal__ShardEnvelope *message_unpack_shard(struct arena *arena, struct str envelope);

/* Any other message by its descriptor; the caller casts. */
ProtobufCMessage *message_unpack_any(struct arena *arena, const ProtobufCMessageDescriptor *type, struct str bytes);

/* So many messages of a type, initialised, as a repeated field wants them: an array of pointers. NULL past the arena's cap. */
void *message_list(struct arena *arena, const ProtobufCMessageDescriptor *type, size_t count);

/* A column of strings, which stand in `bytes` one behind the other, and nothing behind them. ERR_CORRUPT: they do not; ERR_FULL. */
int message_cut(struct arena *arena, ProtobufCBinaryData bytes, const uint32_t *lengths, size_t count, struct str **out);

/* Appends a whole frame (header, envelope, body) to `out`; the sticky error of `out` tells of failure. */
void message_frame(struct buf *out, const ProtobufCMessage *envelope, struct str body);

/* Appends the header and envelope of a frame whose body of `body_length` bytes the caller appends or sends itself. */
void message_frame_open(struct buf *out, const ProtobufCMessage *envelope, size_t body_length);

/* A field's string as a view and back. protobuf-c wants `char *`: the result must not be written to. */
struct str message_bytes(ProtobufCBinaryData data);
ProtobufCBinaryData message_data(struct str s);
char *message_string(const char *s);

/* Invalid UTF-8 in what a sentence quotes becomes '?': other languages' protobuf refuses strings that are not UTF-8. */
void message_make_valid(char *text);

#endif
