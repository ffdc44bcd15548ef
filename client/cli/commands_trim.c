#include "client/cli/commands.h"

#include <inttypes.h>
#include <stdio.h>

#include "client/cli/emit.h"
#include "client/cli/report.h"
#include "client/cli/table.h"
#include "proto/message.h"

static void print_json(const Mayfly__Trimmed *t)
{
    struct buf b = {0};
    emit_begin(&b, '{');
    emit_key(&b, "processes");
    emit_begin(&b, '[');
    for (size_t i = 0; i < t->n_processes; i++) {
        const Mayfly__Trimmed__Process *p = t->processes[i];
        emit_begin(&b, '{');
        emit_member_number(&b, "pid", p->pid);
        emit_key(&b, "shard");
        emit_signed(&b, p->shard);
        emit_member_number(&b, "reader", p->reader);
        emit_member_number(&b, "before", p->before);
        emit_member_number(&b, "after", p->after);
        emit_end(&b, '}');
    }
    emit_end(&b, ']');
    emit_member_number(&b, "silent", t->silent);
    emit_end(&b, '}');
    report_json(&b);
    buf_finish(&b);
}

static void print_text(const Mayfly__Trimmed *trimmed)
{
    static const char *const columns[] = {">pid", ">shard", ">before", ">after", NULL};
    struct table t;
    table_init(&t, columns);
    for (size_t i = 0; i < trimmed->n_processes; i++) {
        const Mayfly__Trimmed__Process *p = trimmed->processes[i];
        char shard[32];
        snprintf(shard, sizeof shard, "%d.%u", p->shard, p->reader);
        table_number(&t, p->pid);
        table_text(&t, shard);
        table_bytes(&t, p->before);
        table_bytes(&t, p->after);
    }
    table_print(&t);
    table_finish(&t);
    if (trimmed->silent)
        printf("%u did not answer\n", trimmed->silent);
}

/* Status 1 if a process did not answer: it may hold what it held. */
int command_trim(struct cli *c)
{
    Mayfly__Trim trim;
    mayfly__trim__init(&trim);
    REQUEST(request, trim, TRIM, trim);
    struct mayfly_answer answer;
    trim.index = message_string(c->count ? c->words[0] : "");
    int status = report_call(c, &request, MAYFLY__ENVELOPE__MESSAGE_TRIMMED, &answer);
    if (status)
        return status;
    const Mayfly__Trimmed *trimmed = answer.envelope->trimmed;
    if (c->json)
        print_json(trimmed);
    else
        print_text(trimmed);
    return trimmed->silent ? STATUS_REFUSED : STATUS_DONE;
}
