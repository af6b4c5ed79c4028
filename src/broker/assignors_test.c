/* Goal: partitions are shared evenly, each has one owner, and what need not move stays.
 * Method: fixed cases by eye; random groups, whose topics and members come and go, against the rules. */
#include "broker/assignors.h"
#include "broker/broker_test.h"

enum { TOPICS = 6, MEMBERS = 9 };

typedef struct group_case {
    weir_account account;
    assign_topic topics[TOPICS];
    size_t topic_count;
    uint8_t subscribed[MEMBERS][1]; /* TOPICS bits */
    partition_set previous[MEMBERS];
    assign_member members[MEMBERS];
    size_t member_count;
} group_case;

static void begin(group_case *self, size_t topics, int32_t partitions, size_t members) {
    memset(self, 0, sizeof *self);
    weir_account_init(&self->account, "assignors", 0);
    self->topic_count = topics;
    self->member_count = members;
    for (size_t t = 0; t < topics; t++) {
        self->topics[t].id[0] = (uint8_t)(t + 1);
        self->topics[t].partition_count = partitions;
    }
    for (size_t m = 0; m < members; m++) {
        for (size_t t = 0; t < topics; t++) broker_assign_want(self->subscribed[m], t);
        self->members[m] = (assign_member){.subscribed = self->subscribed[m], .previous = &self->previous[m]};
    }
}

static void end(group_case *self) {
    for (size_t m = 0; m < MEMBERS; m++) {
        broker_partitions_free(&self->account, &self->previous[m]);
        broker_partitions_free(&self->account, &self->members[m].target);
    }
    weir_account_deinit(&self->account);
}

/* The targets become what the members had. */
static void settle(group_case *self) {
    for (size_t m = 0; m < MEMBERS; m++) {
        broker_partitions_free(&self->account, &self->previous[m]);
        self->previous[m] = self->members[m].target;
        self->members[m].target = (partition_set){0};
    }
}

static size_t kept(const group_case *self) {
    size_t count = 0;
    for (size_t m = 0; m < self->member_count; m++) {
        for (size_t i = 0; i < self->members[m].target.count; i++)
            count += broker_partitions_have(&self->previous[m], &self->members[m].target.items[i]);
    }
    return count;
}

/* Every partition of a topic that somebody wants has exactly one owner, who wants it. */
static void check_owners(const group_case *self) {
    for (size_t t = 0; t < self->topic_count; t++) {
        bool wanted = false;
        for (size_t m = 0; m < self->member_count; m++) wanted |= broker_assign_wants(&self->members[m], t);
        for (int32_t p = 0; p < self->topics[t].partition_count; p++) {
            consumer_partition partition = {.partition = p};
            memcpy(partition.topic_id, self->topics[t].id, 16);
            int owners = 0;
            for (size_t m = 0; m < self->member_count; m++) {
                const bool has = broker_partitions_have(&self->members[m].target, &partition);
                assert_false(has && !broker_assign_wants(&self->members[m], t));
                owners += has;
            }
            assert_int_equal(owners, wanted);
        }
    }
}

static void test_range_gives_runs(void **state) {
    (void)state;
    group_case self;
    begin(&self, 2, 7, 3);
    broker_assign_range(&self.account, self.topics, 2, self.members, 3);
    check_owners(&self);
    const size_t sizes[] = {6, 4, 4};
    for (size_t m = 0; m < 3; m++) assert_int_equal(self.members[m].target.count, sizes[m]);
    assert_int_equal(self.members[0].target.items[2].partition, 2);
    assert_int_equal(self.members[1].target.items[0].partition, 3);
    end(&self);
}

static void test_uniform_moves_no_more_than_it_must(void **state) {
    (void)state;
    group_case self;
    begin(&self, 2, 6, 3);
    broker_assign_uniform(&self.account, self.topics, 2, self.members, 2);
    self.member_count = 2;
    check_owners(&self);
    assert_int_equal(self.members[0].target.count, 6);
    settle(&self);
    self.member_count = 3;
    broker_assign_uniform(&self.account, self.topics, 2, self.members, 3);
    check_owners(&self);
    for (size_t m = 0; m < 3; m++) assert_int_equal(self.members[m].target.count, 4);
    assert_int_equal(kept(&self), 8);
    settle(&self);
    self.topics[1].partition_count = 9; /* three more: one each, nothing moves */
    broker_assign_uniform(&self.account, self.topics, 2, self.members, 3);
    check_owners(&self);
    for (size_t m = 0; m < 3; m++) assert_int_equal(self.members[m].target.count, 5);
    assert_int_equal(kept(&self), 12);
    end(&self);
}

static void test_random_groups_are_level(void **state) {
    (void)state;
    io_sim *sim = io_sim_create(11);
    for (int round = 0; round < 300; round++) {
        group_case self;
        begin(&self, 1 + (size_t)io_sim_draw(sim, TOPICS), 1, 1 + (size_t)io_sim_draw(sim, MEMBERS));
        for (int step = 0; step < 4; step++) {
            memset(self.subscribed, 0, sizeof self.subscribed);
            for (size_t t = 0; t < self.topic_count; t++) {
                self.topics[t].partition_count = (int32_t)io_sim_draw(sim, 12);
                for (size_t m = 0; m < self.member_count; m++) {
                    if (io_sim_draw(sim, 3) > 0) broker_assign_want(self.subscribed[m], t);
                }
            }
            broker_assign_uniform(&self.account, self.topics, self.topic_count, self.members, self.member_count);
            check_owners(&self);
            /* No single move makes it more even. */
            for (size_t m = 0; m < self.member_count; m++) {
                for (size_t i = 0; i < self.members[m].target.count; i++) {
                    const size_t t = (size_t)self.members[m].target.items[i].topic_id[0] - 1;
                    for (size_t other = 0; other < self.member_count; other++) {
                        if (broker_assign_wants(&self.members[other], t))
                            assert_true(self.members[other].target.count + 1 >= self.members[m].target.count);
                    }
                }
            }
            settle(&self);
        }
        end(&self);
    }
    io_sim_destroy(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range_gives_runs),
        cmocka_unit_test(test_uniform_moves_no_more_than_it_must),
        cmocka_unit_test(test_random_groups_are_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
