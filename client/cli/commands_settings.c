#include "client/cli/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/report.h"
#include "common/err.h"
#include "common/fd.h"
#include "proto/frame.h"
#include "proto/message.h"

/* Those that act; what is coming is said beside them, so that what was printed can be set again. */
static int print_settings(const struct mayfly_answer *answer)
{
    const Mayfly__Settings *s = answer->envelope->settings;
    struct buf b = {0};
    buf_append_str(&b, message_bytes(s->json));
    report_json(&b);
    buf_finish(&b);
    if (s->task)
        fprintf(stderr, "mayfly: the documents are being analyzed again, task %" PRIu64
                        "; until it has succeeded the settings shown act, then %.*s\n",
                s->task, (int)s->coming.len, (const char *)s->coming.data);
    return STATUS_DONE;
}

int command_settings_get(struct cli *c)
{
    Mayfly__SettingsGet get;
    mayfly__settings_get__init(&get);
    get.index = message_string(c->words[0]);
    REQUEST(request, settings_get, SETTINGS_GET, get);
    struct mayfly_answer answer;
    int status = report_call(c, &request, MAYFLY__ENVELOPE__MESSAGE_SETTINGS, &answer);
    return status ? status : print_settings(&answer);
}

/* A whole file that must fit an envelope. */
static int read_whole(const char *path, struct buf *out)
{
    scoped(fd) int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    while (out->len < FRAME_MAX_ENVELOPE) {
        enum { STEP = 64 << 10 };
        char *at = buf_extend(out, STEP);
        ssize_t got = at ? read(fd, at, STEP) : -1;
        if (got < 0)
            return at ? -errno : -ENOMEM;
        out->len -= STEP - (size_t)got;
        if (got == 0)
            return 0;
    }
    return ERR_TOO_LARGE;
}

static int set(struct cli *c, struct str json)
{
    Mayfly__SettingsSet message;
    mayfly__settings_set__init(&message);
    message.index = message_string(c->words[0]);
    message.json = message_data(json);
    message.reanalyze = args_flag(c, "reanalyze");
    REQUEST(request, settings_set, SETTINGS_SET, message);
    struct mayfly_answer answer;
    int status = report_call(c, &request, MAYFLY__ENVELOPE__MESSAGE_SETTINGS, &answer);
    return status ? status : print_settings(&answer);
}

int command_settings_set(struct cli *c)
{
    struct buf json = {0};
    int rc = read_whole(c->words[1], &json);
    int status = rc ? report_unreadable(c, c->words[1], rc) : set(c, (struct str){.ptr = json.data, .len = json.len});
    buf_finish(&json);
    return status;
}
