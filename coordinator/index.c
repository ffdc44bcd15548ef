#include "coordinator/index.h"

#include <stdlib.h>
#include <string.h>

#include "common/hash.h"

bool index_name_is_valid(struct str name)
{
    if (name.len == 0 || name.len > INDEX_MAX_NAME)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != '-')
            return false;
    }
    return true;
}

struct index *indexes_find(const struct indexes *all, struct str name)
{
    for (struct index *i = all->first; i; i = i->next)
        if (str_equal(name, str_of(i->name)))
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

static void free_index(struct index *i)
{
    for (uint32_t shard = 0; i->streams && shard < i->shards; shard++) {
        free(i->streams[shard].ranges);
        free(i->streams[shard].segments);
    }
    free(i->streams);
    buf_finish(&i->settings);
    free(i);
}

struct index *indexes_add(struct indexes *all, struct str name, struct str primary_key, uint32_t number,
                          uint32_t edition, uint64_t created_at, struct str settings)
{
    struct index *i = calloc(1, sizeof *i);
    if (!i || name.len > INDEX_MAX_NAME || primary_key.len > INDEX_MAX_PRIMARY_KEY) {
        free(i);
        return NULL;
    }
    memcpy(i->name, name.ptr, name.len);
    memcpy(i->primary_key, primary_key.ptr, primary_key.len);
    i->number = number;
    i->edition = edition;
    i->created_at = created_at;
    i->shards = all->shards;
    buf_append_str(&i->settings, settings);
    i->streams = calloc(all->shards, sizeof *i->streams);
    if (!i->streams || i->settings.err) {
        free_index(i);
        return NULL;
    }
    for (uint32_t shard = 0; shard < all->shards; shard++)
        i->streams[shard] = (struct stream){.index = i, .shard = shard, .next_sequence = 1, .watermark = 1};
    i->next = all->first;
    all->first = i;
    return i;
}

void indexes_remove(struct indexes *all, struct index *gone)
{
    for (struct index **at = &all->first; *at; at = &(*at)->next) {
        if (*at != gone)
            continue;
        *at = gone->next;
        gone->next = NULL;
        gone->dropped = true;
        if (gone->references == 0)
            free_index(gone);
        return;
    }
}

void index_hold(struct index *i)
{
    i->references++;
}

void index_release(struct index *i)
{
    if (--i->references == 0 && i->dropped)
        free_index(i);
}

uint64_t index_documents(const struct index *i)
{
    uint64_t documents = 0;
    for (uint32_t shard = 0; shard < i->shards; shard++)
        documents += i->streams[shard].documents;
    return documents;
}

struct stream *index_route(struct index *i, uint64_t hash)
{
    return &i->streams[hash_slot(hash) * i->shards / SLOTS];
}

/* ------------------------------------------------------------------------------------------------------------- ranges
 */

static void raise_watermark(struct stream *s)
{
    size_t gone = 0;
    while (gone < s->range_count && s->ranges[gone].first <= s->watermark) {
        if (s->ranges[gone].end > s->watermark)
            s->watermark = s->ranges[gone].end;
        gone++;
    }
    s->range_count -= gone;
    memmove(s->ranges, s->ranges + gone, s->range_count * sizeof *s->ranges);
}

/* A place for one more range at `at`; ranges are few, since only what overtook others is there. */
static bool open_gap(struct stream *s, size_t at)
{
    struct range *grown = realloc(s->ranges, (s->range_count + 1) * sizeof *grown);
    if (!grown)
        return false;
    s->ranges = grown;
    memmove(grown + at + 1, grown + at, (s->range_count - at) * sizeof *grown);
    s->range_count++;
    return true;
}

bool stream_mark_applied(struct stream *s, uint64_t first, uint64_t end)
{
    size_t at = 0, last;
    if (end <= first)
        return true;
    while (at < s->range_count && s->ranges[at].end < first)
        at++;
    for (last = at; last < s->range_count && s->ranges[last].first <= end; last++) {
        first = s->ranges[last].first < first ? s->ranges[last].first : first;
        end = s->ranges[last].end > end ? s->ranges[last].end : end;
    }
    if (last == at && !open_gap(s, at))
        return false;
    if (last > at + 1) {
        memmove(s->ranges + at + 1, s->ranges + last, (s->range_count - last) * sizeof *s->ranges);
        s->range_count -= last - at - 1;
    }
    s->ranges[at] = (struct range){first, end};
    raise_watermark(s);
    return true;
}

bool stream_is_applied(const struct stream *s, uint64_t sequence)
{
    if (sequence < s->watermark)
        return true;
    for (size_t i = 0; i < s->range_count; i++)
        if (sequence >= s->ranges[i].first && sequence < s->ranges[i].end)
            return true;
    return false;
}
