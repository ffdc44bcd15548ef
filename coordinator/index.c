#include "coordinator/index.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/hash.h"
#include "coordinator/slots.h"

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

bool index_name_is_valid(struct str name)
{
    if (name.len == 0 || name.len > INDEX_MAX_NAME)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!is_name_byte(name.ptr[i]))
            return false;
    return true;
}

struct index *indexes_find(const struct indexes *all, struct str name)
{
    for (struct index *i = all->first; i; i = i->next)
        if (str_equal(str_of(i->name), name))
            return i;
    return NULL;
}

struct index *indexes_by_number(const struct indexes *all, uint32_t number)
{
    for (struct index *i = all->first; i; i = i->next)
        if (i->number == number)
            return i;
    return NULL;
}

static void streams_finish(struct stream *streams, uint32_t shards)
{
    for (uint32_t n = 0; n < shards; n++) {
        ranges_finish(&streams[n].applied);
        ranges_finish(&streams[n].recovered);
        free(streams[n].segments);
    }
}

static void index_free(struct index *i)
{
    streams_finish(i->streams, i->shards);
    free(i->streams);
    for (struct former_streams *next, *f = i->former; f; f = next) {
        next = f->next;
        streams_finish(f->streams, f->shards);
        free(f->streams);
        free(f);
    }
    buf_finish(&i->settings);
    buf_finish(&i->coming.settings);
    free(i);
}

static void streams_begin(struct index *i, uint32_t shards, uint32_t numbering)
{
    i->streams = calloc(shards, sizeof *i->streams);
    require(i->streams);
    i->shards = shards;
    i->numbering = numbering;
    for (uint32_t n = 0; n < shards; n++)
        i->streams[n] =
            (struct stream){.index = i, .shard = n, .numbering = numbering, .next_sequence = 1, .watermark = 1};
}

void index_set_shards(struct index *i, uint32_t shards, uint32_t numbering)
{
    free(i->streams);
    streams_begin(i, shards, numbering);
}

uint32_t indexes_most_shards(const struct indexes *all)
{
    uint32_t most = all->shards;
    for (const struct index *i = all->first; i; i = i->next)
        most = i->shards > most ? i->shards : most;
    return most;
}

static bool has_settings(const struct index *i, const struct buf *json)
{
    return i->settings.len == json->len && (json->len == 0 || memcmp(i->settings.data, json->data, json->len) == 0);
}

void index_take_settings(struct indexes *all, struct index *i, struct buf *json)
{
    const struct index *like = all->first;
    while (like && (like == i || !has_settings(like, json)))
        like = like->next;
    buf_finish(&i->settings);
    i->settings = *json;
    i->settings_id = like ? like->settings_id : ++all->settings_ids;
    *json = (struct buf){0};
}

void index_set_coming(struct index *i, struct buf *json, uint64_t task)
{
    buf_finish(&i->coming.settings);
    i->coming = (struct coming){.settings = *json, .task = task};
    *json = (struct buf){0};
}

void index_drop_coming(struct index *i)
{
    buf_finish(&i->coming.settings);
    i->coming = (struct coming){.task = 0};
}

struct index *indexes_add(struct indexes *all, struct str name, struct str primary_key, uint32_t number,
                          uint32_t edition, uint64_t created_at, struct str settings)
{
    if (name.len > INDEX_MAX_NAME || primary_key.len > INDEX_MAX_PRIMARY_KEY)
        return NULL;
    struct index *i = calloc(1, sizeof *i);
    require(i);
    memcpy(i->name, name.ptr, name.len);
    memcpy(i->primary_key, primary_key.ptr, primary_key.len);
    i->number = number;
    i->edition = edition;
    i->created_at = created_at;
    struct buf json = {0};
    buf_append_str(&json, settings);
    index_take_settings(all, i, &json);
    streams_begin(i, all->shards, 1);

    struct index **at = &all->first; /* in the order of their numbers */
    while (*at && (*at)->number < number)
        at = &(*at)->next;
    i->next = *at;
    *at = i;
    return i;
}

struct index *indexes_new_edition(const struct indexes *all, const struct index *of, uint32_t edition)
{
    struct index *i = calloc(1, sizeof *i);
    require(i);
    memcpy(i->name, of->name, sizeof i->name);
    memcpy(i->primary_key, of->primary_key, sizeof i->primary_key);
    i->number = of->number;
    i->edition = edition;
    i->is_edition = true;
    const struct buf *settings = index_has_coming(of) ? &of->coming.settings : &of->settings;
    buf_append(&i->settings, settings->data, settings->len);
    require(!i->settings.err);
    streams_begin(i, all->shards, of->numbering + (all->shards != of->shards));
    return i;
}

static void take_stream(struct stream *to, struct stream *from)
{
    free(to->segments);
    to->segments = from->segments;
    to->segment_count = from->segment_count;
    to->generation = from->generation;
    to->documents = from->documents;
    from->segments = NULL;
    from->segment_count = 0;
}

static void leave_streams(struct index *i)
{
    struct former_streams *f = malloc(sizeof *f);
    require(f);
    *f = (struct former_streams){i->former, i->streams, i->shards};
    for (uint32_t n = 0; n < f->shards; n++)
        f->streams[n].former = true;
    i->former = f;
}

void index_take_edition(struct indexes *all, struct index *i, struct index *edition)
{
    i->edition = edition->edition;
    index_take_settings(all, i, &edition->settings);
    index_drop_coming(i);
    if (edition->shards != i->shards) {
        leave_streams(i);
        streams_begin(i, edition->shards, edition->numbering);
    }
    for (uint32_t n = 0; n < i->shards; n++)
        take_stream(&i->streams[n], &edition->streams[n]);
}

void indexes_remove(struct indexes *all, struct index *gone)
{
    for (struct index **at = &all->first; *at; at = &(*at)->next)
        if (*at == gone) {
            *at = gone->next;
            break;
        }
    gone->next = NULL;
    gone->dropped = true;
    if (gone->references == 0)
        index_free(gone);
}

void index_hold(struct index *i)
{
    i->references++;
}

void index_release(struct index *i)
{
    require(i->references > 0);
    if (--i->references == 0 && i->dropped)
        index_free(i);
}

uint64_t index_documents(const struct index *i)
{
    uint64_t sum = 0;
    for (uint32_t n = 0; n < i->shards; n++)
        sum += i->streams[n].documents;
    return sum;
}

uint64_t index_bytes(const struct index *i)
{
    uint64_t bytes = 0;
    for (uint32_t n = 0; n < i->shards; n++)
        for (size_t k = 0; k < i->streams[n].segment_count; k++)
            bytes += i->streams[n].segments[k].bytes;
    return bytes;
}

struct stream *index_route(struct index *i, uint64_t hash)
{
    return &i->streams[slot_shard(hash_slot(hash), i->shards)];
}

static void raise_watermark(struct stream *s)
{
    if (s->applied.count && s->applied.at[0].first <= s->watermark)
        s->watermark = s->applied.at[0].end;
    ranges_cut(&s->applied, s->watermark);
    if (s->next_sequence < s->watermark)
        s->next_sequence = s->watermark;
}

void stream_mark_applied(struct stream *s, uint64_t first, uint64_t end)
{
    ranges_add(&s->applied, first < s->watermark ? s->watermark : first, end);
    raise_watermark(s);
}

bool stream_is_applied(const struct stream *s, uint64_t sequence)
{
    return sequence < s->watermark || ranges_has(&s->applied, sequence);
}
