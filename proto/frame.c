#include "proto/frame.h"

#include <string.h>

#include "common/bytes.h"
#include "common/err.h"

enum stage { STAGE_HEADER, STAGE_ENVELOPE, STAGE_BODY, STAGE_BAD };

void frame_header(uint8_t to[FRAME_HEADER], size_t envelope, size_t body)
{
    store_u32(to, (uint32_t)(4 + envelope + body));
    store_u32(to + 4, (uint32_t)envelope);
}

static struct str take(struct str *input, size_t size)
{
    struct str front = {.ptr = input->ptr, .len = size < input->len ? size : input->len};
    input->ptr += front.len;
    input->len -= front.len;
    return front;
}

static enum frame_event bad(struct frame_reader *r, int err)
{
    r->stage = STAGE_BAD;
    r->err = err;
    return FRAME_BAD;
}

/* Both lengths are checked before anything is kept for them. */
static int check_header(struct frame_reader *r)
{
    size_t total = load_u32(r->header), envelope = load_u32(r->header + 4);
    if (total < 4 || envelope == 0 || envelope > total - 4)
        return ERR_CORRUPT;
    if (envelope > (r->max_envelope ? r->max_envelope : (size_t)FRAME_MAX_ENVELOPE) ||
        total > (r->max_total ? r->max_total : (size_t)FRAME_MAX_TOTAL))
        return ERR_TOO_LARGE;
    r->envelope = envelope;
    r->body_left = total - 4 - envelope;
    return 0;
}

static enum frame_event read_header(struct frame_reader *r, struct str *input)
{
    struct str part = take(input, FRAME_HEADER - r->have);
    memcpy(r->header + r->have, part.ptr, part.len);
    r->have += part.len;
    if (r->have < FRAME_HEADER)
        return FRAME_MORE;
    int err = check_header(r);
    if (err)
        return bad(r, err);
    r->stage = STAGE_ENVELOPE;
    return FRAME_ENVELOPE; /* not yet: frame_next goes on */
}

static enum frame_event whole_envelope(struct frame_reader *r, struct str envelope, struct str *piece)
{
    *piece = envelope;
    r->have = 0;
    r->stage = r->body_left ? STAGE_BODY : STAGE_HEADER;
    return FRAME_ENVELOPE;
}

static enum frame_event read_envelope(struct frame_reader *r, struct str *input, struct str *piece)
{
    if (r->partial.len == 0 && input->len >= r->envelope)
        return whole_envelope(r, take(input, r->envelope), piece);
    if (r->partial.len < r->envelope)
        buf_append_str(&r->partial, take(input, r->envelope - r->partial.len));
    if (r->partial.err)
        return bad(r, r->partial.err);
    if (r->partial.len < r->envelope)
        return FRAME_MORE;
    struct str envelope = {.ptr = r->partial.data, .len = r->envelope};
    r->partial.len = 0; /* the bytes stay until the next call, which may overwrite or free them */
    return whole_envelope(r, envelope, piece);
}

static enum frame_event read_body(struct frame_reader *r, struct str *input, struct str *piece)
{
    if (input->len == 0)
        return FRAME_MORE;
    *piece = take(input, r->body_left);
    r->body_left -= piece->len;
    if (r->body_left == 0)
        r->stage = STAGE_HEADER;
    return FRAME_BODY;
}

enum frame_event frame_next(struct frame_reader *r, struct str *input, struct str *piece)
{
    if (r->stage == STAGE_BAD)
        return FRAME_BAD;
    if (r->stage == STAGE_BODY)
        return read_body(r, input, piece);
    if (r->stage == STAGE_HEADER) {
        buf_shrink(&r->partial, 0);
        if (input->len == 0)
            return FRAME_MORE;
        enum frame_event event = read_header(r, input);
        if (event != FRAME_ENVELOPE)
            return event;
    }
    if (input->len == 0)
        return FRAME_MORE;
    return read_envelope(r, input, piece);
}

bool frame_unfinished(const struct frame_reader *r, struct buf *out)
{
    if (r->stage == STAGE_HEADER)
        buf_append_str(out, (struct str){(const char *)r->header, r->have});
    if (r->stage == STAGE_ENVELOPE) {
        buf_append_str(out, (struct str){(const char *)r->header, FRAME_HEADER});
        buf_append_str(out, (struct str){r->partial.data, r->partial.len});
    }
    return r->stage == STAGE_HEADER || r->stage == STAGE_ENVELOPE;
}

void frame_reader_finish(struct frame_reader *r)
{
    buf_finish(&r->partial);
    *r = (struct frame_reader){0};
}
