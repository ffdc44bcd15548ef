#include "proto/settings.h"

#include <stdio.h>

#include "common/err.h"
#include "common/json.h"
#include "proto/settings_rules.h"

/* The languages of index/languages.c, which cannot be linked here; a test holds the two together. */
const char *const settings_languages[] = {
    "none", "am", "ar", "az", "be", "bg", "bn", "bs", "ca", "cs", "cy", "da", "de", "el", "en", "eo", "es", "et",
    "eu",   "fa", "fi", "fr", "ga", "gl", "gu", "he", "hi", "hr", "hu", "hy", "id", "is", "it", "ja", "ka", "kk",
    "km",   "kn", "ko", "lo", "lt", "lv", "mk", "ml", "mr", "ms", "my", "ne", "nl", "no", "pa", "pl", "pt", "ro",
    "ru",   "sk", "sl", "sq", "sr", "sv", "sw", "ta", "te", "th", "tr", "uk", "ur", "vi", "yi", "zh", NULL,
};

bool settings_knows_language(struct str code)
{
    for (const char *const *known = settings_languages; *known; known++)
        if (str_equal(code, str_of(*known)))
            return true;
    return false;
}

void settings_default(struct buf *out_json)
{
    const char *separator = "{";
    for (const struct settings_rule *rule = settings_rules; rule->name; rule++, separator = ",")
        buf_printf(out_json, "%s\"%s\":%s", separator, rule->name, rule->fallback);
    buf_append(out_json, "}", 1);
}

static void append_json(struct buf *out, const struct json *value);

static void append_children(struct buf *out, const struct json *parent)
{
    bool object = parent->type == JSON_OBJECT;
    buf_append(out, object ? "{" : "[", 1);
    for (const struct json *child = parent->first; child; child = child->next) {
        if (child != parent->first)
            buf_append(out, ",", 1);
        if (object) {
            buf_append_json(out, child->key);
            buf_append(out, ":", 1);
        }
        append_json(out, child);
    }
    buf_append(out, object ? "}" : "]", 1);
}

static void append_json(struct buf *out, const struct json *value)
{
    static const char *const words[] = {[JSON_NULL] = "null", [JSON_FALSE] = "false", [JSON_TRUE] = "true"};
    if (value->type == JSON_ARRAY || value->type == JSON_OBJECT)
        append_children(out, value);
    else if (value->type == JSON_STRING)
        buf_append_json(out, value->text);
    else
        buf_append_str(out, value->type == JSON_NUMBER ? value->text : str_of(words[value->type]));
}

static int read_tree(struct arena *arena, struct str text, struct json **out, struct settings_error *error)
{
    struct json_error why;
    int rc = json_tree(arena, text, out, &why);
    if (rc == ERR_CORRUPT)
        return settings_refuse(error, "", "not JSON at byte %zu: %s", why.offset, why.message);
    if (rc == ERR_TOO_LARGE)
        return settings_refuse(error, "", "nested deeper than %d", JSON_MAX_DEPTH);
    if (rc == 0 && (*out)->type != JSON_OBJECT)
        return settings_refuse(error, "", "settings must be a JSON object");
    return rc;
}

/* Every member is one that a rule knows and accepts; null resets and needs no check. */
static int check_change(const struct json *change, struct settings_error *error)
{
    for (const struct json *member = change->first; member; member = member->next) {
        const struct settings_rule *rule = settings_rules;
        while (rule->name && !str_equal(member->key, str_of(rule->name)))
            rule++;
        if (!rule->name) {
            char name[sizeof error->field];
            snprintf(name, sizeof name, "%.*s", (int)(member->key.len < 100 ? member->key.len : 100), member->key.ptr);
            return settings_refuse(error, name, "is not a setting");
        }
        int rc = member->type == JSON_NULL ? 0 : rule->check(member, error);
        if (rc)
            return rc;
    }
    return 0;
}

static void append_merged(struct buf *out, const struct json *current, const struct json *change)
{
    const char *separator = "{";
    for (const struct settings_rule *rule = settings_rules; rule->name; rule++, separator = ",") {
        const struct json *changed = json_member(change, rule->name);
        const struct json *value = changed ? changed : json_member(current, rule->name);
        buf_printf(out, "%s\"%s\":", separator, rule->name);
        if (!value || value->type == JSON_NULL)
            buf_append_str(out, str_of(rule->fallback));
        else
            append_json(out, value);
    }
    buf_append(out, "}", 1);
}

/* Whether documents are analyzed the same under both. */
static bool same_analysis(const struct settings *a, const struct settings *b)
{
    for (const struct settings_rule *rule = settings_rules; rule->name; rule++)
        if (rule->same && !rule->same(a, b))
            return false;
    return true;
}

int settings_compare(struct arena *arena, struct str a, struct str b, bool *out_same)
{
    struct settings x, y;
    int rc = settings_decode(arena, a, &x);
    if (rc == 0)
        rc = settings_decode(arena, b, &y);
    if (rc == 0)
        *out_same = same_analysis(&x, &y);
    return rc;
}

int settings_act_at_once(struct arena *arena, struct str change, bool *out)
{
    struct json *tree;
    struct settings_error ignored;
    bool all = true;
    int rc = read_tree(arena, change, &tree, &ignored);
    for (const struct settings_rule *rule = settings_rules; rc == 0 && rule->name; rule++)
        all = all && !(rule->same && json_member(tree, rule->name));
    if (rc == 0)
        *out = all;
    return rc;
}

int settings_merge(struct arena *arena, struct str current, struct str change, struct buf *out_json, bool *out_reanalyze,
                   struct settings_error *error)
{
    struct json *current_tree, *change_tree;
    struct buf merged = {0};
    *error = (struct settings_error){0};
    int rc = read_tree(arena, current, &current_tree, error);
    if (rc == 0)
        rc = read_tree(arena, change, &change_tree, error);
    if (rc == 0)
        rc = check_change(change_tree, error);
    if (rc)
        return rc;
    append_merged(&merged, current_tree, change_tree);
    bool same;
    rc = merged.err ? merged.err : settings_compare(arena, current, (struct str){merged.data, merged.len}, &same);
    if (rc == 0) {
        *out_reanalyze = !same;
        buf_append(out_json, merged.data, merged.len);
        rc = out_json->err;
    }
    buf_finish(&merged);
    return rc;
}

static size_t count_children(const struct json *parent)
{
    size_t count = 0;
    for (const struct json *child = parent->first; child; child = child->next)
        count++;
    return count;
}

/* The strings of an array; null is none. */
static int decode_names(struct arena *arena, const struct json *array, struct str **out, size_t *out_count)
{
    size_t count = array ? count_children(array) : 0, i = 0;
    struct str *names = arena_new_array(arena, count + 1, struct str);
    if (!names)
        return ERR_FULL;
    for (const struct json *child = array ? array->first : NULL; child; child = child->next) {
        if (child->type != JSON_STRING)
            return ERR_CORRUPT;
        names[i++] = child->text;
    }
    *out = names;
    *out_count = count;
    return 0;
}

static int decode_fields(struct arena *arena, const struct json *fields, struct settings *out)
{
    size_t count = 0;
    struct field_setting *settings =
        arena_new_array(arena, (fields ? count_children(fields) : 0) + 1, struct field_setting);
    if (!settings)
        return ERR_FULL;
    for (const struct json *field = fields ? fields->first : NULL; field; field = field->next) {
        const struct json *weight = json_member(field, "weight");
        int64_t value = 1;
        if (weight && (!json_int(weight, &value) || value < 1 || value > SETTINGS_MAX_WEIGHT))
            return ERR_CORRUPT;
        if (value != 1)
            settings[count++] = (struct field_setting){.name = field->key, .weight = (uint32_t)value};
    }
    out->fields = settings;
    out->field_count = count;
    return 0;
}

int settings_decode(struct arena *arena, struct str json, struct settings *out)
{
    struct json *tree;
    struct settings made = {0};
    struct str copy = arena_copy(arena, json);
    if (!copy.ptr)
        return ERR_FULL;
    int rc = json_tree(arena, copy, &tree, NULL);
    if (rc)
        return rc;
    if (tree->type != JSON_OBJECT)
        return ERR_CORRUPT;
    const struct json *language = json_member(tree, "language");
    const struct json *stop_words = json_member(tree, "stop_words");
    if (language && language->type != JSON_STRING)
        return ERR_CORRUPT;
    made.language = language ? language->text : STR("en");
    made.own_stop_words = stop_words && stop_words->type != JSON_NULL;
    rc = decode_fields(arena, json_member(tree, "fields"), &made);
    if (rc == 0)
        rc = decode_names(arena, json_member(tree, "searchable"), &made.searchable, &made.searchable_count);
    if (rc == 0)
        rc = decode_names(arena, stop_words, &made.stop_words, &made.stop_word_count);
    if (rc == 0)
        rc = decode_names(arena, json_member(tree, "displayed"), &made.displayed, &made.displayed_count);
    if (rc == 0)
        *out = made;
    return rc;
}

uint32_t settings_weight(const struct settings *s, struct str field)
{
    for (size_t i = 0; i < s->field_count; i++)
        if (str_equal(s->fields[i].name, field))
            return s->fields[i].weight;
    return 1;
}

bool settings_is_searchable(const struct settings *s, struct str field)
{
    for (size_t i = 0; i < s->searchable_count; i++)
        if (str_equal(s->searchable[i], field))
            return true;
    return s->searchable_count == 0;
}
