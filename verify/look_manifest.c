#include "verify/look.h"

#include <errno.h>
#include <inttypes.h>

#include "common/err.h"
#include "common/files.h"
#include "proto/manifest.h"

static void look_at_file(struct findings *f, const struct manifest_file *m)
{
    uint64_t bytes;
    uint32_t crc;
    if (manifest_is_damage(m)) {
        findings_damage(f, m->path, "it was damaged when it was backed up: %s", m->what);
        return;
    }
    int err = file_checksum(m->path, &bytes, &crc);
    if (err)
        findings_damage(f, m->path, "%s", err_str(err));
    else if (bytes != m->bytes)
        findings_damage(f, m->path, "it has %" PRIu64 " bytes, the manifest says %" PRIu64, bytes, m->bytes);
    else if (crc != m->crc)
        findings_damage(f, m->path, "its checksum is not the manifest's");
}

void look_at_manifest(struct findings *f)
{
    struct buf text = {0};
    struct str lines = {0};
    struct manifest_file m;
    uint32_t version = 0;
    int got = 0, err = manifest_read(".", &text);
    findings_file(f, MANIFEST_NAME, text.len);
    if (!err)
        err = manifest_open((struct str){text.data, text.len}, &lines, &version);
    while (!err && (got = manifest_next(&lines, &m)) > 0)
        look_at_file(f, &m);
    err = err ? err : got;
    if (err == ERR_VERSION)
        findings_damage(f, MANIFEST_NAME, "it is of format %" PRIu32 ", this program reads %d", version,
                        MANIFEST_VERSION);
    else if (err)
        findings_damage(f, MANIFEST_NAME, "%s", err_str(err));
    buf_finish(&text);
}
