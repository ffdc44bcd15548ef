#include "proto/peek.h"

#include <stddef.h>

#include "common/bytes.h"

/* Protobuf's wire types that ShardEnvelope can have, and the field of its `request`. */
enum { WIRE_VARINT = 0, WIRE_BYTES = 2, FIELD_REQUEST = 1 };

bool peek_envelope(struct str bytes, uint64_t *out_request, uint32_t *out_message)
{
    const uint8_t *at = (const uint8_t *)bytes.ptr, *end = at + bytes.len;
    uint64_t request = 0, message = 0;
    while (at < end) {
        uint64_t tag, value;
        at = varint_get(at, end, &tag);
        if (at)
            at = varint_get(at, end, &value);
        if (!at)
            return false;
        uint64_t wire = tag & 7, field = tag >> 3;
        if (field == 0 || field > UINT32_MAX || (wire != WIRE_VARINT && wire != WIRE_BYTES))
            return false;
        if (wire == WIRE_VARINT && field == FIELD_REQUEST)
            request = value;
        if (wire == WIRE_VARINT)
            continue;
        if (value > (uint64_t)(end - at))
            return false;
        at += value;
        message = field;
    }
    *out_request = request;
    *out_message = (uint32_t)message;
    return true;
}
