/* Several processes raise the word at once, some of them with the tag of an owner before. */
#include "common/tagged_max.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PROCESSES = 4, RAISES = 1000000, STALE = 6, OWN = 7 };

static void only_the_owner_raises(void **state)
{
    tagged_max word;
    (void)state;
    tagged_max_begin(&word, OWN);
    assert_int_equal(tagged_max_get(&word, OWN), 0);
    tagged_max_raise(&word, OWN, 40);
    tagged_max_raise(&word, OWN, 30);
    assert_int_equal(tagged_max_get(&word, OWN), 40);
    tagged_max_raise(&word, STALE, UINT32_MAX);
    assert_int_equal(tagged_max_get(&word, OWN), 40);
    assert_int_equal(tagged_max_get(&word, STALE), 0);
    tagged_max_raise(&word, OWN, UINT32_MAX);
    assert_int_equal(tagged_max_get(&word, OWN), UINT32_MAX);
    tagged_max_begin(&word, UINT32_MAX);
    assert_int_equal(tagged_max_get(&word, OWN), 0);
    assert_int_equal(tagged_max_get(&word, UINT32_MAX), 0);
}

/* Each time a little above what is there, as all others do. False if what was raised is not there, or the word falls. */
static bool raise_many(tagged_max *word, uint32_t process)
{
    for (uint32_t i = 0; i < RAISES; i++) {
        uint32_t value = tagged_max_get(word, OWN) + 1 + process;
        tagged_max_raise(word, STALE, UINT32_MAX - i);
        tagged_max_raise(word, OWN, value);
        if (tagged_max_get(word, OWN) < value)
            return false;
    }
    return true;
}

/* All begin when the writing end of the pipe is closed. */
static void run_process(tagged_max *word, uint32_t process, const int begin[2])
{
    char none;
    close(begin[1]);
    bool is_right = read(begin[0], &none, 1) == 0 && raise_many(word, process);
    _exit(is_right ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void what_processes_raise_it_to_stays(void **state)
{
    void *page = mmap(NULL, sizeof(tagged_max), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    tagged_max *word = page;
    int status, begin[2];
    (void)state;
    assert_int_equal(pipe(begin), 0);
    assert_ptr_not_equal(page, MAP_FAILED);
    tagged_max_begin(word, OWN);
    for (uint32_t process = 0; process < PROCESSES; process++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            run_process(word, process, begin);
    }
    close(begin[0]);
    close(begin[1]);
    for (uint32_t process = 0; process < PROCESSES; process++) {
        assert_true(wait(&status) > 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
    }
    assert_in_range(tagged_max_get(word, OWN), RAISES, PROCESSES * PROCESSES * RAISES);
    munmap(page, sizeof *word);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_owner_raises),
        cmocka_unit_test(what_processes_raise_it_to_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
