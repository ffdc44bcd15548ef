#include "client/cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "client/cli/documents.h"
#include "client/cli/stream.h"
#include "common/arena.h"
#include "common/err.h"
#include "common/json.h"
#include "proto/batch.h"
#include "proto/message.h"

enum {
    SCRATCH = 1 << 30, /* of address space: to say what is wrong with a document */
    SCRATCH_KEEP = 1 << 20,
    DEFAULT_MAX_SIZE = 64 << 20, /* where the server does not say */
};

struct adding {
    struct stream stream;
    struct str primary_key;
    char key_name[256];
    struct arena scratch;
    const char *name; /* of the file in hand */
    uint64_t max_size;
};

static const char *const formats[] = {"ndjson", "json", "csv", NULL};

/* An index that exists says itself what names its documents. */
static int find_primary_key(struct adding *a, struct cli *c)
{
    Mayfly__IndexList list = MAYFLY__INDEX_LIST__INIT;
    REQUEST(request, index_list, INDEX_LIST, list);
    struct mayfly_answer answer;
    const char *given = args_option(c, "primary-key"), *key = given ? given : "id";
    int status = report_call(c, &request, MAYFLY__ENVELOPE__MESSAGE_INDEXES, &answer);
    if (status)
        return status;
    const Mayfly__Indexes *indexes = answer.envelope->indexes;
    for (size_t i = 0; i < indexes->n_indexes; i++)
        if (strcmp(indexes->indexes[i]->uid, c->words[0]) == 0)
            key = indexes->indexes[i]->primary_key;
    if (given && strcmp(given, key) != 0) {
        report_error(c, CODE_BAD_REQUEST, "the index has another primary key", key);
        return STATUS_REFUSED;
    }
    if (snprintf(a->key_name, sizeof a->key_name, "%s", key) >= (int)sizeof a->key_name)
        return args_usage(c, "--primary-key is at most %zu bytes long", sizeof a->key_name - 1);
    a->primary_key = str_of(a->key_name);
    return STATUS_DONE;
}

/* ------------------------------------------------------------------------------------------- one document */

static const char *place_of(struct adding *a, const struct document *d)
{
    const char *place = arena_printf(&a->scratch, "%s:%llu", a->name, (unsigned long long)d->line);
    return place ? place : a->name;
}

static bool is_integer(struct str raw)
{
    size_t at = raw.len && raw.ptr[0] == '-', first = at;
    while (at < raw.len && raw.ptr[at] >= '0' && raw.ptr[at] <= '9')
        at++;
    return at == raw.len && at > first && (raw.ptr[first] != '0' || at == first + 1);
}

/* The quick way: no more of the document is looked at than where its members begin and end. */
static bool scan_id(struct adding *a, struct str text, struct str *out)
{
    bool quoted;
    if (!json_scan_member(text, a->primary_key, out, &quoted) || (!quoted && !is_integer(*out)))
        return false;
    if (quoted && out->len && memchr(out->ptr, '\\', out->len))
        *out = json_unescape(&a->scratch, *out);
    return out->ptr != NULL;
}

/* The whole parse, where the scan found none: an id after all (its name may be escaped), or why not. */
static bool parse_id(struct adding *a, const struct document *d, struct str *out)
{
    struct json_error error;
    struct json *root = NULL;
    int err = json_tree(&a->scratch, d->text, &root, &error);
    const struct json *id = err ? NULL : json_member(root, a->key_name);
    const char *place = place_of(a, d);
    if (err == ERR_CORRUPT || err == ERR_TOO_LARGE)
        stream_refuse(&a->stream, place, STR(""), CODE_INVALID_DOCUMENT, "%s at byte %zu", error.message,
                      error.offset);
    else if (err)
        stream_refuse(&a->stream, place, STR(""), CODE_INVALID_DOCUMENT, "cannot be read: %s", err_str(err));
    else if (root->type != JSON_OBJECT)
        stream_refuse(&a->stream, place, STR(""), CODE_INVALID_DOCUMENT, "not a JSON object");
    else if (!id)
        stream_refuse(&a->stream, place, STR(""), CODE_INVALID_ID, "has no member \"%s\"", a->key_name);
    else if (id->type != JSON_STRING && (id->type != JSON_NUMBER || !is_integer(id->text)))
        stream_refuse(&a->stream, place, STR(""), CODE_INVALID_ID, "\"%s\" is neither a string nor an integer",
                      a->key_name);
    else
        return *out = id->text, true;
    return false;
}

/* The id as canonical text; false if there is none that can be one, which was said then. */
static bool find_id(struct adding *a, const struct document *d, struct str *out)
{
    if (!scan_id(a, d->text, out) && !parse_id(a, d, out))
        return false;
    if (id_is_valid(*out))
        return true;
    stream_refuse(&a->stream, place_of(a, d), *out, CODE_INVALID_ID, "an id is 1 to %d bytes of UTF-8 without controls",
                  BATCH_MAX_ID);
    return false;
}

/* Its beginning may hold its name. */
static void refuse_too_large(struct adding *a, const struct document *d)
{
    struct str raw = {0};
    bool quoted;
    if (!json_scan_beginning(d->text, a->primary_key, &raw, &quoted))
        raw = (struct str){0};
    stream_refuse(&a->stream, place_of(a, d), raw, CODE_DOCUMENT_TOO_LARGE, "larger than %llu bytes",
                  (unsigned long long)a->max_size);
}

static int add_document(struct adding *a, const struct document *d)
{
    struct mayfly_failure failure;
    struct str id;
    arena_reset(&a->scratch, SCRATCH_KEEP);
    if (d->problem) {
        stream_refuse(&a->stream, place_of(a, d), STR(""), CODE_INVALID_DOCUMENT, "%s", d->problem);
        return STATUS_DONE;
    }
    if (d->is_too_large) {
        refuse_too_large(a, d);
        return STATUS_DONE;
    }
    if (!find_id(a, d, &id))
        return STATUS_DONE;
    places_note(&a->stream.places, a->name, d->line);
    int rc = mayfly_writer_append(&a->stream.writer, id, d->text, &failure);
    progress_show(&a->stream.progress, &a->stream.writer.progress, a->stream.refused_here);
    return rc ? stream_failed(&a->stream, rc, &failure) : STATUS_DONE;
}

/* -------------------------------------------------------------------------------------------------- files */

static int add_all(struct adding *a, struct documents *d)
{
    struct document document;
    int rc, status = STATUS_DONE;
    while (!status && (rc = documents_next(d, &document)) != 0) {
        if (rc < 0) {
            stream_refuse(&a->stream, a->name, STR(""), "cannot_read", "%s", err_str(rc));
            return STATUS_DONE;
        }
        status = add_document(a, &document);
    }
    return status;
}

static int add_file(struct adding *a, const char *path, enum format format)
{
    struct documents d;
    a->name = strcmp(path, "-") == 0 ? "standard input" : path;
    int err = documents_open(&d, path, format, (size_t)a->max_size);
    if (err) {
        stream_refuse(&a->stream, path, STR(""), "cannot_read", "%s", err_str(err));
        return STATUS_DONE;
    }
    int status = add_all(a, &d);
    documents_close(&d);
    return status;
}

static int add_files(struct adding *a, struct cli *c, enum format format)
{
    int status = STATUS_DONE;
    for (int i = 1; i < c->count && !status; i++)
        status = add_file(a, c->words[i], format);
    return status;
}

/* All of them, before anything is asked of the server: if one cannot be read, nothing is changed. Their size is 0 where
 * it is not known before. */
static int look_at_files(struct cli *c, uint64_t *out_size)
{
    bool known = true;
    *out_size = 0;
    for (int i = 1; i < c->count; i++) {
        uint64_t size;
        int err = documents_look(c->words[i], &size);
        if (err)
            return report_unreadable(c, c->words[i], err);
        const char *unpacker = documents_unpacker(c->words[i]);
        if (unpacker)
            return report_packed(c, c->words[i], unpacker);
        known = known && size;
        *out_size += size;
    }
    if (!known)
        *out_size = 0;
    return STATUS_DONE;
}

static int add(struct adding *a, struct cli *c, enum format format)
{
    struct mayfly_writer_options options = {
        .index = c->words[0],
        .kind = args_flag(c, "partial") ? MAYFLY__WRITE__KIND__PATCH : MAYFLY__WRITE__KIND__PUT,
        .create = true,
        .primary_key = a->key_name,
    };
    uint64_t size;
    int status = look_at_files(c, &size);
    if (!status)
        status = find_primary_key(a, c);
    if (!status)
        status = stream_open(&a->stream, c, &options);
    if (status)
        return status;
    a->max_size = mayfly_max_document_size(c->connection);
    if (!a->max_size)
        a->max_size = DEFAULT_MAX_SIZE;
    a->stream.progress.total = size;
    return stream_close(&a->stream, add_files(a, c, format));
}

int command_add(struct cli *c)
{
    struct adding a = {0};
    int format;
    int status = args_choice(c, "format", formats, -1, &format);
    if (status)
        return status;
    if (arena_init(&a.scratch, SCRATCH, 0)) {
        report_error(c, CODE_INTERNAL, "out of memory", "");
        return STATUS_REFUSED;
    }
    status = add(&a, c, (enum format)(format + 1));
    arena_finish(&a.scratch);
    return status;
}
