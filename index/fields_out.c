#include "index/fields_out.h"

#include <errno.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/hash.h"

static struct str name_at(const struct fields_out *f, uint32_t offset)
{
    const uint8_t *at = f->names.data + offset;
    return (struct str){.ptr = (const char *)at + 2, .len = load_u16(at)};
}

/* The slot of a name, or the free one where it belongs. */
static uint32_t *find_slot(const struct fields_out *f, struct str name)
{
    uint32_t i = (uint32_t)hash64(name) & (f->slot_count - 1);
    while (f->slots[2 * i] && !str_equal(name_at(f, f->slots[2 * i] - 1), name))
        i = (i + 1) & (f->slot_count - 1);
    return &f->slots[2 * i];
}

static int grow(struct fields_out *f)
{
    uint32_t before = f->slot_count, *slots = f->slots;
    if (f->count < before / 2)
        return 0;
    uint32_t *larger = calloc(before ? (size_t)before * 4 : 128, sizeof *larger);
    if (!larger)
        return -ENOMEM;
    f->slots = larger;
    f->slot_count = before ? before * 2 : 64;
    for (uint32_t i = 0; i < before; i++)
        if (slots[2 * i])
            memcpy(find_slot(f, name_at(f, slots[2 * i] - 1)), &slots[2 * i], 2 * sizeof *slots);
    free(slots);
    return 0;
}

static int add(struct fields_out *f, uint32_t *slot, struct str name)
{
    uint16_t length = (uint16_t)name.len;
    uint32_t offset = (uint32_t)f->names.len;
    if (f->names.len > UINT32_MAX / 2)
        return ERR_FULL;
    bytes_out_append(&f->names, &length, sizeof length);
    bytes_out_append(&f->names, name.ptr, name.len);
    if (f->names.failed)
        return -ENOMEM;
    slot[0] = offset + 1;
    slot[1] = f->count;
    return (int)f->count++;
}

int fields_out_number(struct fields_out *f, struct str name)
{
    int err = name.len > UINT16_MAX ? ERR_TOO_LARGE : grow(f);
    if (err)
        return err;
    uint32_t *slot = find_slot(f, name);
    if (slot[0])
        return (int)slot[1];
    return f->count == FIELDS_MAX ? ERR_FULL : add(f, slot, name);
}

void fields_out_free(struct fields_out *f)
{
    bytes_out_free(&f->names);
    free(f->slots);
    *f = (struct fields_out){0};
}
