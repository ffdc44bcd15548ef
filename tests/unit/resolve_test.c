/* Random operations, committed in any order and merged meanwhile, against the obvious: of an id, the applied operation with
 * the highest stamp counts. */
#include "index/postings.h"
#include "index/resolve.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <signal.h>

#include "common/err.h"
#include "common/hash.h"
#include "index/score.h"
#include "resolve_world.h"

/* ----------------------------------------------------------------------------------------- the obvious */

static uint64_t expected_winner(const struct world *w, const struct core_view *v, uint32_t id)
{
    for (uint64_t n = w->count; n >= 1; n--) {
        if (w->operations[n].id == id && core_is_applied(v, n))
            return w->operations[n].is_deletion ? 0 : n;
    }
    return 0;
}

static void check_live_set(struct world *w, const struct snapshot *s)
{
    uint64_t documents = 0, length = 0;
    char room[16];
    for (uint32_t id = 0; id < IDS; id++) {
        uint64_t winner = expected_winner(w, s->view, id);
        size_t segment;
        uint32_t document;
        int err;
        struct str text = id_text(id, room);
        bool found = snapshot_find(s, hash64(text), text, &segment, &document, &err);
        assert_int_equal(err, 0);
        assert_int_equal(found, winner != 0);
        if (!found)
            continue;
        assert_int_equal(segment_stamps(s->segments[segment].segment)[document], stamp_of(winner));
        documents++;
        length += length_decoded[code_of(stamp_of(winner))];
    }
    assert_int_equal(s->view->documents, documents);
    assert_int_equal(s->view->total_length, length);
}

static int64_t count_live(const struct snapshot_segment *s, struct str key)
{
    struct term term;
    int err = 0;
    if (!segment_find_term(s->segment, key, &term, &err))
        return err;
    struct postings p;
    int64_t count = 0;
    for (postings_open(&p, s->segment, &term); p.document != POSTINGS_END; postings_next(&p))
        count += !core_is_deleted(s->core, p.document);
    return p.err ? p.err : count;
}

static int64_t frequency_of(struct snapshot_segment *s, struct str key)
{
    struct term term;
    return snapshot_term(s, key, &term);
}

static void check_frequencies(struct world *w, struct snapshot *s)
{
    char room[16];
    for (size_t i = 0; i < s->segment_count; i++) {
        struct str key = key_of(pick(w, IDS), room);
        assert_int_equal(frequency_of(&s->segments[i], key), count_live(&s->segments[i], key));
        assert_int_equal(frequency_of(&s->segments[i], STR("sall")),
                         s->segments[i].core->documents - s->segments[i].core->deleted);
    }
}

/* Old generations stay as they were while newer ones share their files. */
static void check(struct world *w)
{
    uint32_t newest = pick(w, SNAPSHOTS), from = pick(w, SNAPSHOTS);
    struct snapshot *s = look(w, w->held[from]);
    check_live_set(w, s);
    check_frequencies(w, s);
    snapshot_release(w->held[newest]);
    w->held[newest] = s;
    struct snapshot *old = w->held[pick(w, SNAPSHOTS)];
    if (old) {
        check_frequencies(w, old);
        check_live_set(w, old);
    }
}

static void check_end(struct world *w)
{
    check(w);
    struct core_view *v;
    assert_int_equal(core_read(w->core, NULL, &v), 0);
    assert_int_equal(v->watermark, w->count + 1);
    assert_int_equal(v->range_count, 0);
    core_view_release(v);
    uint64_t hash;
    assert_int_equal(core_begin(w->core), 0);
    assert_int_equal(core_seek_tombstone(w->core, 0, &hash), -ENOENT);
    core_abort(w->core);
}

/* ------------------------------------------------------------------------------------------- the cases */

static uint64_t worlds(uint64_t usual)
{
    const char *wanted = getenv("MAYFLY_RESOLVE_WORLDS");
    return wanted ? strtoull(wanted, NULL, 10) : usual;
}

static void any_order_of_commits_gives_the_same_documents(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= worlds(12); seed++) {
        struct world *w = make_world(seed);
        assert_int_equal(core_open_writer(w->directory, &w->core), 0);
        struct merging m;
        bool is_merging = false;
        for (uint32_t i = 0; i < w->job_count; i++) {
            if (!is_merging && pick(w, 6) == 0)
                is_merging = begin_merge(w, &m);
            assert_int_equal(run_job(w, w->jobs[i]), 0);
            assert_int_equal(run_job(w, w->jobs[i]), ERR_STALE);
            if (is_merging && pick(w, 4) == 0) {
                assert_int_equal(end_merge(w, &m), 0);
                is_merging = false;
            }
            check(w);
        }
        if (is_merging)
            assert_int_equal(end_merge(w, &m), 0);
        check_end(w);
        end_world(w);
    }
}

static void of_two_merges_of_a_segment_one_is_refused(void **state)
{
    (void)state;
    struct world *w = make_world(77);
    assert_int_equal(core_open_writer(w->directory, &w->core), 0);
    for (uint32_t i = 0; i < w->job_count; i++)
        assert_int_equal(run_job(w, w->jobs[i]), 0);
    struct merging one, other;
    while (!begin_merge(w, &one))
        continue;
    do {
        while (!begin_merge(w, &other))
            continue;
        if (other.inputs[0] == one.inputs[0])
            break;
        snapshot_release(other.merged);
        segment_close(other.output);
    } while (true);
    assert_int_equal(end_merge(w, &one), 0);
    assert_int_equal(end_merge(w, &other), ERR_STALE);
    check_end(w);
    end_world(w);
}

/* One process each, as workers are; each commits its share of the jobs in its own order, one of them merges. */
static _Noreturn void work(struct world *w, uint32_t number, uint32_t of)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    w->random += number;
    w->next_segment = 1000 + number;
    w->segment_step = of;
    if (core_open_writer(w->directory, &w->core))
        _exit(1);
    for (uint32_t i = number; i < w->job_count; i += of) {
        struct merging m;
        bool is_merging = number == 0 && begin_merge(w, &m);
        int err = run_job(w, w->jobs[i]);
        if (err)
            _exit(2);
        err = is_merging ? end_merge(w, &m) : 0;
        if (err)
            _exit(3);
    }
    core_close(w->core);
    _exit(0);
}

static void workers_at_the_same_time_give_the_same_documents(void **state)
{
    (void)state;
    enum { WORKERS = 4 };
    for (uint64_t seed = 1; seed <= worlds(6); seed++) {
        struct world *w = make_world(seed + 1000);
        pid_t children[WORKERS];
        for (uint32_t i = 0; i < WORKERS; i++) {
            children[i] = fork();
            if (children[i] == 0)
                work(w, i, WORKERS);
        }
        for (uint32_t i = 0; i < WORKERS; i++) {
            int status;
            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            assert_int_equal(status, 0);
        }
        assert_int_equal(core_open_writer(w->directory, &w->core), 0);
        check_end(w);
        end_world(w);
    }
}

/* A file that was unlinked is met by whoever opens it. */
static void who_adds_an_id_opens_no_file_that_cannot_have_it(void **state)
{
    (void)state;
    char path[128];
    struct world *w = make_world(1);
    w->count = 3;
    w->operations[1] = (struct operation){.id = 1};
    w->operations[2] = (struct operation){.id = 2};
    w->operations[3] = (struct operation){.id = 1};
    w->next_segment = w->segment_step = 3; /* files */
    assert_int_equal(core_open_writer(w->directory, &w->core), 0);
    assert_int_equal(run_job(w, (struct core_range){1, 2}), 0);
    snapshot_segment_path(w->directory, 3, path, sizeof path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(run_job(w, (struct core_range){2, 3}), 0);
    assert_int_equal(run_job(w, (struct core_range){3, 4}), -ENOENT);
    end_world(w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_of_commits_gives_the_same_documents),
        cmocka_unit_test(who_adds_an_id_opens_no_file_that_cannot_have_it),
        cmocka_unit_test(of_two_merges_of_a_segment_one_is_refused),
        cmocka_unit_test(workers_at_the_same_time_give_the_same_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
