#include "client/cli/report.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/emit.h"
#include "common/err.h"

static void print_plain(const char *code, const char *message, const char *field)
{
    fprintf(stderr, "mayfly: %s", message);
    if (field && *field && !strstr(message, field))
        fprintf(stderr, " [%s]", field);
    fprintf(stderr, " (%s)\n", code);
}

void report_error(const struct cli *c, const char *code, const char *message, const char *field)
{
    if (!c->json) {
        print_plain(code, message, field);
        return;
    }
    struct buf b = {0};
    emit_begin(&b, '{');
    emit_key(&b, "error");
    emit_begin(&b, '{');
    emit_key(&b, "code");
    emit_string(&b, code);
    emit_key(&b, "message");
    emit_string(&b, message);
    emit_key(&b, "field");
    if (field && *field)
        emit_string(&b, field);
    else
        emit_raw(&b, STR("null"));
    emit_end(&b, '}');
    emit_end(&b, '}');
    report_json(&b);
    buf_finish(&b);
}

int report_failure(const struct cli *c, int rc, const struct mayfly_failure *failure)
{
    report_error(c, failure->code, failure->message, failure->field);
    return rc == MAYFLY_LOST ? STATUS_CANNOT_CONNECT : STATUS_REFUSED;
}

int report_unreadable(const struct cli *c, const char *path, int err)
{
    char message[PATH_MAX + 200];
    snprintf(message, sizeof message, "%s: %s", path, err_str(err));
    report_error(c, "cannot_read", message, "");
    return STATUS_REFUSED;
}

int report_packed(const struct cli *c, const char *path, const char *unpacker)
{
    char message[3 * PATH_MAX];
    snprintf(message, sizeof message, "%s is packed: %s %s | mayfly add %s -", path, unpacker, path, c->words[0]);
    report_error(c, "cannot_read", message, "");
    return STATUS_REFUSED;
}

int report_connect(struct cli *c)
{
    struct mayfly_failure failure;
    c->endpoint.client = "mayfly " MAYFLY_VERSION;
    int rc = c->connection ? 0 : mayfly_connect(&c->connection, &c->endpoint, &failure);
    return rc ? report_failure(c, rc, &failure) : STATUS_DONE;
}

int report_call(struct cli *c, Mayfly__Envelope *request, Mayfly__Envelope__MessageCase wanted,
                struct mayfly_answer *out)
{
    struct mayfly_failure failure;
    int status = report_connect(c);
    if (status)
        return status;
    int rc = mayfly_call(c->connection, request, wanted, out, &failure);
    return rc ? report_failure(c, rc, &failure) : STATUS_DONE;
}

void report_json(struct buf *b)
{
    buf_append_str(b, STR("\n"));
    if (b->err)
        fputs("mayfly: out of memory\n", stderr);
    else
        fwrite(b->data, 1, b->len, stdout);
}
