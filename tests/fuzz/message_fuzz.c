/* Messages of any bytes unpack or not. */
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "proto/message.h"
#include "tests/fuzz/fuzz.h"

enum { ARENA = 1 << 20 };

/* What was unpacked can be packed again. */
static void repack(const ProtobufCMessage *message)
{
    struct buf out = {0};
    message_frame(&out, message, (struct str){0});
    require(out.err == 0 && out.len >= 8);
    buf_finish(&out);
}

static int message_fuzz(const uint8_t *data, size_t size)
{
    struct arena arena;
    char *copy = malloc(size ? size : 1);
    require(copy && arena_init(&arena, ARENA, 0) == 0);
    if (size)
        memcpy(copy, data, size);
    struct str bytes = {.ptr = copy, .len = size};
    Mayfly__Envelope *envelope = message_unpack(&arena, bytes);
    if (envelope)
        repack(&envelope->base);
    arena_rewind(&arena, 0);
    Mayfly__Internal__ShardEnvelope *inner = message_unpack_shard(&arena, bytes);
    if (inner)
        repack(&inner->base);
    arena_finish(&arena);
    free(copy);
    return 0;
}

static void take_message(fuzz_run *take, const ProtobufCMessage *message)
{
    uint8_t data[1024];
    require(protobuf_c_message_get_packed_size(message) <= sizeof data);
    take(data, protobuf_c_message_pack(message, data));
}

static void seed_search(fuzz_run *take)
{
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
    take_message(take, &envelope.base);
}

static void seed_prepared(fuzz_run *take)
{
    Mayfly__Internal__Candidate candidate = MAYFLY__INTERNAL__CANDIDATE__INIT, *candidates[] = {&candidate, &candidate};
    candidate.term = message_data(STR("water"));
    Mayfly__Internal__Word word = MAYFLY__INTERNAL__WORD__INIT, *words[] = {&word, &word};
    word.candidates = candidates;
    word.n_candidates = 2;
    Mayfly__Internal__Prepared prepared = MAYFLY__INTERNAL__PREPARED__INIT;
    prepared.words = words;
    prepared.n_words = 2;
    Mayfly__Internal__ShardEnvelope envelope = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    envelope.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_PREPARED;
    envelope.prepared = &prepared;
    take_message(take, &envelope.base);
}

static void seeds(fuzz_run *take)
{
    seed_search(take);
    seed_prepared(take);
}

const struct fuzz_target fuzz_target = {
    .most = 4096, .rounds = 1500, .mutations = 200, .run = message_fuzz, .seeds = seeds};
