#include "client/cli/search.h"

#include <stdlib.h>
#include <string.h>

#include "client/cli/emit.h"
#include "proto/message.h"

static const char *const matches[] = {"last", "all", "frequency", "any", NULL};
static const Mayfly__Match match_values[] = {MAYFLY__MATCH__LAST, MAYFLY__MATCH__ALL, MAYFLY__MATCH__FREQUENCY,
                                             MAYFLY__MATCH__ANY};
static const char *const switches[] = {"auto", "off", NULL};

/* "a,b" in pieces; empty ones are left out. */
static bool split(struct list *list, const char *text)
{
    if (!text)
        return true;
    list->text = strdup(text);
    list->items = calloc(strlen(text) / 2 + 1, sizeof *list->items);
    if (!list->text || !list->items)
        return false;
    char *rest = list->text;
    for (char *item = strsep(&rest, ","); item; item = strsep(&rest, ","))
        if (*item)
            list->items[list->count++] = item;
    return true;
}

static void list_finish(struct list *list)
{
    free(list->items);
    free(list->text);
}

static int take_lists(struct search *s, const struct cli *c)
{
    if (!split(&s->fields, args_option(c, "fields")) || !split(&s->sort, args_option(c, "sort")) ||
        !split(&s->facets, args_option(c, "facets")) || !split(&s->highlight, args_option(c, "highlight")))
        return args_usage(c, "out of memory");
    s->message.fields = s->fields.items;
    s->message.n_fields = s->fields.count;
    s->message.sort = s->sort.items;
    s->message.n_sort = s->sort.count;
    s->message.facets = s->facets.items;
    s->message.n_facets = s->facets.count;
    s->message.highlight = s->highlight.items;
    s->message.n_highlight = s->highlight.count;
    return STATUS_DONE;
}

static int take_switches(struct search *s, const struct cli *c)
{
    int match, prefix, typo;
    int status = args_choice(c, "match", matches, 0, &match);
    if (!status)
        status = args_choice(c, "prefix", switches, 0, &prefix);
    if (!status)
        status = args_choice(c, "typo", switches, 0, &typo);
    if (status)
        return status;
    s->message.match = match_values[match];
    s->message.no_prefix = prefix == 1;
    s->message.no_typos = typo == 1;
    s->message.explain = args_flag(c, "explain");
    s->message.no_partial = args_flag(c, "no-partial");
    return STATUS_DONE;
}

static int take_numbers(struct search *s, const struct cli *c)
{
    int status = args_number(c, "limit", 20, 0, SEARCH_MOST, &s->message.limit);
    if (!status)
        status = args_number(c, "offset", 0, 0, SEARCH_MOST, &s->message.offset);
    if (!status)
        status = args_number(c, "deadline", 0, 1, 3600000, &s->message.deadline_ms);
    if (!status && s->message.limit + s->message.offset > SEARCH_MOST)
        status = args_usage(c, "--offset and --limit together are at most %d", SEARCH_MOST);
    return status;
}

int search_init(struct search *s, const struct cli *c)
{
    const char *filter = args_option(c, "filter");
    *s = (struct search){0};
    mayfly__search__init(&s->message);
    s->message.index = message_string(c->words[0]);
    if (filter)
        s->message.filter = message_string(filter);
    int status = take_switches(s, c);
    if (!status)
        status = take_numbers(s, c);
    if (!status)
        status = take_lists(s, c);
    if (status)
        search_finish(s);
    return status;
}

const char *search_partial_reason(const Mayfly__Found *found)
{
    if (!found->partial)
        return "";
    return found->partial_reason ? found->partial_reason->message : "cut off in time"; /* of an older server */
}

void search_finish(struct search *s)
{
    list_finish(&s->fields);
    list_finish(&s->sort);
    list_finish(&s->facets);
    list_finish(&s->highlight);
    *s = (struct search){0};
}
