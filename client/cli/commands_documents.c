#include "client/cli/commands.h"

#include <stdio.h>

#include "client/cli/stream.h"
#include "proto/batch.h"
#include "proto/message.h"

int command_get(struct cli *c)
{
    Mayfly__Get get;
    mayfly__get__init(&get);
    get.index = message_string(c->words[0]);
    get.id = message_string(c->words[1]);
    REQUEST(request, get, GET, get);
    struct mayfly_answer answer;
    int status = report_call(c, &request, MAYFLY__ENVELOPE__MESSAGE_DOCUMENT, &answer);
    if (status)
        return status;
    fwrite(answer.body.ptr, 1, answer.body.len, stdout);
    putchar('\n');
    return STATUS_DONE;
}

static int append_ids(struct stream *s)
{
    struct mayfly_failure failure;
    for (int i = 1; i < s->cli->count; i++) {
        struct str id = str_of(s->cli->words[i]);
        if (!id_is_valid(id)) {
            stream_refuse(s, "command line", id, CODE_INVALID_ID, "an id is 1 to 256 bytes of UTF-8 without controls");
            continue;
        }
        int rc = mayfly_writer_append(&s->writer, id, (struct str){0}, &failure);
        if (rc)
            return stream_failed(s, rc, &failure);
    }
    return STATUS_DONE;
}

int command_delete(struct cli *c)
{
    struct stream s;
    struct mayfly_writer_options options = {
        .index = c->words[0], .kind = MAYFLY__WRITE__KIND__DELETE, .filter = args_option(c, "filter")};
    if ((c->count < 2) != (options.filter != NULL))
        return args_usage(c, "it is: mayfly delete NAME ID..., or mayfly delete NAME --filter EXPR");
    if (options.filter && !*options.filter) /* to the server an empty one would be none */
        return args_usage(c, "--filter is empty: what is to be deleted?");
    int status = stream_open(&s, c, &options);
    return status ? status : stream_close(&s, options.filter ? STATUS_DONE : append_ids(&s));
}
