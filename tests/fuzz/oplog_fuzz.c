/* A log file with whatever damage: the scan steps over every byte of it once, and what it gives is what was written. */
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "coordinator/oplog_scan.h"
#include "tests/fuzz/fuzz.h"

enum { RECORDS = 12, PAYLOADS = 6, ROOM = OPLOG_FILE_HEADER + RECORDS * (OPLOG_RECORD_HEADER + PAYLOADS * 8) };

/* Records of 0 to 5 words each, some of them fragments, as the input says. */
static size_t write_file(char *to, const uint8_t *data)
{
    size_t at = OPLOG_FILE_HEADER;
    oplog_file_header((uint8_t *)to, 1);
    for (unsigned i = 0; i < RECORDS; i++) {
        size_t payload = (size_t)(data[i] % PAYLOADS) * 8;
        char *body = to + at + OPLOG_RECORD_HEADER;
        memset(body, (int)i + 1, payload);
        const struct oplog_record r = {
            .entry =
                {.stream = {1, 1, data[i] / 64}, .task = 1, .first = i / 2, .count = 1, .operations = {body, payload}},
            .synced = data[i] / 32 * 100u,
            .flags = data[i] / 8 % 4,
        };
        oplog_encode_header((uint8_t *)to + at, &r);
        at += OPLOG_RECORD_HEADER + payload;
    }
    return at;
}

/* The rest of the input: bytes to change, and where the file ends. */
static size_t damage(char *file, size_t size, const uint8_t *data, size_t left)
{
    for (; left >= 3; data += 3, left -= 3)
        file[((size_t)data[0] << 8 | data[1]) % size] ^= (char)data[2];
    return left ? size - data[0] % size : size;
}

static void check_entry(const struct oplog_piece *p)
{
    struct str operations = p->r.entry.operations;
    require(p->r.entry.first < RECORDS && p->r.entry.count == 1 && operations.len % 8 == 0);
    for (size_t i = 0; i < operations.len; i++)
        require(operations.ptr[i] >= 1 && operations.ptr[i] <= RECORDS);
}

static int run(const uint8_t *data, size_t size)
{
    struct oplog_scan scan = {.map = NULL};
    char *file = calloc(1, ROOM), *exact = NULL;
    require(file);
    if (size > RECORDS) {
        size_t length = damage(file, write_file(file, data), data + RECORDS, size - RECORDS);
        exact = malloc(length); /* not a byte more: sanitizers see what is read behind it */
        require(exact);
        memcpy(exact, file, length);
        scan.map = exact;
        scan.size = scan.used = length;
        scan.at = length < OPLOG_FILE_HEADER ? length : OPLOG_FILE_HEADER;
        struct oplog_piece p;
        size_t at = scan.at;
        for (int event; (event = oplog_scan_next(&scan, &p)) != SCAN_END; at = p.to) {
            require(event > 0 && p.from == at && p.to > p.from && p.to <= length && scan.end <= length);
            if (event == SCAN_ENTRY)
                check_entry(&p);
        }
        require(at == length);
        buf_finish(&scan.joined);
    }
    free(exact);
    free(file);
    return 0;
}

const struct fuzz_target fuzz_target = {.most = 400, .rounds = 60000, .mutations = 50, .run = run};
