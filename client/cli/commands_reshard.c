#include "client/cli/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/emit.h"
#include "client/cli/report.h"
#include "proto/message.h"

/* What is too large for the message is left to the server to refuse, as everything that is a number. */
static bool take_number(const char *text, uint32_t *out)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    *out = errno || number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
    return *text >= '0' && *text <= '9' && !*end;
}

static void say(const struct cli *c, uint32_t shards, bool done, uint64_t task)
{
    if (!c->json && !task)
        printf("every index has %" PRIu32 " shards already\n", shards);
    else if (!c->json)
        printf("%s %" PRIu32 " shards, task %" PRIu64 "\n", done ? "every index has" : "giving every index", shards, task);
    if (!c->json)
        return;
    struct buf b = {0};
    emit_begin(&b, '{');
    emit_key(&b, "done");
    emit_bool(&b, done || !task);
    emit_member_number(&b, "task", task);
    emit_member_number(&b, "shards", shards);
    emit_end(&b, '}');
    report_json(&b);
    buf_finish(&b);
}

int command_reshard(struct cli *c)
{
    Mayfly__Reshard reshard = MAYFLY__RESHARD__INIT;
    if (!take_number(c->words[0], &reshard.shards))
        return args_usage(c, "%s is not a number of shards", c->words[0]);
    reshard.wait = !args_flag(c, "no-wait");
    REQUEST(request, reshard, RESHARD, reshard);
    struct mayfly_answer answer;
    int status = report_call(c, &request, MAYFLY__ENVELOPE__MESSAGE_DONE, &answer);
    if (!status)
        say(c, reshard.shards, reshard.wait, answer.envelope->done->task);
    return status;
}
