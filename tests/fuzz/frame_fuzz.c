/* Frames of any bytes read the same in whatever pieces they come. */
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

/* A digest of what comes out, so that ways of cutting the input can be compared. */
struct seen {
    uint64_t envelopes, bytes, hash;
    int err;
};

static void see(struct seen *s, enum frame_event event, struct str piece)
{
    s->envelopes += event == FRAME_ENVELOPE;
    s->bytes += piece.len;
    for (size_t i = 0; i < piece.len; i++)
        s->hash = s->hash * 31 + (unsigned char)piece.ptr[i] + (event == FRAME_ENVELOPE ? 7 : 0);
}

static struct seen feed(const uint8_t *data, size_t size, size_t step)
{
    struct seen seen = {0};
    struct frame_reader r = {.max_total = 1 << 16, .max_envelope = 1 << 12};
    for (size_t at = 0; at < size && !seen.err; at += step) {
        /* A block of its own: reading past it is found. */
        size_t length = size - at < step ? size - at : step;
        char *block = malloc(length);
        require(block);
        memcpy(block, data + at, length);
        struct str input = {.ptr = block, .len = length}, piece;
        enum frame_event event;
        while ((event = frame_next(&r, &input, &piece)) != FRAME_MORE && event != FRAME_BAD)
            see(&seen, event, piece);
        require(event == FRAME_BAD || input.len == 0);
        seen.err = event == FRAME_BAD ? r.err : 0;
        require(event != FRAME_BAD || r.err < 0);
        free(block);
    }
    frame_reader_finish(&r);
    return seen;
}

static int frame_fuzz(const uint8_t *data, size_t size)
{
    struct seen whole = feed(data, size, size ? size : 1);
    static const size_t steps[] = {1, 3, 7, 64};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct seen cut = feed(data, size, steps[i]);
        require(cut.err == whole.err && cut.envelopes == whole.envelopes && cut.bytes == whole.bytes &&
                cut.hash == whole.hash);
    }
    return 0;
}

static void seeds(fuzz_run *take)
{
    uint8_t data[1024];
    size_t at = 0;
    for (size_t i = 1; i < 6; i++) {
        frame_header(data + at, i * 9, i * 20);
        memset(data + at + FRAME_HEADER, (int)i, i * 29);
        at += FRAME_HEADER + i * 29;
    }
    take(data, at);
}

const struct fuzz_target fuzz_target = {
    .most = 4096, .rounds = 1500, .mutations = 200, .run = frame_fuzz, .seeds = seeds};
