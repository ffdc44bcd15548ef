/* The list of a backup's files, of any bytes: as they are, and with a first line and a checksum that are right. */
#include "proto/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/err.h"
#include "tests/fuzz/fuzz.h"

static int go_through(struct str text)
{
    struct str lines;
    struct manifest_file f;
    uint32_t version = 0;
    int got = 0, err = manifest_open(text, &lines, &version);
    require(err != ERR_VERSION || version != MANIFEST_VERSION);
    while (!err && (got = manifest_next(&lines, &f)) > 0)
        require(f.path[0] && f.path[0] != '/' && f.path[0] != '.' && !strstr(f.path, "/.") && strlen(f.path) < MANIFEST_PATH &&
                strlen(f.what) < MANIFEST_WHAT && !strchr(f.what, '\n'));
    return err ? err : got;
}

static int manifest_fuzz(const uint8_t *data, size_t size)
{
    struct buf b = {0};
    struct str raw = {.ptr = (const char *)data, .len = size};
    (void)go_through(raw);
    manifest_begin(&b);
    buf_append_str(&b, raw);
    buf_append_str(&b, STR("\n"));
    manifest_end(&b);
    require(!b.err);
    (void)go_through((struct str){b.data, b.len});
    buf_finish(&b);
    return 0;
}

static void seeds(fuzz_run *take)
{
    struct buf b = {0};
    manifest_begin(&b);
    size_t head = b.len;
    manifest_add(&b, &(struct manifest_file){.bytes = 8192, .crc = 0x1a2b3c4d, .path = "catalog.mdb"});
    manifest_add(&b, &(struct manifest_file){.bytes = 1, .crc = 0xffffffff, .path = "indexes/1/1/0/seg-7.mdb"});
    manifest_add(&b, &(struct manifest_file){.path = "indexes/1/1/0", .what = "index films: seg-7.mdb:\ncorrupt"});
    take((const uint8_t *)b.data + head, b.len - head - 1);
    manifest_end(&b);
    require(!b.err && go_through((struct str){b.data, b.len}) == 0);
    take((const uint8_t *)b.data, b.len);
    buf_finish(&b);
}

const struct fuzz_target fuzz_target = {
    .most = 4096, .rounds = 2000, .mutations = 20000, .run = manifest_fuzz, .seeds = seeds};
