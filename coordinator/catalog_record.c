#include "coordinator/catalog_record.h"

#include "common/bytes.h"
#include "common/crc.h"
#include "common/err.h"

enum { MAGIC = 0x3143464d /* "MFC1" */ };

void record_begin(struct buf *record)
{
    buf_extend(record, RECORD_HEADER);
}

void record_seal(struct buf *record)
{
    if (record->err)
        return;
    store_u32(record->data, MAGIC);
    store_u32(record->data + 4, crc32c(0, record->data + RECORD_HEADER, record->len - RECORD_HEADER));
}

int record_open(struct str record, struct str *out_rest)
{
    if (record.len < RECORD_HEADER || load_u32(record.ptr) != MAGIC)
        return ERR_CORRUPT;
    struct str rest = {.ptr = record.ptr + RECORD_HEADER, .len = record.len - RECORD_HEADER};
    if (crc32c(0, rest.ptr, rest.len) != load_u32(record.ptr + 4))
        return ERR_CORRUPT;
    *out_rest = rest;
    return 0;
}

static void put_text(struct buf *record, struct str text)
{
    uint16_t length = (uint16_t)text.len;
    buf_append(record, &length, sizeof length);
    buf_append_str(record, text);
}

void index_record_encode(struct buf *record, const struct index *i)
{
    uint32_t settings = (uint32_t)i->settings.len;
    record_begin(record);
    buf_append(record, &i->edition, sizeof i->edition);
    put_text(record, str_of(i->name));
    put_text(record, str_of(i->primary_key));
    buf_append(record, &i->created_at, sizeof i->created_at);
    buf_append(record, &settings, sizeof settings);
    buf_append(record, i->settings.data, i->settings.len);
    record_seal(record);
}

static bool take(struct str *rest, size_t size, struct str *out)
{
    if (size > rest->len)
        return false;
    *out = (struct str){.ptr = rest->ptr, .len = size};
    rest->ptr += size;
    rest->len -= size;
    return true;
}

static bool take_text(struct str *rest, struct str *out)
{
    struct str length;
    return take(rest, 2, &length) && take(rest, load_u16(length.ptr), out);
}

int index_record_decode(struct str rest, struct index_record *out)
{
    struct str edition, created, length, settings;
    struct index_record r = {0};
    if (!take(&rest, 4, &edition) || !take_text(&rest, &r.name) || !take_text(&rest, &r.primary_key) ||
        !take(&rest, 8, &created) || !take(&rest, 4, &length) || !take(&rest, load_u32(length.ptr), &settings) ||
        rest.len != 0)
        return ERR_CORRUPT;
    r.edition = load_u32(edition.ptr);
    r.created_at = load_u64(created.ptr);
    r.settings = settings;
    *out = r;
    return 0;
}
