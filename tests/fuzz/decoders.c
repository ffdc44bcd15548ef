/* Replays each decoder's seeds with mutations from a fixed seed: the same inputs at every run. */
#include "decoders.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants some of the above first
#include <cmocka.h>

#include "common/bytes.h"
#include "common/crc.h"
#include "common/fd.h"
#include "common/hash.h"
#include "proto/batch.h"
#include "proto/frame.h"
#include "proto/message.h"

enum { LARGEST = 4096, MUTATIONS = 1500 };

typedef int fuzz(const uint8_t *data, size_t size);

static const char *corpus;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t mutate(uint8_t *data, size_t size, uint64_t *random)
{
    static const uint8_t odd[] = {0, 1, 0x7f, 0x80, 0xff, '"', '\\', '{', '}', '[', ']', 'u', 0xed, 0xc0};
    uint64_t r = next_random(random);
    size_t at = size ? (size_t)(r >> 8) % size : 0;
    switch (r % 6) {
    case 0: /* a bit */
        if (size)
            data[at] ^= (uint8_t)(1u << (r >> 40) % 8);
        return size;
    case 1: /* a byte of those that mean something */
        if (size)
            data[at] = odd[(r >> 40) % sizeof odd];
        return size;
    case 2: /* cut off */
        return at;
    case 3: /* one more in the middle */
        if (size == LARGEST)
            return size;
        memmove(data + at + 1, data + at, size - at);
        data[at] = odd[(r >> 40) % sizeof odd];
        return size + 1;
    case 4: /* one less */
        if (!size)
            return size;
        memmove(data + at, data + at + 1, size - at - 1);
        return size - 1;
    default: /* a length far too large */
        if (size >= at + 4)
            store_u32(data + at, (uint32_t)(r >> 32));
        return size;
    }
}

static void replay(fuzz *target, const uint8_t *seed, size_t size, uint64_t random)
{
    uint8_t data[LARGEST];
    target(seed, size);
    for (int i = 0; i < MUTATIONS; i++) {
        size_t length = size < LARGEST ? size : LARGEST;
        memcpy(data, seed, length);
        for (uint64_t n = 1 + next_random(&random) % 4; n; n--)
            length = mutate(data, length, &random);
        target(data, length);
    }
}

/* Every file of corpus/NAME. */
static size_t replay_corpus(fuzz *target, const char *name)
{
    char path[1000];
    uint8_t data[LARGEST];
    size_t files = 0;
    snprintf(path, sizeof path, "%s/%s", corpus, name);
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s/%s", corpus, name, entry->d_name);
        scoped(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        ssize_t size = read(fd, data, sizeof data);
        assert_true(size >= 0);
        replay(target, data, (size_t)size, 0x9e3779b97f4a7c15u + (uint64_t)size);
        files++;
    }
    closedir(directory);
    return files;
}

static void json_of_any_bytes_is_parsed_or_refused(void **state)
{
    (void)state;
    assert_true(replay_corpus(json_fuzz, "json") >= 8);
}

static size_t some_frames(uint8_t *to)
{
    size_t at = 0;
    for (size_t i = 1; i < 6; i++) {
        frame_header(to + at, i * 9, i * 20);
        memset(to + at + FRAME_HEADER, (int)i, i * 29);
        at += FRAME_HEADER + i * 29;
    }
    return at;
}

static void frames_of_any_bytes_read_the_same_in_any_pieces(void **state)
{
    (void)state;
    uint8_t data[LARGEST];
    replay(frame_fuzz, data, some_frames(data), 1);
    replay(frame_fuzz, data, 0, 2);
}

static size_t a_batch(char *to)
{
    size_t used = BATCH_HEADER;
    struct batch_header h = {.count = 5, .index = 1, .edition = 1, .first = 1};
    for (size_t i = 0; i < 5; i++) {
        char id[8] = "abcdefg";
        struct operation o = {.kind = OPERATION_PUT, .stamp = i + 1, .id = {id, i + 1}};
        o.hash = hash64(o.id);
        memset(operation_encode(to + used, &o, i * 11), 'x', i * 11);
        operation_pad(to + used);
        used += operation_size(o.id.len, i * 11);
    }
    h.bytes = used - BATCH_HEADER;
    h.crc = crc32c(0, to + BATCH_HEADER, used - BATCH_HEADER);
    batch_header_encode(to, &h);
    return used;
}

static void batches_of_any_bytes_decode_within_their_bounds(void **state)
{
    (void)state;
    char data[LARGEST];
    size_t size = a_batch(data);
    replay(batch_fuzz, (const uint8_t *)data, size, 3);
}

static void replay_message(const ProtobufCMessage *message, uint64_t random)
{
    uint8_t data[LARGEST];
    assert_true(protobuf_c_message_get_packed_size(message) <= sizeof data);
    replay(message_fuzz, data, protobuf_c_message_pack(message, data), random);
}

static void messages_of_any_bytes_unpack_or_not(void **state)
{
    (void)state;
    Mayfly__Search search;
    mayfly__search__init(&search);
    char *fields[] = {message_string("title"), message_string("body")};
    search.index = message_string("books");
    search.query = message_string("\"water music\" -fire");
    search.fields = fields;
    search.n_fields = 2;
    Mayfly__Envelope envelope = MAYFLY__ENVELOPE__INIT;
    envelope.request = 300;
    envelope.message_case = MAYFLY__ENVELOPE__MESSAGE_SEARCH;
    envelope.search = &search;
    replay_message(&envelope.base, 4);

    Mayfly__Internal__Candidate candidate = MAYFLY__INTERNAL__CANDIDATE__INIT, *candidates[] = {&candidate, &candidate};
    candidate.term = message_data(STR("water"));
    Mayfly__Internal__Word word = MAYFLY__INTERNAL__WORD__INIT, *words[] = {&word, &word};
    word.candidates = candidates;
    word.n_candidates = 2;
    Mayfly__Internal__Prepared prepared = MAYFLY__INTERNAL__PREPARED__INIT;
    prepared.words = words;
    prepared.n_words = 2;
    Mayfly__Internal__ShardEnvelope inner = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    inner.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_PREPARED;
    inner.prepared = &prepared;
    replay_message(&inner.base, 5);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_of_any_bytes_is_parsed_or_refused),
        cmocka_unit_test(frames_of_any_bytes_read_the_same_in_any_pieces),
        cmocka_unit_test(batches_of_any_bytes_decode_within_their_bounds),
        cmocka_unit_test(messages_of_any_bytes_unpack_or_not),
    };
    if (argc != 2)
        return EXIT_FAILURE;
    corpus = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
