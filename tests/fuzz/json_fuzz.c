/* JSON of any bytes: parsed, as a tree, scanned for a member, unescaped. */
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/err.h"
#include "common/json.h"
#include "common/json_why.h"
#include "common/utf8.h"
#include "tests/fuzz/fuzz.h"

enum { ARENA = 4 << 20 };

static bool check_scalar(void *context, enum json_type type, struct str text)
{
    (void)context;
    require(type != JSON_STRING || utf8_valid_prefix(text) == text.len);
    return true;
}

static bool check_key(void *context, struct str key)
{
    return check_scalar(context, JSON_STRING, key);
}

/* A document that is whole and has a string named id: the scan finds it too, and it unescapes to the same. */
static void check_scan(struct arena *arena, struct str text, const struct json *root)
{
    const struct json *id = json_member(root, "id");
    struct str raw;
    bool quoted;
    bool found = json_scan_member(text, STR("id"), &raw, &quoted);
    if (found && quoted) {
        struct str plain = json_unescape(arena, raw);
        require(!id || id->type != JSON_STRING || (plain.ptr && str_equal(plain, id->text)));
    }
    (void)json_scan_beginning(text, STR("id"), &raw, &quoted);
}

/* Two readers that know nothing of each other: what one takes for JSON is it for the other. */
static void check_why(struct arena *arena, struct str text, int err, const struct json_error *error)
{
    struct json_error why;
    int second = json_why(arena, text, &why);
    require(arena_mark(arena) == 0);
    require(err || second == 0);
    require(err != ERR_CORRUPT || (second == ERR_CORRUPT && error->offset == why.offset && !strcmp(error->message, why.message)));
}

static void scan_anything(struct arena *arena, struct str text)
{
    struct str raw;
    bool quoted;
    if (json_scan_member(text, STR("id"), &raw, &quoted) && quoted)
        (void)json_unescape(arena, raw);
    (void)json_scan_beginning(text, STR("a"), &raw, &quoted);
    (void)json_unescape(arena, text);
}

static int json_fuzz(const uint8_t *data, size_t size)
{
    static const struct json_events events = {.scalar = check_scalar, .key = check_key};
    struct arena arena;
    struct json *root;
    struct json_error error;
    char *copy = malloc(size ? size : 1);
    require(copy && arena_init(&arena, ARENA, 0) == 0);
    if (size)
        memcpy(copy, data, size);
    struct str text = {.ptr = copy, .len = size};
    int err = json_parse(&arena, text, &events, NULL, &error);
    require(err == 0 || err == ERR_CORRUPT || err == ERR_TOO_LARGE || err == ERR_FULL);
    arena_rewind(&arena, 0);
    check_why(&arena, text, err, &error);
    require(err == 0 || (error.offset <= size && strlen(error.message) < sizeof error.message));
    int tree_err = json_tree(&arena, text, &root, NULL);
    require(tree_err == err || tree_err == ERR_FULL);
    if (tree_err == 0)
        check_scan(&arena, text, root);
    scan_anything(&arena, text);
    arena_finish(&arena);
    free(copy);
    return 0;
}

const struct fuzz_target fuzz_target = {.most = 4096, .rounds = 2000, .mutations = 200, .run = json_fuzz};
