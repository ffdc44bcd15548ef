#include "client/cli/commands.h"

#include <inttypes.h>
#include <stdio.h>

#include "client/cli/emit.h"
#include "client/cli/report.h"
#include "client/cli/table.h"
#include "proto/message.h"

static void print_json(const Mayfly__Budget *budget)
{
    struct buf b = {0};
    emit_begin(&b, '{');
    emit_key(&b, "lines");
    emit_begin(&b, '[');
    for (size_t i = 0; i < budget->n_lines; i++) {
        const Mayfly__Budget__Line *l = budget->lines[i];
        emit_begin(&b, '{');
        emit_member_string(&b, "phase", l->phase);
        emit_member_string(&b, "process", l->process);
        emit_member_string(&b, "what", l->what);
        emit_member_number(&b, "count", l->count);
        emit_member_number(&b, "each", l->each);
        emit_member_number(&b, "total", l->count * l->each);
        emit_member_string(&b, "held_by", l->held_by);
        emit_end(&b, '}');
    }
    emit_end(&b, ']');
    emit_member_number(&b, "total", budget->total);
    emit_member_number(&b, "handover", budget->handover);
    emit_member_number(&b, "room", budget->room);
    emit_member_string(&b, "cap_enforced_by", budget->cap_enforced_by);
    emit_member_string(&b, "worker_groups", budget->worker_groups);
    emit_member_number(&b, "limit", budget->limit);
    emit_key(&b, "cuts");
    emit_begin(&b, '[');
    for (size_t i = 0; i < budget->n_cuts; i++) {
        emit_begin(&b, '{');
        emit_member_string(&b, "key", budget->cuts[i]->key);
        emit_member_string(&b, "wanted", budget->cuts[i]->wanted);
        emit_member_string(&b, "given", budget->cuts[i]->given);
        emit_end(&b, '}');
    }
    emit_end(&b, ']');
    emit_end(&b, '}');
    report_json(&b);
    buf_finish(&b);
}

static void print_lines(const Mayfly__Budget *budget)
{
    static const char *const columns[] = {"phase", "process", "what", ">count", ">each", ">total", "held by", NULL};
    struct table t;
    table_init(&t, columns);
    for (size_t i = 0; i < budget->n_lines; i++) {
        const Mayfly__Budget__Line *l = budget->lines[i];
        table_text(&t, l->phase);
        table_text(&t, l->process);
        table_text(&t, l->what);
        table_number(&t, l->count);
        table_bytes(&t, l->each);
        table_bytes(&t, l->count * l->each);
        table_text(&t, l->held_by);
    }
    table_print(&t);
    table_finish(&t);
}

/* A server of before this version does not say. */
static void print_handover(const Mayfly__Budget *budget)
{
    char besides[BYTES_TEXT_SIZE];
    if (!budget->handover)
        return;
    printf("a handover takes at most %s more, for the other's shards and buffers\n", bytes_text(besides, budget->handover));
    if (budget->limit && budget->total + budget->handover > budget->limit)
        printf("both together are more than the server's control group may have\n");
}

static void print_text(const Mayfly__Budget *budget)
{
    char total[BYTES_TEXT_SIZE], room[BYTES_TEXT_SIZE];
    print_lines(budget);
    printf("\nat most %s of %s; worker-memory is enforced by: %s\n", bytes_text(total, budget->total),
           bytes_text(room, budget->room), budget->cap_enforced_by);
    print_handover(budget);
    if (budget->limit)
        printf("the server's control group may have %s\n", bytes_text(room, budget->limit));
    for (size_t i = 0; i < budget->n_cuts; i++)
        printf("%s is %s instead of %s, so that it fits\n", budget->cuts[i]->key, budget->cuts[i]->given,
               budget->cuts[i]->wanted);
    if (*budget->worker_groups)
        printf("control groups of workers are below %s\n", budget->worker_groups);
}

int command_budget(struct cli *c)
{
    Mayfly__BudgetGet get = MAYFLY__BUDGET_GET__INIT;
    REQUEST(request, budget_get, BUDGET_GET, get);
    struct mayfly_answer answer;
    int status = report_call(c, &request, MAYFLY__ENVELOPE__MESSAGE_BUDGET, &answer);
    if (status)
        return status;
    if (c->json)
        print_json(answer.envelope->budget);
    else
        print_text(answer.envelope->budget);
    return STATUS_DONE;
}
