#include "worker/document.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "proto/message.h"

enum { FIRST_ROOM = 64 };

void document_reader_init(struct document_reader *r, struct fields *fields, struct str primary_key,
                          struct arena *texts)
{
    memset(r, 0, sizeof *r);
    r->fields = fields;
    r->primary_key = primary_key;
    r->texts = texts;
    r->room = FIRST_ROOM;
    r->values = malloc(r->room * sizeof *r->values);
}

static __attribute__((format(printf, 3, 4))) bool refuse(struct document_reader *r, const char *code,
                                                         const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->refused->message, sizeof r->refused->message, format, arguments);
    va_end(arguments);
    r->refused->code = code;
    return false;
}

/* A name from outside in a message: cut where it would take all of it. */
static int shown(struct str name)
{
    return name.len < 64 ? (int)name.len : 64;
}

/* --------------------------------------------------------------------------------------------------------------- the
 * id
 */

static bool is_integer(struct str number)
{
    for (size_t i = 0; i < number.len; i++)
        if ((number.ptr[i] < '0' || number.ptr[i] > '9') && !(i == 0 && number.ptr[i] == '-'))
            return false;
    return true;
}

static bool meet_id(struct document_reader *r, enum json_type type, struct str text)
{
    struct str key = r->primary_key;
    if (type != JSON_STRING && !(type == JSON_NUMBER && is_integer(text)))
        return refuse(r, CODE_INVALID_ID, "\"%.*s\" is neither a string nor an integer", shown(key), key.ptr);
    if (type == JSON_NUMBER && str_equal(text, STR("-0")))
        text = STR("0");
    if (!str_equal(text, r->id))
        return refuse(r, CODE_ID_MISMATCH, "\"%.*s\" of the document is not the id it was sent with", shown(key),
                      key.ptr);
    r->has_id = true;
    return true;
}

/* ------------------------------------------------------------------------------------------------------------- values
 */

static bool find_field(struct document_reader *r)
{
    if (r->field < 0)
        r->field = fields_number(r->fields, (struct str){.ptr = r->path, .len = r->path_length});
    return r->field >= 0 || refuse(r, CODE_INVALID_DOCUMENT, "more than %d different fields", FIELDS_MAX);
}

static bool add_value(struct document_reader *r, struct str text)
{
    if (!find_field(r))
        return false;
    if (!r->fields->items[r->field].is_searchable || text.len == 0)
        return true;
    if (r->count == r->room) {
        r->room *= 2;
        r->values = reallocarray(r->values, r->room, sizeof *r->values);
    }
    r->values[r->count++] = (struct value){.text = text.ptr, .length = (uint32_t)text.len, .field = (uint32_t)r->field};
    return true;
}

static bool no_object(struct document_reader *r)
{
    return refuse(r, CODE_INVALID_DOCUMENT, "the document is not a JSON object");
}

static bool on_scalar(void *context, enum json_type type, struct str text)
{
    struct document_reader *r = context;
    if (r->depth == 0)
        return no_object(r);
    if (r->at_primary_key && r->depth == 1)
        return meet_id(r, type, text);
    return type == JSON_STRING ? add_value(r, text) : true;
}

static bool on_key(void *context, struct str key)
{
    struct document_reader *r = context;
    size_t base = r->bases[r->depth], dot = base > 0;
    if (key.len > sizeof r->path - base - dot || key.len > sizeof r->path)
        return refuse(r, CODE_INVALID_DOCUMENT, "the path of a field is longer than %d bytes", FIELD_PATH_MAX);
    if (dot)
        r->path[base] = '.';
    if (key.len)
        memcpy(r->path + base + dot, key.ptr, key.len);
    r->path_length = base + dot + key.len;
    r->field = -1;
    r->at_primary_key = r->depth == 1 && str_equal(key, r->primary_key);
    return true;
}

static bool on_begin(void *context, enum json_type type)
{
    struct document_reader *r = context;
    if (r->depth == 0 && type != JSON_OBJECT)
        return no_object(r);
    if (r->at_primary_key && r->depth == 1)
        return meet_id(r, type, (struct str){0});
    r->bases[++r->depth] = r->path_length;
    return true;
}

/* Elements of an array go on under the path of the array. */
static bool on_end(void *context, enum json_type type)
{
    struct document_reader *r = context;
    (void)type;
    r->path_length = r->bases[r->depth--];
    r->field = -1;
    return true;
}

/* ----------------------------------------------------------------------------------------------------------- documents
 */

static void begin(struct document_reader *r, struct str id, struct str body, struct refused *refused)
{
    arena_rewind(r->texts, 0);
    r->count = 0;
    r->id = id;
    r->body = body;
    r->refused = refused;
    r->depth = 0;
    r->path_length = 0;
    r->at_primary_key = r->has_id = false;
    r->field = -1;
    refused->code = NULL;
}

static int not_json(struct document_reader *r, int err, const struct json_error *why)
{
    if (err == ERR_FULL)
        return err;
    if (!r->refused->code)
        refuse(r, CODE_INVALID_DOCUMENT, "%s at byte %zu", why->message, why->offset);
    return ERR_INVALID;
}

int document_read(struct document_reader *r, struct str id, struct str body, struct refused *out_refused)
{
    static const struct json_events events = {.scalar = on_scalar, .key = on_key, .begin = on_begin, .end = on_end};
    struct json_error why;
    begin(r, id, body, out_refused);
    int err = json_parse(r->texts, body, &events, r, &why);
    if (err)
        return not_json(r, err, &why);
    if (r->has_id)
        return 0;
    refuse(r, CODE_INVALID_ID, "the document has no \"%.*s\"", shown(r->primary_key), r->primary_key.ptr);
    return ERR_INVALID;
}
