#include "shard/check_filter.h"

#include "common/err.h"
#include "index/filter.h"

void check_filter(struct shard *s, const struct request *r, struct reply *out)
{
    struct filter *filter;
    struct filter_error error;
    int err = filter_parse(&s->arena, str_of(r->envelope->check_filter->filter), &filter, &error);
    if (err == ERR_FULL)
        reply_fail_query(out, err);
    else if (err)
        reply_fail(out, error.is_unsupported ? CODE_NOT_SUPPORTED : CODE_INVALID_FILTER, "%s", error.message);
    else
        reply_filter_checked(out);
}
