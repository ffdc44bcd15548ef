/* One write stream of a client: its bytes to operations, its progress to words. */
#include "coordinator/ingest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/hash.h"
#include "coordinator/disk.h"
#include "coordinator/held.h"
#include "coordinator/ingest_state.h"
#include "coordinator/log_room.h"
#include "coordinator/tasks_state.h"
#include "proto/message.h"

enum stage { ID_LENGTH, ID, BODY_LENGTH, BODY, BROKEN };
enum { ID_MOST = 64 << 10, REFUSALS_TOLD = 200 };
#define NO_ROOM "there is no memory or disk for it now; try again later"

struct intake *intake_begin(struct ingest *g, struct index *index, enum operation_kind kind, enum intake_wait wait,
                            intake_tell *tell, void *context)
{
    struct intake *i = calloc(1, sizeof *i);
    bool deletes = kind == OPERATION_DELETE || kind == OPERATION_FILTER;
    struct task *task = i ? tasks_new(g->server->tasks, index, deletes ? "delete" : "add") : NULL;
    if (!task) {
        free(i);
        return NULL;
    }
    *i = (struct intake){.ingest = g,
                         .index = index,
                         .task = task->uid,
                         .kind = kind,
                         .wait = wait,
                         .tell = tell,
                         .context = context,
                         .next = g->intakes,
                         .at = &g->intakes};
    if (i->next)
        i->next->at = &i->next;
    g->intakes = i;
    index_hold(index);
    return i;
}

static struct task *task_of(struct intake *i)
{
    return tasks_find(i->ingest->server->tasks, i->task);
}

/* -------------------------------------------------------------------------------------------------------------
 * refusals */

void intake_refuse(struct intake *i, uint64_t position, const char *id, const char *code, const char *message)
{
    size_t a = strlen(id) + 1, b = strlen(code) + 1, c = strlen(message) + 1;
    i->refused++;
    if (i->hung_up)
        return;
    struct intake_refusal *grown = realloc(i->refusals, (i->refusal_count + 1) * sizeof *grown);
    char *text = malloc(a + b + c);
    require(grown != NULL && text != NULL);
    memcpy(text, id, a);
    memcpy(text + a, code, b);
    memcpy(text + a + b, message, c);
    i->refusals = grown;
    grown[i->refusal_count++] = (struct intake_refusal){text, a, a + b, position};
    i->tell_now = true;
}

/* An id for people: what is not valid is shown as U+FFFD, and long ones are cut. */
static void printable_id(const struct intake *i, char *out, size_t size)
{
    size_t length = i->id_length < BATCH_MAX_ID ? i->id_length : BATCH_MAX_ID;
    if (id_is_valid((struct str){i->id, i->id_length})) {
        snprintf(out, size, "%.*s", (int)length, i->id);
        return;
    }
    size_t used = 0;
    for (size_t k = 0; k < length && used + 4 < size; k++) {
        unsigned char c = (unsigned char)i->id[k];
        if (c >= 0x20 && c < 0x7f) {
            out[used++] = (char)c;
        } else {
            memcpy(out + used, "\xef\xbf\xbd", 3);
            used += 3;
        }
    }
    out[used] = 0;
}

static void refuse_here(struct intake *i, const char *code, const char *message)
{
    char id[3 * BATCH_MAX_ID + 8];
    printable_id(i, id, sizeof id);
    struct task *task = task_of(i);
    const struct refusal r = {0, i->task, i->received, 0, id, code, message};
    if (strcmp(code, CODE_DISK_FULL) == 0)
        disk_refused(&i->ingest->server->disk);
    if (task)
        tasks_refuse(i->ingest->server->tasks, task, &r);
    intake_refuse(i, i->received, id, code, message);
}

void intake_refuse_half(struct intake *i, const char *message)
{
    struct load *half = i->into;
    i->into = NULL; /* the rest of it is skipped */
    refuse_here(i, CODE_BUSY, message);
    ingest_give_up(half);
}

/* -------------------------------------------------------------------------------------------------------------
 * operations */

static bool is_no_room(int err)
{
    return err == -ENOSPC || err == -EDQUOT;
}

/* Because there is no number, no memory, or no log: the sentence, in `room` where the disk is what is lacking. */
static const char *say_busy(const struct intake *i, bool is_disk, const char *otherwise, char room[DISK_SENTENCE], const char **out_code)
{
    *out_code = is_disk ? CODE_DISK_FULL : CODE_BUSY;
    if (!is_disk)
        return otherwise;
    disk_say(&i->ingest->server->disk, room);
    return room;
}

static const char *why_nothing_goes(const struct intake *i, char room[DISK_SENTENCE], const char **out_code)
{
    int err = log_room_usable(i->ingest);
    if (i->index->dropped) {
        *out_code = CODE_INDEX_NOT_FOUND;
        return "the index was dropped";
    }
    if (!err)
        return NULL;
    return say_busy(i, is_no_room(err), err == ERR_FULL ? "the log has reached its quota; try again when more is applied"
                                                        : "the log cannot be written; try again later",
                    room, out_code);
}

static const char *what_is_wrong(const struct intake *i, char room[DISK_SENTENCE], const char **out_code)
{
    uint64_t most = i->ingest->server->config.max_document_size;
    if (!id_is_valid((struct str){i->id, i->id_length})) {
        *out_code = CODE_INVALID_ID;
        return "an id is 1 to 256 bytes of valid UTF-8 without control characters";
    }
    if (i->body_length > most) {
        *out_code = CODE_DOCUMENT_TOO_LARGE;
        snprintf(room, DISK_SENTENCE, "the document has %zu bytes, max-document-size is %llu", i->body_length,
                 (unsigned long long)most);
        return room;
    }
    return why_nothing_goes(i, room, out_code);
}

static void grown(const struct intake *i)
{
    held_grown(i->into, (size_t)(i->body + i->body_have - i->into->base));
}

static void begin_operation(struct intake *i)
{
    char room[DISK_SENTENCE];
    const char *code, *wrong = what_is_wrong(i, room, &code);
    i->body_have = 0;
    i->into = NULL;
    if (wrong) {
        refuse_here(i, code, wrong);
        return;
    }
    struct operation o = {.kind = i->kind, .id = {i->id, i->id_length}, .position = i->received};
    o.hash = hash64(o.id);
    struct stream *s = index_route(i->index, o.hash);
    if (s->damaged) {
        refuse_here(i, CODE_INDEX_DAMAGED, s->damage);
        return;
    }
    o.stamp = catalog_next(i->ingest->server->catalog, NUMBER_STAMP);
    size_t size = operation_size(o.id.len, i->body_length);
    struct load *l = o.stamp ? ingest_room(i, s, size) : NULL;
    if (!l) {
        wrong = say_busy(i, !o.stamp && disk_is_full(&i->ingest->server->disk), NO_ROOM, room, &code);
        refuse_here(i, code, wrong);
        return;
    }
    i->into = l;
    i->operation = l->base + BATCH_HEADER + l->bundle.bytes;
    i->body = operation_encode(i->operation, &o, i->body_length);
    grown(i);
}

/* One that was set aside gets its number now, behind what came meanwhile, and so its stamp too: in a stream both rise. The
 * index may have other streams by now. */
static struct load *restamp(struct intake *i, struct load *l)
{
    l->bundle.stream = index_route(i->index, hash64((struct str){i->id, i->id_length}));
    uint64_t stamp = catalog_next(i->ingest->server->catalog, NUMBER_STAMP);
    if (stamp) {
        operation_restamp(i->operation, stamp);
        return l;
    }
    char room[DISK_SENTENCE];
    const char *code, *wrong = say_busy(i, disk_is_full(&i->ingest->server->disk), "the catalog cannot be written; try again later", room, &code);
    refuse_here(i, code, wrong);
    ingest_give_up(l);
    return NULL;
}

static void end_operation(struct intake *i)
{
    struct load *l = i->into;
    i->into = NULL;
    if (l && l->aside)
        l = restamp(i, l);
    if (l) {
        operation_pad(i->operation);
        ingest_added(l, operation_size(i->id_length, i->body_length));
    }
    i->received++;
    i->stage = ID_LENGTH;
    i->have = 0;
}

/* ------------------------------------------------------------------------------------------------------------- bytes
 */

static struct str take(struct str *bytes, size_t size)
{
    struct str front = {bytes->ptr, size < bytes->len ? size : bytes->len};
    bytes->ptr += front.len;
    bytes->len -= front.len;
    return front;
}

static bool take_length(struct intake *i, struct str *bytes, size_t *out)
{
    struct str part = take(bytes, 4 - i->have);
    memcpy(i->length + i->have, part.ptr, part.len);
    i->have += part.len;
    if (i->have < 4)
        return false;
    *out = load_u32(i->length);
    i->have = 0;
    return true;
}

static int take_id_length(struct intake *i, struct str *bytes)
{
    if (!take_length(i, bytes, &i->id_length))
        return 0;
    i->stage = ID;
    return i->id_length > ID_MOST ? ERR_CORRUPT : 0;
}

/* Of an id that is too long the beginning is kept, to name it in the refusal. */
static int take_id(struct intake *i, struct str *bytes)
{
    struct str part = take(bytes, i->id_length - i->have);
    if (i->have < BATCH_MAX_ID) {
        size_t kept = BATCH_MAX_ID - i->have < part.len ? BATCH_MAX_ID - i->have : part.len;
        memcpy(i->id + i->have, part.ptr, kept);
    }
    i->have += part.len;
    if (i->have == i->id_length) {
        i->stage = BODY_LENGTH;
        i->have = 0;
    }
    return 0;
}

static int take_body_length(struct intake *i, struct str *bytes)
{
    if (!take_length(i, bytes, &i->body_length))
        return 0;
    if (i->kind == OPERATION_DELETE && i->body_length)
        return ERR_CORRUPT;
    begin_operation(i);
    i->stage = BODY;
    if (i->body_length == 0)
        end_operation(i);
    return 0;
}

static int take_body(struct intake *i, struct str *bytes)
{
    struct str part = take(bytes, i->body_length - i->body_have);
    if (i->into)
        memcpy(i->body + i->body_have, part.ptr, part.len);
    i->body_have += part.len;
    if (i->into)
        grown(i);
    if (i->body_have == i->body_length)
        end_operation(i);
    return 0;
}

int intake_bytes(struct intake *i, struct str bytes)
{
    static int (*const takers[])(struct intake *, struct str *) = {
        [ID_LENGTH] = take_id_length, [ID] = take_id, [BODY_LENGTH] = take_body_length, [BODY] = take_body};
    while (bytes.len) {
        int err = i->stage == BROKEN ? ERR_CORRUPT : takers[i->stage](i, &bytes);
        if (err) {
            i->stage = BROKEN;
            return err;
        }
    }
    return 0;
}

/* -------------------------------------------------------------------------------------------------------------
 * progress */

static uint64_t durable_before(const struct intake *i)
{
    if (!i->index->durable)
        return 0;
    for (const struct load *l = i->loads; l; l = l->next)
        if (l->bundle.state < BUNDLE_LOGGED)
            return l->first_position;
    return i->received;
}

static void free_refusals(struct intake *i)
{
    for (size_t k = 0; k < i->refusal_count; k++)
        free(i->refusals[k].text);
    free(i->refusals);
    i->refusals = NULL;
    i->refusal_count = 0;
}

static bool is_done(const struct intake *i, uint64_t accepted, uint64_t searchable)
{
    if (!i->received_all)
        return false;
    switch (i->wait) {
    case WAIT_NONE:
        return true;
    case WAIT_ACCEPTED:
        return accepted == i->received;
    case WAIT_SEARCHABLE:
        return searchable == i->received;
    }
    return true;
}

static bool is_worth_telling(const struct intake *i, uint64_t accepted, uint64_t searchable, bool done)
{
    if (done)
        return true;
    if (i->wait == WAIT_NONE)
        return false;
    return i->tell_now || accepted != i->told_accepted ||
           (i->wait == WAIT_SEARCHABLE && searchable != i->told_searchable);
}

void intake_progressed(struct intake *i)
{
    uint64_t accepted = durable_before(i), searchable = i->loads ? i->loads->first_position : i->received;
    if (searchable > accepted)
        searchable = accepted;
    if (i->hung_up || i->ended) {
        intake_check_end(i);
        return;
    }
    bool done = is_done(i, accepted, searchable);
    if (!is_worth_telling(i, accepted, searchable, done))
        return;
    /* Many refusals go in several messages, none of which is too large for a frame. */
    size_t told = 0;
    do {
        size_t now = i->refusal_count - told < REFUSALS_TOLD ? i->refusal_count - told : REFUSALS_TOLD;
        const struct intake_progress p = {.task = i->task,
                                          .accepted = accepted,
                                          .searchable = searchable,
                                          .refused = i->refused,
                                          .deleted = i->deleted,
                                          .refusals = i->refusals + told,
                                          .refusal_count = now,
                                          .done = done && told + now == i->refusal_count};
        told += now;
        i->ended = p.done;
        i->tell(i->context, &p);
    } while (told < i->refusal_count);
    free_refusals(i);
    i->tell_now = false;
    i->told_accepted = accepted;
    i->told_searchable = searchable;
    intake_check_end(i);
}

void ingest_index_durable(struct ingest *g, const struct index *index)
{
    struct intake *next;
    for (struct intake *i = g->intakes; i; i = next) {
        next = i->next;
        if (i->index == index)
            intake_progressed(i);
    }
}

void intake_check_end(struct intake *i)
{
    if (!(i->hung_up || i->ended) || i->loads || !i->received_all)
        return;
    free_refusals(i);
    *i->at = i->next;
    if (i->next)
        i->next->at = i->at;
    index_release(i->index);
    free(i);
}

bool intake_is_received(const struct intake *i)
{
    return i->received_all;
}

static void receive_all(struct intake *i)
{
    struct task *task = task_of(i);
    i->received_all = true;
    if (!task)
        return;
    task->received = i->received;
    task->received_all = true;
    tasks_changed(i->ingest->server->tasks, task);
}

int intake_frame_end(struct intake *i, bool last)
{
    struct task *task = task_of(i);
    if (task)
        task->received = i->received;
    if (!last) {
        intake_progressed(i); /* of a frame with nothing but refusals the log will not tell */
        return 0;
    }
    if (i->stage != ID_LENGTH || i->have)
        return ERR_CORRUPT;
    receive_all(i);
    intake_progressed(i);
    return 0;
}

/* ----------------------------------------------------------------------------------------------------------- by filter
 */

/* One operation in the stream of a shard; why not, or NULL. */
static const char *filter_in(struct intake *i, struct stream *s, struct str filter, char room[DISK_SENTENCE], const char **out_code)
{
    struct operation o = {.kind = OPERATION_FILTER, .id = str_of(BATCH_FILTER_ID)};
    size_t size = operation_size(o.id.len, filter.len);
    *out_code = s->damaged ? CODE_INDEX_DAMAGED : CODE_BUSY;
    if (s->damaged)
        return s->damage;
    o.hash = hash64(o.id);
    o.stamp = catalog_next(i->ingest->server->catalog, NUMBER_STAMP);
    struct load *l = o.stamp ? ingest_room(i, s, size) : NULL;
    if (!l)
        return say_busy(i, !o.stamp && disk_is_full(&i->ingest->server->disk), NO_ROOM, room, out_code);
    char *operation = l->base + BATCH_HEADER + l->bundle.bytes;
    memcpy(operation_encode(operation, &o, filter.len), filter.ptr, filter.len);
    operation_pad(operation);
    ingest_added(l, size);
    return NULL;
}

/* All shards' or, where the first has no room, none's. What one has, it keeps: to be sent again is harmless. */
void intake_filter(struct intake *i, struct str filter)
{
    char room[DISK_SENTENCE];
    const char *code, *wrong = why_nothing_goes(i, room, &code);
    for (uint32_t n = 0; !wrong && n < i->index->shards; n++)
        wrong = filter_in(i, &i->index->streams[n], filter, room, &code);
    i->id_length = strlen(BATCH_FILTER_ID);
    memcpy(i->id, BATCH_FILTER_ID, i->id_length);
    if (wrong)
        refuse_here(i, code, wrong);
    i->received++;
    require(intake_frame_end(i, true) == 0);
}

void intake_cut(struct intake *i)
{
    struct load *half = i->into;
    i->into = NULL; /* half an operation in an open region is left out when that is sealed */
    i->stage = BROKEN;
    if (half)
        ingest_give_up(half);
}

void intake_hang_up(struct intake *i)
{
    i->hung_up = true;
    intake_cut(i);
    if (!i->received_all)
        receive_all(i);
    intake_check_end(i);
}
