/* Runs a fuzz target over the files it is given as they are; over directories, the target's seeds and a random sequence
 * with mutations that are the same each time. */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/bytes.h"
#include "tests/fuzz/fuzz.h"

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint8_t *room_for_an_input(void)
{
    uint8_t *room = malloc(fuzz_target.most + 1);
    if (!room)
        abort();
    return room;
}

/* ----------------------------------------------------------------------------------------------------- mutations */

static size_t mutate(uint8_t *data, size_t size, uint64_t *random)
{
    static const uint8_t odd[] = {0, 1, 0x7f, 0x80, 0xff, '"', '\\', '{', '}', '[', ']', 'u', 0xed, 0xc0};
    uint64_t r = next_random(random);
    size_t at = size ? (size_t)(r >> 8) % size : 0;
    switch (r % 6) {
    case 0: /* a bit */
        if (size)
            data[at] ^= (uint8_t)(1u << (r >> 40) % 8);
        return size;
    case 1: /* a byte of those that mean something */
        if (size)
            data[at] = odd[(r >> 40) % sizeof odd];
        return size;
    case 2: /* cut off */
        return at;
    case 3: /* one more in the middle */
        if (size == fuzz_target.most)
            return size;
        memmove(data + at + 1, data + at, size - at);
        data[at] = odd[(r >> 40) % sizeof odd];
        return size + 1;
    case 4: /* one less */
        if (!size)
            return size;
        memmove(data + at, data + at + 1, size - at - 1);
        return size - 1;
    default: /* a length far too large */
        if (size >= at + 4)
            store_u32(data + at, (uint32_t)(r >> 32));
        return size;
    }
}

static int replay(const uint8_t *seed, size_t size)
{
    uint64_t random = 0x9e3779b97f4a7c15u + size;
    uint8_t *data = room_for_an_input();
    fuzz_target.run(seed, size);
    for (size_t i = 0; i < fuzz_target.mutations; i++) {
        size_t length = size;
        if (size)
            memcpy(data, seed, size);
        for (uint64_t n = 1 + next_random(&random) % 4; n; n--)
            length = mutate(data, length, &random);
        fuzz_target.run(data, length);
    }
    free(data);
    return 0;
}

/* --------------------------------------------------------------------------------------------------------- files */

static void run_file(const char *path, fuzz_run *take)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    uint8_t *input = room_for_an_input();
    size_t size = fread(input, 1, fuzz_target.most, file);
    fclose(file);
    take(input, size);
    free(input);
}

static size_t run_directory(const char *path)
{
    struct dirent **entries;
    size_t files = 0;
    int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            run_file(name, replay);
            files++;
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return files;
}

/* -------------------------------------------------------------------------------------------------------- random */

static size_t fill(uint8_t *input, uint64_t *random)
{
    size_t most = fuzz_target.most;
    size_t size = next_random(random) % (next_random(random) % 4 ? most / 8 + 1 : most + 1);
    uint64_t kind = next_random(random) % 4;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)(next_random(random) >> 33);
        input[i] = kind == 0 ? byte : kind == 1 ? byte & 0x0f : kind == 2 ? byte & 0x7f : byte % 3 ? byte : 0xff;
    }
    return size;
}

static void run_random(void)
{
    uint64_t random = 20;
    uint8_t *input = room_for_an_input();
    for (size_t round = 0; round < fuzz_target.rounds; round++)
        fuzz_target.run(input, fill(input, &random));
    free(input);
}

/* An empty corpus is a wrong path. */
static int run_directories(char **paths, int count)
{
    for (int i = 0; i < count; i++) {
        if (!run_directory(paths[i])) {
            fprintf(stderr, "%s: no inputs there\n", paths[i]);
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}

static int run_sequence(char **paths, int count)
{
    if (fuzz_target.seeds)
        fuzz_target.seeds(replay);
    run_random();
    return run_directories(paths, count);
}

int main(int argc, char **argv)
{
    struct stat status;
    int result = EXIT_SUCCESS;
    bool is_file = argc > 1 && stat(argv[1], &status) == 0 && S_ISREG(status.st_mode);
    if (!is_file)
        result = run_sequence(argv + 1, argc - 1);
    for (int i = 1; is_file && i < argc; i++)
        run_file(argv[i], fuzz_target.run);
    if (fuzz_target.finish)
        fuzz_target.finish();
    return result;
}
