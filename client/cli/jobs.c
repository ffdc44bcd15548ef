#include "client/cli/jobs.h"

#include <stdio.h>
#include <string.h>

#include "client/cli/emit.h"
#include "client/cli/report.h"
#include "client/cli/table.h"

typedef Mayfly__Stats__Process process_message;

static uint64_t percent_of(uint64_t done, uint64_t of)
{
    return done < of ? (uint64_t)((double)done * 100 / (double)of) : 100;
}

const char *percent_text(char to[PERCENT_TEXT_SIZE], uint64_t done, uint64_t of)
{
    if (of)
        snprintf(to, PERCENT_TEXT_SIZE, "%u%%", (unsigned)percent_of(done, of));
    else
        snprintf(to, PERCENT_TEXT_SIZE, "-");
    return to;
}

static bool is_job_of(const process_message *p, const char *index)
{
    return *p->job && (!index || strcmp(p->index, index) == 0);
}

static int ask(struct cli *c, struct mayfly_answer *out)
{
    Mayfly__StatsGet get = MAYFLY__STATS_GET__INIT;
    REQUEST(request, stats_get, STATS_GET, get);
    return report_call(c, &request, MAYFLY__ENVELOPE__MESSAGE_STATS, out);
}

static void add_row(struct table *table, const process_message *p)
{
    char percent[PERCENT_TEXT_SIZE], shard[16];
    snprintf(shard, sizeof shard, "%d", p->shard);
    table_text(table, p->job);
    table_text(table, p->index);
    table_text(table, p->shard < 0 ? "-" : shard);
    table_text(table, p->state);
    table_text(table, percent_text(percent, p->documents_done, p->documents_total));
    table_number(table, p->documents_done);
    table_number(table, p->documents_total);
}

int jobs_print(struct cli *c, const char *index)
{
    static const char *const columns[] = {"job", "index", ">shard", "stage", ">done", ">documents", ">of", NULL};
    struct mayfly_answer answer;
    struct table table;
    size_t rows = 0;
    int status = ask(c, &answer);
    if (status)
        return status;
    table_init(&table, columns);
    for (size_t i = 0; i < answer.envelope->stats->n_processes; i++) {
        const process_message *p = answer.envelope->stats->processes[i];
        if (!is_job_of(p, index))
            continue;
        add_row(&table, p);
        rows++;
    }
    if (rows) {
        putchar('\n');
        table_print(&table);
    }
    table_finish(&table);
    return status;
}

static void emit_job(struct buf *b, const process_message *p)
{
    emit_begin(b, '{');
    emit_member_string(b, "job", p->job);
    emit_member_string(b, "index", p->index);
    emit_key(b, "shard");
    buf_printf(b, "%d", p->shard);
    emit_member_string(b, "stage", p->state);
    emit_member_number(b, "documents", p->documents_done);
    emit_member_number(b, "documents_total", p->documents_total);
    emit_key(b, "percent");
    if (p->documents_total)
        buf_printf(b, "%u", (unsigned)percent_of(p->documents_done, p->documents_total));
    else
        emit_raw(b, STR("null"));
    emit_end(b, '}');
}

int jobs_emit(struct cli *c, const char *index, struct buf *b)
{
    struct mayfly_answer answer;
    int status = ask(c, &answer);
    if (status)
        return status;
    emit_key(b, "jobs");
    emit_begin(b, '[');
    for (size_t i = 0; i < answer.envelope->stats->n_processes; i++)
        if (is_job_of(answer.envelope->stats->processes[i], index))
            emit_job(b, answer.envelope->stats->processes[i]);
    emit_end(b, ']');
    return status;
}
