/* libFuzzer's entry, of every target. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return size > fuzz_target.most ? -1 : fuzz_target.run(data, size);
}
