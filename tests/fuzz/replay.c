/* Runs a fuzz target over the files it is given, else over a sequence of inputs that is the same each time. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static size_t fill(uint8_t *input, size_t most, uint64_t *state)
{
    size_t size = next_random(state) % (next_random(state) % 4 ? most / 8 + 1 : most + 1);
    uint64_t kind = next_random(state) % 4;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)next_random(state);
        input[i] = kind == 0 ? byte : kind == 1 ? byte & 0x0f : kind == 2 ? byte & 0x7f : byte % 3 ? byte : 0xff;
    }
    return size;
}

static int run_file(const char *path)
{
    uint8_t *input = malloc(fuzz_target.most);
    FILE *file = fopen(path, "rb");
    if (!input || !file) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return EXIT_FAILURE;
    }
    size_t size = fread(input, 1, fuzz_target.most, file);
    fclose(file);
    fuzz_target.run(input, size);
    free(input);
    return EXIT_SUCCESS;
}

static int run_sequence(void)
{
    uint64_t state = 20;
    uint8_t *input = malloc(fuzz_target.most + 1);
    if (!input)
        return EXIT_FAILURE;
    for (size_t round = 0; round < fuzz_target.rounds; round++) {
        size_t size = fill(input, fuzz_target.most, &state);
        fuzz_target.run(input, size);
    }
    free(input);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    int status = argc > 1 ? EXIT_SUCCESS : run_sequence();
    for (int i = 1; i < argc && status == EXIT_SUCCESS; i++)
        status = run_file(argv[i]);
    if (fuzz_target.finish)
        fuzz_target.finish();
    return status;
}
