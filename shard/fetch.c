#include "shard/fetch.h"

#include <errno.h>
#include <inttypes.h>

#include "common/err.h"
#include "common/hash.h"
#include "common/logger.h"
#include "shard/hold.h"
#include "shard/places.h"
#include "shard/project.h"

static bool is_among(struct str name, const struct str *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(name, names[i]))
            return true;
    }
    return false;
}

int wanted_fields_of(struct arena *a, char *const *fields, size_t count, const struct rules *rules,
                     struct wanted_fields *out)
{
    const struct settings *s = &rules->settings;
    if (count == 0) {
        *out =
            (struct wanted_fields){.all = s->displayed_count == 0, .names = s->displayed, .count = s->displayed_count};
        return 0;
    }
    struct str *names = arena_new_array(a, count, struct str);
    if (!names)
        return ERR_FULL;
    *out = (struct wanted_fields){.names = names};
    for (size_t i = 0; i < count; i++) {
        struct str name = str_of(fields[i]);
        if (s->displayed_count == 0 || is_among(name, s->displayed, s->displayed_count))
            names[out->count++] = name;
    }
    return 0;
}

enum fetch_rules fetch_find_rules(struct shard *s, const Mayfly__Internal__Place *place, uint64_t id,
                                  struct str settings, struct reply *out, const struct rules **out_rules)
{
    int err = rules_find(s->rules, place ? place->index : 0, id, settings, out_rules);
    if (err == RULES_WANTED)
        reply_settings_wanted(out);
    else if (err)
        reply_fail(out, CODE_INVALID_SETTINGS, "the index's settings cannot be used: %s", err_str(err));
    return err == RULES_WANTED ? FETCH_RULES_WANTED : err ? FETCH_RULES_BAD : FETCH_RULES_FOUND;
}

void fetch_fail_damaged(struct reply *out, const struct snapshot *from, size_t segment, const char *part, int err)
{
    const struct snapshot_segment *s = &from->segments[segment];
    struct place_id which = {.name = ""};
    if (out->place)
        which = (struct place_id){.index = out->place->index, .edition = out->place->edition, .name = out->place->name};
    char where[FAULT_TEXT];
    struct place_fault whole;
    segment_fault_text(&(struct segment_fault){s->core->id, segment_damaged(s->segment, part), s->core->image}, where);
    places_name_file(&which, out->place ? out->place->shard : 0, where, &whole);
    log_error("a segment is damaged, what needs this of it cannot be answered: %s: %s", whole.text, err_str(err));
    reply_fail(out, CODE_INDEX_DAMAGED, "%s: %s", whole.text, err_str(err));
}

/* The body as it is to be sent. A document that is cut first lies in the scratch arena, so that the answer holds only
 * what is sent. */
static int read_body(struct shard *s, const struct segment *segment, uint32_t document,
                     const struct wanted_fields *wanted, struct reply *out, struct str *out_body)
{
    if (wanted->all)
        return segment_document_body(segment, document, out->arena, out_body);
    struct str whole;
    arena_rewind(&s->scratch, 0);
    int err = segment_document_body(segment, document, &s->scratch, &whole);
    return err ? err : project_members(out->arena, whole, wanted->names, wanted->count, out_body);
}

bool fetch_into(struct shard *s, const struct snapshot *from, size_t segment, uint32_t document,
                const struct wanted_fields *wanted, struct reply *out, uint32_t *out_length)
{
    struct str body;
    int err = read_body(s, from->segments[segment].segment, document, wanted, out, &body);
    if (!err)
        err = reply_add_document(out, body);
    if (err == ERR_TOO_LARGE)
        reply_fail(out, CODE_QUERY_TOO_LARGE, ANSWER_TOO_LARGE);
    else if (err == ERR_FULL)
        reply_fail_query(out, err);
    else if (err)
        fetch_fail_damaged(out, from, segment, "documents", err);
    else
        *out_length = (uint32_t)body.len;
    return err == 0;
}

/* ------------------------------------------------------------------------------------------------------------- Fetch
 */

static bool find_segment(const struct snapshot *s, uint64_t id, size_t *out)
{
    size_t low = 0, high = s->segment_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->view->segments[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    *out = low;
    return low < s->segment_count && s->view->segments[low].id == id;
}

/* Documents of a segment never change, so a hit's segment and number name one while any generation has the segment. */
static bool add_items(struct shard *s, const struct snapshot *from, const Mayfly__Internal__Fetch *m,
                      const struct wanted_fields *wanted, struct reply *out, uint32_t *lengths)
{
    for (size_t i = 0; i < m->n_items; i++) {
        size_t segment;
        const Mayfly__Internal__Fetch__Item *item = m->items[i];
        if (!find_segment(from, item->segment, &segment) ||
            item->document >= segment_documents(from->segments[segment].segment)) {
            out->document_count = 0;
            out->document_bytes = 0;
            reply_moved(out);
            return false;
        }
        if (!fetch_into(s, from, segment, item->document, wanted, out, &lengths[i]))
            return false;
    }
    return true;
}

/* For what the answer will read of the items. */
static void ask_for_items(const struct snapshot *from, const Mayfly__Internal__Fetch *m, struct arena *a)
{
    struct page_ranges r;
    struct needed_document *needed = arena_new_array(a, m->n_items, struct needed_document);
    size_t count = 0, segment;
    page_ranges_init(&r);
    for (size_t i = 0; needed && i < m->n_items; i++) {
        if (find_segment(from, m->items[i]->segment, &segment))
            needed[count++] = (struct needed_document){from->segments[segment].segment, m->items[i]->document};
    }
    will_need_documents(needed, count, true, &r);
    page_ranges_ask(&r);
}

static void fetch_from(struct shard *s, const struct snapshot *from, const Mayfly__Internal__Fetch *m,
                       const struct rules *rules, struct reply *out)
{
    struct wanted_fields wanted;
    Mayfly__Internal__Fetched *answer = arena_new(out->arena, Mayfly__Internal__Fetched);
    uint32_t *lengths = arena_new_array(out->arena, m->n_items, uint32_t);
    if (!answer || !lengths || wanted_fields_of(out->arena, m->fields, m->n_fields, rules, &wanted)) {
        reply_fail_query(out, ERR_FULL);
        return;
    }
    mayfly__internal__fetched__init(answer);
    answer->n_document_length = m->n_items;
    answer->document_length = lengths;
    if (from->asks)
        ask_for_items(from, m, out->arena);
    if (add_items(s, from, m, &wanted, out, lengths))
        reply_fetched(out, answer);
}

bool fetch_newest(struct shard *s, const Mayfly__Internal__Place *place, struct reply *out)
{
    struct place_fault fault;
    struct snapshot *snapshot;
    if (!place || place->shard != s->number) {
        reply_fail(out, CODE_INTERNAL, "the request is not for shard %u", s->number);
        return false;
    }
    const struct place_id which = {.index = place->index, .edition = place->edition, .name = place->name};
    int err = places_snapshot(s->places, &which, &snapshot, &fault);
    if (err) {
        bool short_of_something = err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -EAGAIN;
        reply_fail(out, short_of_something ? CODE_UNAVAILABLE : CODE_INDEX_DAMAGED, "%s", fault.text);
        return false;
    }
    reply_keep(out, snapshot, place);
    return true;
}

void fetch_documents(struct shard *s, const struct request *r, struct reply *out)
{
    const Mayfly__Internal__Fetch *m = r->envelope->fetch;
    uint64_t prepared_by = m->prepared_by;
    const struct rules *rules;
    enum fetch_rules found = fetch_find_rules(s, m->place, m->settings_id, message_bytes(m->settings), out, &rules);
    if (found == FETCH_RULES_WANTED)
        return; /* it comes again: what is held stays */
    struct snapshot *held = holds_find(s->holds, prepared_by);
    if (held)
        reply_keep(out, snapshot_hold(held), m->place);
    if (found == FETCH_RULES_FOUND && (held || fetch_newest(s, m->place, out)))
        fetch_from(s, out->snapshot, m, rules, out);
    holds_drop(s->holds, prepared_by);
}

/* ------------------------------------------------------------------------------------------------------------ Lookup
 */

void fetch_lookup(struct shard *s, const struct request *r, struct reply *out)
{
    const Mayfly__Internal__Lookup *m = r->envelope->lookup;
    if (!fetch_newest(s, m->place, out))
        return;
    size_t segment = 0;
    uint32_t document;
    int err = 0;
    struct str id = message_bytes(m->id);
    Mayfly__Internal__Fetched *answer = arena_new(out->arena, Mayfly__Internal__Fetched);
    uint32_t *length = arena_new(out->arena, uint32_t);
    if (!answer || !length) {
        reply_fail_query(out, ERR_FULL);
        return;
    }
    mayfly__internal__fetched__init(answer);
    if (snapshot_find(out->snapshot, hash64(id), id, &segment, &document, &err)) {
        struct wanted_fields all = {.all = true};
        if (!fetch_into(s, out->snapshot, segment, document, &all, out, length))
            return;
        answer->found = true;
        answer->stamp = segment_stamps(out->snapshot->segments[segment].segment)[document];
        answer->document_length = length;
        answer->n_document_length = 1;
    }
    if (err)
        fetch_fail_damaged(out, out->snapshot, segment, "ids", err);
    else
        reply_fetched(out, answer);
}
