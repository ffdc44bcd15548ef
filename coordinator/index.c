#include "coordinator/index.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/hash.h"

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

static void index_free(struct index *i)
{
    for (uint32_t n = 0; i->streams && n < i->shards; n++) {
        ranges_finish(&i->streams[n].applied);
        ranges_finish(&i->streams[n].recovered);
        free(i->streams[n].segments);
    }
    free(i->streams);
    buf_finish(&i->settings);
    buf_finish(&i->coming.settings);
    free(i);
}

static void streams_init(struct index *i)
{
    for (uint32_t n = 0; n < i->shards; n++)
        i->streams[n] = (struct stream){.index = i, .shard = n, .next_sequence = 1, .watermark = 1};
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
    i->streams = calloc(all->shards, sizeof *i->streams);
    require(i->streams);
    memcpy(i->name, name.ptr, name.len);
    memcpy(i->primary_key, primary_key.ptr, primary_key.len);
    i->number = number;
    i->edition = edition;
    i->created_at = created_at;
    i->shards = all->shards;
    struct buf json = {0};
    buf_append_str(&json, settings);
    index_take_settings(all, i, &json);
    streams_init(i);

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
    i->streams = calloc(all->shards, sizeof *i->streams);
    require(i->streams);
    memcpy(i->name, of->name, sizeof i->name);
    memcpy(i->primary_key, of->primary_key, sizeof i->primary_key);
    i->number = of->number;
    i->edition = edition;
    i->shards = all->shards;
    i->is_edition = true;
    buf_append(&i->settings, of->coming.settings.data, of->coming.settings.len);
    require(!i->settings.err);
    streams_init(i);
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

void index_take_edition(struct indexes *all, struct index *i, struct index *edition)
{
    i->edition = edition->edition;
    index_take_settings(all, i, &edition->settings);
    index_drop_coming(i);
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

/* The slot map: equal, contiguous runs of slots. */
struct stream *index_route(struct index *i, uint64_t hash)
{
    return &i->streams[(uint64_t)hash_slot(hash) * i->shards / SLOTS];
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
