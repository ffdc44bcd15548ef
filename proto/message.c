#include "proto/message.h"

#include <errno.h>

#include "common/err.h"
#include "common/utf8.h"
#include "proto/frame.h"

static void *allocate(void *context, size_t size)
{
    return arena_alloc(context, size);
}

static void release(void *context, void *block)
{
    (void)context, (void)block; /* goes with the arena */
}

ProtobufCMessage *message_unpack_any(struct arena *arena, const ProtobufCMessageDescriptor *type, struct str bytes)
{
    ProtobufCAllocator allocator = {.alloc = allocate, .free = release, .allocator_data = arena};
    return protobuf_c_message_unpack(type, &allocator, bytes.len, (const uint8_t *)bytes.ptr);
}

Mayfly__Envelope *message_unpack(struct arena *arena, struct str envelope)
{
    return (Mayfly__Envelope *)message_unpack_any(arena, &mayfly__envelope__descriptor, envelope);
}

Mayfly__Internal__ShardEnvelope *message_unpack_shard(struct arena *arena, struct str envelope)
{
    return (Mayfly__Internal__ShardEnvelope *)message_unpack_any(arena, &mayfly__internal__shard_envelope__descriptor,
                                                                 envelope);
}

void *message_list(struct arena *arena, const ProtobufCMessageDescriptor *type, size_t count)
{
    void **list = arena_new_array(arena, count, void *);
    char *messages = arena_array(arena, count, type->sizeof_message);
    if (!list || !messages)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        list[i] = messages + i * type->sizeof_message;
        protobuf_c_message_init(type, list[i]);
    }
    return list;
}

int message_cut(struct arena *arena, ProtobufCBinaryData bytes, const uint32_t *lengths, size_t count, struct str **out)
{
    struct str rest = message_bytes(bytes), *list = arena_new_array(arena, count, struct str);
    if (!list)
        return ERR_FULL;
    for (size_t i = 0; i < count; i++) {
        if (lengths[i] > rest.len)
            return ERR_CORRUPT;
        list[i] = (struct str){rest.ptr, lengths[i]};
        rest = (struct str){rest.ptr + lengths[i], rest.len - lengths[i]};
    }
    if (rest.len)
        return ERR_CORRUPT;
    *out = list;
    return 0;
}

void message_frame_open(struct buf *out, const ProtobufCMessage *envelope, size_t body_length)
{
    size_t size = protobuf_c_message_get_packed_size(envelope);
    uint8_t *at =
        size > UINT32_MAX - 4 || body_length > UINT32_MAX - 4 - size ? NULL : buf_extend(out, FRAME_HEADER + size);
    if (!at) {
        out->err = out->err ? out->err : -EMSGSIZE;
        return;
    }
    frame_header(at, size, body_length);
    protobuf_c_message_pack(envelope, at + FRAME_HEADER);
}

void message_frame(struct buf *out, const ProtobufCMessage *envelope, struct str body)
{
    message_frame_open(out, envelope, body.len);
    buf_append_str(out, body);
}

struct str message_bytes(ProtobufCBinaryData data)
{
    return (struct str){.ptr = (const char *)data.data, .len = data.len};
}

/* protobuf-c has one type for what it reads and what it writes; packing does not write. */
ProtobufCBinaryData message_data(struct str s)
{
    union {
        const char *from;
        uint8_t *to;
    } bytes = {.from = s.ptr};
    return (ProtobufCBinaryData){.len = s.len, .data = bytes.to};
}

char *message_string(const char *s)
{
    union {
        const char *from;
        char *to;
    } string = {.from = s};
    return string.to;
}

void message_make_valid(char *text)
{
    struct str rest = str_of(text);
    while (rest.len) {
        size_t length = utf8_sequence(rest);
        if (length == 0) {
            text[rest.ptr - text] = '?';
            length = 1;
        }
        rest.ptr += length;
        rest.len -= length;
    }
}
