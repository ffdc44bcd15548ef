#include "proto/settings_rules.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/err.h"

int settings_refuse(struct settings_error *error, const char *field, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    snprintf(error->field, sizeof error->field, "%s", field);
    int named = snprintf(error->message, sizeof error->message, "%s%s", error->field, *field ? " " : "");
    vsnprintf(error->message + named, sizeof error->message - (size_t)named, format, args);
    va_end(args);
    return ERR_INVALID;
}

static int refuse_member(struct settings_error *error, const char *parent, const struct json *member, const char *why)
{
    char field[sizeof error->field];
    int shown = member->key.len < 64 ? (int)member->key.len : 64;
    snprintf(field, sizeof field, "%s.%.*s", parent, shown, member->key.ptr);
    return settings_refuse(error, field, "%s", why);
}

static int check_names(const char *rule, const struct json *value, struct settings_error *error)
{
    if (value->type != JSON_ARRAY)
        return settings_refuse(error, rule, "must be an array of strings");
    for (const struct json *name = value->first; name; name = name->next) {
        if (name->type != JSON_STRING || name->text.len == 0)
            return settings_refuse(error, rule, "must be an array of strings that are not empty");
        for (const struct json *other = value->first; other != name; other = other->next)
            if (str_equal(other->text, name->text))
                return settings_refuse(error, rule, "names '%.*s' twice",
                                       (int)(name->text.len < 100 ? name->text.len : 100), name->text.ptr);
    }
    return 0;
}

static int check_searchable(const struct json *value, struct settings_error *error)
{
    return check_names("searchable", value, error);
}

static int check_displayed(const struct json *value, struct settings_error *error)
{
    return check_names("displayed", value, error);
}

static int check_stop_words(const struct json *value, struct settings_error *error)
{
    return value->type == JSON_NULL ? 0 : check_names("stop_words", value, error);
}

static int check_field_member(const struct json *field, const struct json *member, struct settings_error *error)
{
    int64_t weight;
    if (str_equal(member->key, STR("type"))) {
        if (member->type != JSON_STRING || !str_equal(member->text, STR("text")))
            return refuse_member(error, "fields", field, "must have the type \"text\"; others are not supported yet");
        return 0;
    }
    if (!str_equal(member->key, STR("weight")))
        return refuse_member(error, "fields", field, "has members other than type and weight");
    if (!json_int(member, &weight) || weight < 1 || weight > SETTINGS_MAX_WEIGHT)
        return refuse_member(error, "fields", field, "must have a weight that is a whole number from 1 to 100");
    return 0;
}

static int check_fields(const struct json *value, struct settings_error *error)
{
    if (value->type != JSON_OBJECT)
        return settings_refuse(error, "fields", "must be an object");
    for (const struct json *field = value->first; field; field = field->next) {
        if (field->type != JSON_OBJECT || field->key.len == 0)
            return refuse_member(error, "fields", field, "must be an object with type and weight");
        for (const struct json *member = field->first; member; member = member->next) {
            int rc = check_field_member(field, member, error);
            if (rc)
                return rc;
        }
    }
    return 0;
}

static int check_language(const struct json *value, struct settings_error *error)
{
    if (value->type != JSON_STRING || !settings_knows_language(value->text))
        return settings_refuse(error, "language",
                               "must be \"none\" or the two letters of a known language (ISO 639-1)");
    return 0;
}

/* What is not built yet may be given as it is by default, so that what `get` printed can be `set`. */
static int check_unset(const char *rule, enum json_type empty, const struct json *value, struct settings_error *error)
{
    if (value->type != empty || value->first)
        return settings_refuse(error, rule, "is not supported yet");
    return 0;
}

static int check_filterable(const struct json *value, struct settings_error *error)
{
    return check_unset("filterable", JSON_ARRAY, value, error);
}

static int check_sortable(const struct json *value, struct settings_error *error)
{
    return check_unset("sortable", JSON_ARRAY, value, error);
}

static int check_synonyms(const struct json *value, struct settings_error *error)
{
    return check_unset("synonyms", JSON_OBJECT, value, error);
}

static int check_distinct(const struct json *value, struct settings_error *error)
{
    return check_unset("distinct", JSON_NULL, value, error);
}

/* ------------------------------------------------------------------------------------------------- what is analyzed */

/* As sets: neither has a name twice. */
static bool same_names(const struct str *a, size_t a_count, const struct str *b, size_t b_count)
{
    size_t found = 0;
    for (size_t i = 0; i < a_count; i++)
        for (size_t j = 0; j < b_count; j++)
            found += str_equal(a[i], b[j]);
    return found == a_count && found == b_count;
}

static bool same_fields(const struct settings *a, const struct settings *b)
{
    if (a->field_count != b->field_count)
        return false;
    for (size_t i = 0; i < a->field_count; i++)
        if (settings_weight(b, a->fields[i].name) != a->fields[i].weight)
            return false;
    return true;
}

static bool same_searchable(const struct settings *a, const struct settings *b)
{
    return same_names(a->searchable, a->searchable_count, b->searchable, b->searchable_count);
}

static bool same_language(const struct settings *a, const struct settings *b)
{
    return str_equal(a->language, b->language);
}

static bool same_stop_words(const struct settings *a, const struct settings *b)
{
    return a->own_stop_words == b->own_stop_words &&
           same_names(a->stop_words, a->stop_word_count, b->stop_words, b->stop_word_count);
}

/* Columns are to be made from documents; as long as there are none, nothing can differ. */
static bool same_columns(const struct settings *a, const struct settings *b)
{
    (void)a, (void)b;
    return true;
}

// clang-format off
const struct settings_rule settings_rules[] = {
    /* name         default   accepts           analysis (NULL: acts at once) */
    {"fields",      "{}",     check_fields,     same_fields},
    {"searchable",  "[]",     check_searchable, same_searchable},
    {"filterable",  "[]",     check_filterable, same_columns},
    {"sortable",    "[]",     check_sortable,   same_columns},
    {"language",    "\"en\"", check_language,   same_language},
    {"stop_words",  "null",   check_stop_words, same_stop_words},
    {"synonyms",    "{}",     check_synonyms,   NULL},
    {"displayed",   "[]",     check_displayed,  NULL},
    {"distinct",    "null",   check_distinct,   NULL},
    {NULL, NULL, NULL, NULL},
};
// clang-format on
