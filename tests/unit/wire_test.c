/* Regions, batches, frames, selection: what crosses a process boundary. */
#include "proto/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
// cmocka wants the four above first
#include <cmocka.h>

#include "common/crc.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/hash.h"
#include "common/region.h"
#include "proto/batch.h"
#include "proto/message.h"
#include "proto/select.h"
#include "proto/weight.h"

static void checksums_agree_with_the_standard_and_each_other(void **state)
{
    (void)state;
    assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283);
    assert_int_equal(crc32c_portable(0, "123456789", 9), 0xE3069283);
    char bytes[20000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 31 + i / 7);
    for (size_t n = 0; n < sizeof bytes; n += 131)
        assert_int_equal(crc32c(crc32c(0, bytes, n), bytes + n, sizeof bytes - n),
                         crc32c_portable(0, bytes, sizeof bytes));
}

static void a_sealed_region_cannot_be_changed(void **state)
{
    (void)state;
    struct region r, reader = REGION_NONE;
    assert_int_equal(region_open(&r, "test", 1 << 20), 0);
    memcpy(r.base, "hello", 5);
    r.used = 5;
    int spy = dup(r.fd);
    assert_int_equal(region_map_sealed(&reader, r.fd, 5), ERR_CORRUPT); /* somebody can still write */
    assert_int_equal(region_seal(&r), 0);
    assert_int_equal(region_map_sealed(&reader, fcntl(r.fd, F_DUPFD_CLOEXEC, 0), 5), 0);
    assert_int_equal(reader.used, 5);
    assert_memory_equal(reader.base, "hello", 5);
    assert_true(write(spy, "x", 1) < 0);
    assert_true(ftruncate(spy, 0) < 0);
    assert_true(fallocate(spy, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 5) < 0);
    assert_ptr_equal(mmap(NULL, 5, PROT_WRITE, MAP_SHARED, spy, 0), MAP_FAILED);
    struct region other = REGION_NONE;
    assert_int_equal(region_map_sealed(&other, spy, 6), ERR_CORRUPT); /* shorter than promised */
    close(spy);
    region_close(&reader);
    region_close(&r);
}

static void descriptors_travel_and_lost_ones_are_said(void **state)
{
    (void)state;
    int pair[2], pipes[2], got[2];
    assert_int_equal(fd_socketpair(SOCK_SEQPACKET, pair), 0);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    char text[8];
    size_t count = 2;
    assert_int_equal(fd_send(pair[0], "ab", 2, pipes, 2), 0);
    assert_int_equal(fd_receive(pair[1], text, sizeof text, got, &count, 0), 2);
    assert_int_equal(count, 2);
    close(got[0]);
    close(got[1]);
    assert_int_equal(fd_send(pair[0], "ab", 2, pipes, 2), 0);
    count = 1;
    assert_int_equal(fd_receive(pair[1], text, sizeof text, got, &count, 0), ERR_CORRUPT);
    assert_int_equal(count, 0);
    close(pair[0]);
    assert_int_equal(fd_receive(pair[1], text, sizeof text, got, &count, 0), 0);
    close(pair[1]);
    close(pipes[0]);
    close(pipes[1]);
}

static size_t write_batch(char *region, size_t room)
{
    size_t used = BATCH_HEADER;
    for (uint64_t i = 0; i < 10; i++) {
        char id[16];
        int length = snprintf(id, sizeof id, "id-%u", (unsigned)(i * i));
        struct operation o = {.kind = i % 3 ? OPERATION_PUT : OPERATION_DELETE,
                              .stamp = 100 + i,
                              .id = {id, (size_t)length},
                              .position = i};
        o.hash = hash64(o.id);
        size_t body = i % 3 ? i * 7 : 0;
        assert_true(used + operation_size(o.id.len, body) <= room);
        memset(operation_encode(region + used, &o, body), 'x', body);
        operation_pad(region + used);
        used += operation_size(o.id.len, body);
    }
    struct batch_header h = {.count = 10, .index = 1, .edition = 2, .shard = 3, .first = 4, .task = 5};
    h.bytes = used - BATCH_HEADER;
    h.crc = crc32c(0, region + BATCH_HEADER, used - BATCH_HEADER);
    batch_header_encode(region, &h);
    return used;
}

static void a_batch_reads_back_as_written(void **state)
{
    (void)state;
    char region[4096];
    size_t used = write_batch(region, sizeof region);
    struct batch_header h;
    assert_int_equal(batch_header_decode((struct str){region, used}, &h), 0);
    assert_int_equal(h.first, 4);
    struct str rest = {region + BATCH_HEADER, h.bytes};
    for (uint64_t i = 0; i < h.count; i++) {
        struct operation o;
        assert_int_equal(operation_decode(&rest, &o), 0);
        assert_int_equal(o.stamp, 100 + i);
        assert_int_equal(o.body.len, i % 3 ? i * 7 : 0);
    }
    assert_int_equal(rest.len, 0);
}

static void a_damaged_batch_is_corrupt(void **state)
{
    (void)state;
    char region[4096];
    size_t used = write_batch(region, sizeof region);
    struct batch_header h;
    for (size_t bit = 0; bit < used * 8; bit++) {
        if (bit / 8 >= 4 && bit / 8 < 20)
            continue; /* names, not covered by the checksum: the receiver compares them with its job */
        region[bit / 8] ^= (char)(1 << bit % 8);
        int err = batch_header_decode((struct str){region, used}, &h);
        if (bit / 8 < 4 || bit / 8 >= BATCH_HEADER || (bit / 8 >= 20 && bit / 8 < 24))
            assert_int_equal(err, ERR_CORRUPT);
        region[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < used; cut++)
        assert_int_equal(batch_header_decode((struct str){region, cut}, &h), ERR_CORRUPT);
}

static void knows_valid_ids(void **state)
{
    (void)state;
    char longest[BATCH_MAX_ID + 1];
    memset(longest, 'a', sizeof longest);
    assert_true(id_is_valid(STR("a")));
    assert_true(id_is_valid(STR("caf\xc3\xa9 \xf0\x9f\x98\x80")));
    assert_true(id_is_valid((struct str){longest, BATCH_MAX_ID}));
    assert_false(id_is_valid((struct str){longest, BATCH_MAX_ID + 1}));
    assert_false(id_is_valid(STR("")));
    assert_false(id_is_valid(STR("a\nb")));
    assert_false(id_is_valid(STR("a\0b")));
    assert_false(id_is_valid(STR("\x7f")));
    assert_false(id_is_valid(STR("\xc2\x85")));
    assert_false(id_is_valid(STR("\xc0\xaf")));
    assert_false(id_is_valid(STR("\xed\xa0\x80")));
    assert_false(id_is_valid(STR("\xe2\x82")));
}

static void frames_read_the_same_however_they_are_cut(void **state)
{
    (void)state;
    struct buf wire = {0};
    for (size_t i = 1; i <= 20; i++) {
        uint8_t header[FRAME_HEADER];
        size_t body = i % 4 ? i * 11 : 0;
        frame_header(header, i, body);
        buf_append(&wire, header, sizeof header);
        memset(buf_extend(&wire, i), 'e', i);
        if (body)
            memset(buf_extend(&wire, body), 'b', body);
    }
    for (size_t cut = 1; cut < 50; cut++) {
        struct frame_reader r = {0};
        size_t envelopes = 0, bodies = 0;
        for (size_t at = 0; at < wire.len; at += cut) {
            struct str input = {wire.data + at, at + cut < wire.len ? cut : wire.len - at}, piece;
            for (enum frame_event e; (e = frame_next(&r, &input, &piece)) != FRAME_MORE;) {
                assert_int_not_equal(e, FRAME_BAD);
                for (size_t i = 0; i < piece.len; i++)
                    assert_int_equal(piece.ptr[i], e == FRAME_ENVELOPE ? 'e' : 'b');
                if (e == FRAME_ENVELOPE)
                    assert_int_equal(piece.len, ++envelopes);
                else
                    bodies += piece.len;
            }
            assert_int_equal(input.len, 0);
        }
        assert_int_equal(envelopes, 20);
        assert_int_equal(bodies, 11 * (210 - 60));
        frame_reader_finish(&r);
    }
    buf_finish(&wire);
}

static void refuses_frames_before_it_keeps_them(void **state)
{
    (void)state;
    static const struct {
        uint32_t total, envelope;
        int err;
    } cases[] = {{3, 1, ERR_CORRUPT},
                 {8, 0, ERR_CORRUPT},
                 {8, 5, ERR_CORRUPT},
                 {FRAME_MAX_TOTAL + 1, 10, ERR_TOO_LARGE},
                 {FRAME_MAX_TOTAL, FRAME_MAX_ENVELOPE + 1, ERR_TOO_LARGE},
                 {UINT32_MAX, UINT32_MAX, ERR_CORRUPT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct frame_reader r = {0};
        uint32_t header[2] = {cases[i].total, cases[i].envelope};
        struct str input = {(const char *)header, sizeof header}, piece;
        assert_int_equal(frame_next(&r, &input, &piece), FRAME_BAD);
        assert_int_equal(r.err, cases[i].err);
        assert_int_equal(frame_next(&r, &input, &piece), FRAME_BAD);
        frame_reader_finish(&r);
    }
}

static void selects_the_same_terms_however_shards_are_split(void **state)
{
    (void)state;
    struct arena a;
    assert_int_equal(arena_init(&a, 1 << 20, 0), 0);
    struct candidate two[] = {{STR("sb"), 0, 0, 3}, {STR("wbc"), 0, 0, 9}, {STR("sb"), 0, 0, 4}, {STR("wbd"), 1, 0, 99}};
    struct weighted_word word;
    assert_int_equal(select_terms(&a, two, 4, 1, 100, &word), 0);
    assert_int_equal(word.count, 3);
    assert_true(str_equal(word.terms[0].term, STR("wbc")));
    assert_int_equal(word.terms[1].weight, weight_of_term(1, 7, 100));
    assert_int_equal(word.frequency, 99);
    assert_int_equal(select_terms(&a, NULL, 0, 1, 100, &word), 0);
    assert_int_equal(word.count, 0);
    arena_finish(&a);
}

static void guesses_count_less(void **state)
{
    (void)state;
    struct arena a;
    struct weighted_word word;
    assert_int_equal(arena_init(&a, 1 << 20, 0), 0);

    struct candidate guesses[] = {{STR("swords"), 0, 2, 50}, {STR("sword"), 0, 1, 3}, {STR("sword"), 0, 1, 4}};
    assert_int_equal(select_terms(&a, guesses, 3, 1, 100, &word), 0);
    assert_int_equal(word.count, 2);
    assert_true(str_equal(word.terms[0].term, STR("sword")));
    assert_int_equal(word.terms[0].weight, weight_of_term(1, 7, 100) / 2);
    assert_int_equal(word.terms[1].weight, weight_of_term(1, 50, 100) / 3);
    assert_int_equal(word.frequency, 50);
    arena_finish(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_agree_with_the_standard_and_each_other),
        cmocka_unit_test(a_sealed_region_cannot_be_changed),
        cmocka_unit_test(descriptors_travel_and_lost_ones_are_said),
        cmocka_unit_test(a_batch_reads_back_as_written),
        cmocka_unit_test(a_damaged_batch_is_corrupt),
        cmocka_unit_test(knows_valid_ids),
        cmocka_unit_test(frames_read_the_same_however_they_are_cut),
        cmocka_unit_test(refuses_frames_before_it_keeps_them),
        cmocka_unit_test(selects_the_same_terms_however_shards_are_split),
        cmocka_unit_test(guesses_count_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
