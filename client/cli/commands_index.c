#include "client/cli/commands.h"

#include <inttypes.h>
#include <stdio.h>

#include "client/cli/emit.h"
#include "client/cli/report.h"
#include "client/cli/table.h"
#include "proto/message.h"

/* Done: in words, or as JSON. */
static int say_done(const struct cli *c, const struct mayfly_answer *answer, const char *words)
{
    uint64_t task = answer->envelope->done->task;
    if (c->json) {
        struct buf b = {0};
        emit_begin(&b, '{');
        emit_key(&b, "done");
        emit_bool(&b, true);
        emit_member_number(&b, "task", task);
        emit_end(&b, '}');
        report_json(&b);
        buf_finish(&b);
    } else if (task) {
        printf("%s, task %" PRIu64 "\n", words, task);
    } else {
        printf("%s\n", words);
    }
    return STATUS_DONE;
}

static int ask_and_say(struct cli *c, Mayfly__Envelope *request, const char *words)
{
    struct mayfly_answer answer;
    int status = report_call(c, request, MAYFLY__ENVELOPE__MESSAGE_DONE, &answer);
    return status ? status : say_done(c, &answer, words);
}

int command_index_create(struct cli *c)
{
    Mayfly__IndexCreate create;
    mayfly__index_create__init(&create);
    const char *key = args_option(c, "primary-key");
    create.index = message_string(c->words[0]);
    if (key)
        create.primary_key = message_string(key);
    REQUEST(request, index_create, INDEX_CREATE, create);
    return ask_and_say(c, &request, "created");
}

int command_index_drop(struct cli *c)
{
    Mayfly__IndexDrop drop;
    mayfly__index_drop__init(&drop);
    drop.index = message_string(c->words[0]);
    REQUEST(request, index_drop, INDEX_DROP, drop);
    return ask_and_say(c, &request, "dropped");
}

int command_index_swap(struct cli *c)
{
    Mayfly__IndexSwap swap;
    mayfly__index_swap__init(&swap);
    swap.a = message_string(c->words[0]);
    swap.b = message_string(c->words[1]);
    REQUEST(request, index_swap, INDEX_SWAP, swap);
    return ask_and_say(c, &request, "swapped");
}

int command_index_optimize(struct cli *c)
{
    Mayfly__IndexOptimize optimize;
    mayfly__index_optimize__init(&optimize);
    optimize.index = message_string(c->words[0]);
    optimize.wait = !args_flag(c, "no-wait");
    REQUEST(request, index_optimize, INDEX_OPTIMIZE, optimize);
    return ask_and_say(c, &request, optimize.wait ? "optimized" : "optimizing");
}

static void print_json(const Mayfly__Indexes *indexes)
{
    struct buf b = {0};
    emit_begin(&b, '{');
    emit_key(&b, "indexes");
    emit_begin(&b, '[');
    for (size_t i = 0; i < indexes->n_indexes; i++) {
        const Mayfly__Indexes__Index *index = indexes->indexes[i];
        emit_begin(&b, '{');
        emit_member_string(&b, "uid", index->uid);
        emit_member_string(&b, "primary_key", index->primary_key);
        emit_member_date(&b, "created_at", index->created_at);
        emit_member_number(&b, "documents", index->documents);
        emit_end(&b, '}');
    }
    emit_end(&b, ']');
    emit_end(&b, '}');
    report_json(&b);
    buf_finish(&b);
}

static void print_table(const Mayfly__Indexes *indexes)
{
    static const char *const columns[] = {"index", ">documents", "primary key", "created", NULL};
    struct table t;
    table_init(&t, columns);
    for (size_t i = 0; i < indexes->n_indexes; i++) {
        table_text(&t, indexes->indexes[i]->uid);
        table_number(&t, indexes->indexes[i]->documents);
        table_text(&t, indexes->indexes[i]->primary_key);
        table_date(&t, indexes->indexes[i]->created_at);
    }
    table_print(&t);
    table_finish(&t);
}

int command_index_list(struct cli *c)
{
    Mayfly__IndexList list = MAYFLY__INDEX_LIST__INIT;
    REQUEST(request, index_list, INDEX_LIST, list);
    struct mayfly_answer answer;
    int status = report_call(c, &request, MAYFLY__ENVELOPE__MESSAGE_INDEXES, &answer);
    if (status)
        return status;
    if (c->json)
        print_json(answer.envelope->indexes);
    else
        print_table(answer.envelope->indexes);
    return STATUS_DONE;
}
