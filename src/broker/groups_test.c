/* Goal: groups of the classic protocol go through their states as Kafka's do, and come back after a death.
 * Method: stories with a few members, told as operations of broker.h in a simulated world whose clock the test moves.
 */
#include "broker/broker_test.h"

NODE_OPERATION(join, broker_join, operation)
NODE_OPERATION(sync, broker_sync, operation)
NODE_OPERATION(commit, broker_offset_commit, operation)

enum { SESSION_MS = 10000, REBALANCE_MS = 60000 };

typedef struct group_user { /* a consumer of the group "g" and what it was told last */
    node_world *node;
    char id[128];
    const char *instance;
    const char *subscription;
    int32_t generation;
    char leader[128];
    char assignment[128];
    size_t members_told;
    bool skip;
    broker_group_protocol protocols[2];
    size_t protocol_count;
    join_call join;
    sync_call sync;
} group_user;

static void keep(char *target, weir_bytes value) {
    snprintf(target, 128, "%.*s", (int)value.size, value.data ? (const char *)value.data : "");
}

static void member_init(group_user *member, node_world *node, const char *instance, const char *subscription) {
    memset(member, 0, sizeof *member);
    member->node = node;
    member->instance = instance;
    member->subscription = subscription;
    member->protocols[0] = (broker_group_protocol){text("range"), text(subscription)};
    member->protocol_count = 1;
}

static group_user *told_member;
static void join_told(broker_join *join) { /* the views live during done() only */
    struct group_user *member = io_owner(join, group_user, join.operation);
    member->generation = join->generation;
    member->members_told = join->member_count;
    member->skip = join->skip_assignment;
    keep(member->leader, join->leader);
    if (join->error == BROKER_NONE || join->error == BROKER_MEMBER_ID_REQUIRED) keep(member->id, join->out_member_id);
    told_member = member;
    join_done(join);
}

static void sync_told(broker_sync *sync) {
    struct group_user *member = io_owner(sync, group_user, sync.operation);
    keep(member->assignment, sync->assignment);
    sync_done(sync);
}

static void join_begin(group_user *member) {
    member->join = (join_call){.operation = {.principal = &guard_anonymous,
                                             .group = text("g"),
                                             .member_id = text(member->id),
                                             .instance_id = text(member->instance),
                                             .client_id = text("client"),
                                             .client_host = text("/127.0.0.1"),
                                             .protocol_type = text("consumer"),
                                             .protocols = member->protocols,
                                             .protocol_count = member->protocol_count,
                                             .session_timeout_ms = SESSION_MS,
                                             .rebalance_timeout_ms = REBALANCE_MS,
                                             .member_id_required = true,
                                             .skip_assignment_known = true,
                                             .done = join_told}};
    broker_group_join(member->node->broker, &member->join.operation);
}

static broker_error join_end(group_user *member) {
    node_until(member->node, &member->join.done);
    return member->join.operation.error;
}

/* Joins for good: a dynamic member is first given its id. */
static void join_start_new(group_user *member) {
    join_begin(member);
    if (member->instance) return;
    assert_int_equal(join_end(member), BROKER_MEMBER_ID_REQUIRED);
    assert_true(member->id[0] != 0);
    join_begin(member);
}

static void sync_begin(group_user *member, const broker_assignment *assignments, size_t count) {
    member->sync = (sync_call){.operation = {.principal = &guard_anonymous,
                                             .group = text("g"),
                                             .member_id = text(member->id),
                                             .instance_id = text(member->instance),
                                             .generation = member->generation,
                                             .assignments = assignments,
                                             .assignment_count = count,
                                             .done = sync_told}};
    broker_group_sync(member->node->broker, &member->sync.operation);
}

static broker_error sync_end(group_user *member) {
    node_until(member->node, &member->sync.done);
    return member->sync.operation.error;
}

static broker_error beat(const group_user *member) {
    return broker_group_heartbeat(member->node->broker, &guard_anonymous, text("g"), text(member->id),
                                  text(member->instance), member->generation);
}

static broker_error leave(const group_user *member) {
    return broker_group_leave(member->node->broker, &guard_anonymous, text("g"), text(member->id),
                              text(member->instance));
}

static broker_error commit(const group_user *member, const char *topic, int64_t offset) {
    broker_offset entry = {.topic = text(topic), .offset = offset, .leader_epoch = -1, .metadata = text("note")};
    commit_call call = {.operation = {.principal = &guard_anonymous,
                                      .group = text("g"),
                                      .member_id = text(member ? member->id : ""),
                                      .instance_id = text(member ? member->instance : NULL),
                                      .generation = member ? member->generation : -1,
                                      .offsets = &entry,
                                      .offset_count = 1,
                                      .done = commit_done}};
    node_world *node = member ? member->node : told_member->node;
    broker_offsets_commit(node->broker, &call.operation);
    node_until(node, &call.done);
    return entry.error;
}

static int64_t committed(node_world *node, const char *topic) {
    const broker_offset *found = broker_offset_find(node->broker, text("g"), text(topic), 0);
    return found ? found->offset : -1;
}

static const char *state_of(node_world *node) {
    broker_group_info info;
    return broker_group_describe(node->broker, text("g"), &info) ? info.state : "none";
}

/* Two members in one generation, the first leading, each with its own assignment. */
static void join_pair(group_user *first, group_user *second) {
    join_start_new(first);
    assert_int_equal(join_end(first), BROKER_NONE);
    const broker_assignment alone[] = {{text(first->id), text("all")}};
    sync_begin(first, alone, 1);
    assert_int_equal(sync_end(first), BROKER_NONE);
    assert_string_equal(first->assignment, "all");

    join_start_new(second);
    node_for_ms(first->node, 10);
    assert_false(second->join.done);
    assert_int_equal(beat(first), BROKER_REBALANCE_IN_PROGRESS);
    join_begin(first);
    assert_int_equal(join_end(first), BROKER_NONE);
    assert_int_equal(join_end(second), BROKER_NONE);
    assert_string_equal(first->leader, first->id);
    assert_string_equal(second->leader, first->id);
    assert_int_equal(first->members_told, 2);
    assert_int_equal(second->members_told, 0);
    assert_int_equal(first->generation, second->generation);

    sync_begin(second, NULL, 0); /* waits for the leader */
    node_for_ms(first->node, 10);
    assert_false(second->sync.done);
    const broker_assignment both[] = {{text(first->id), text("left")}, {text(second->id), text("right")}};
    sync_begin(first, both, 2);
    assert_int_equal(sync_end(first), BROKER_NONE);
    assert_int_equal(sync_end(second), BROKER_NONE);
    assert_string_equal(first->assignment, "left");
    assert_string_equal(second->assignment, "right");
    assert_string_equal(state_of(first->node), "Stable");
}

static void test_two_members_share_and_one_leaves(void **state) {
    (void)state;
    node_world node;
    group_user first, second;
    node_begin(&node, 1);
    member_init(&first, &node, NULL, "topics");
    member_init(&second, &node, NULL, "topics");
    join_pair(&first, &second);
    assert_int_equal(beat(&first), BROKER_NONE);
    assert_int_equal(leave(&second), BROKER_NONE);
    assert_int_equal(leave(&second), BROKER_UNKNOWN_MEMBER_ID);
    assert_int_equal(beat(&first), BROKER_REBALANCE_IN_PROGRESS);
    join_begin(&first);
    assert_int_equal(join_end(&first), BROKER_NONE);
    assert_int_equal(first.members_told, 1);
    assert_int_equal(leave(&first), BROKER_NONE);
    assert_string_equal(state_of(&node), "Empty");
    node_end(&node);
}

/* A generation that is over cannot commit, sync or beat. */
static void test_a_zombie_is_fenced(void **state) {
    (void)state;
    node_world node;
    group_user first, second;
    node_begin(&node, 2);
    node_create(&node, "t", 1, NULL, 0);
    member_init(&first, &node, NULL, "topics");
    member_init(&second, &node, NULL, "topics");
    join_pair(&first, &second);
    assert_int_equal(commit(&first, "t", 5), BROKER_NONE);
    group_user zombie = first;
    zombie.generation--;
    assert_int_equal(commit(&zombie, "t", 1), BROKER_ILLEGAL_GENERATION);
    assert_int_equal(beat(&zombie), BROKER_ILLEGAL_GENERATION);
    sync_begin(&zombie, NULL, 0);
    assert_int_equal(sync_end(&zombie), BROKER_ILLEGAL_GENERATION);
    snprintf(zombie.id, sizeof zombie.id, "nobody");
    assert_int_equal(commit(&zombie, "t", 1), BROKER_UNKNOWN_MEMBER_ID);
    told_member = &first;
    assert_int_equal(commit(NULL, "t", 1), BROKER_UNKNOWN_MEMBER_ID); /* a simple consumer may not beside members */
    assert_int_equal(commit(&first, "nowhere", 1), BROKER_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(committed(&node, "t"), 5);
    node_end(&node);
}

static void test_a_silent_member_is_dropped(void **state) {
    (void)state;
    node_world node;
    group_user first, second;
    node_begin(&node, 3);
    member_init(&first, &node, NULL, "topics");
    member_init(&second, &node, NULL, "topics");
    join_pair(&first, &second);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(beat(&first), i < 3 ? BROKER_NONE : BROKER_REBALANCE_IN_PROGRESS);
        node_for_ms(&node, SESSION_MS / 2 - 1000 * (i == 0));
        if (i == 2) node_for_ms(&node, 2000);
    }
    assert_int_equal(beat(&second), BROKER_UNKNOWN_MEMBER_ID);
    join_begin(&first);
    assert_int_equal(join_end(&first), BROKER_NONE);
    assert_int_equal(first.members_told, 1);
    node_end(&node);
}

/* Who is told of a round and does not come in time is left behind. */
static void test_a_round_does_not_wait_for_ever(void **state) {
    (void)state;
    node_world node;
    group_user first, second, third;
    node_begin(&node, 4);
    member_init(&first, &node, NULL, "topics");
    member_init(&second, &node, NULL, "topics");
    member_init(&third, &node, NULL, "topics");
    join_pair(&first, &second);
    join_start_new(&third);
    join_begin(&first);
    for (int i = 0; i < REBALANCE_MS / 5000 && !third.join.done; i++) {
        beat(&second); /* alive, but it never joins */
        node_for_ms(&node, 5000);
    }
    assert_int_equal(join_end(&first), BROKER_NONE);
    assert_int_equal(join_end(&third), BROKER_NONE);
    assert_int_equal(beat(&second), BROKER_UNKNOWN_MEMBER_ID);
    /* In the next step the leader never assigns: it is dropped, the other one is told to join again. */
    sync_begin(&third, NULL, 0);
    for (int i = 0; i < 3 * REBALANCE_MS / 5000 && !third.sync.done; i++) {
        beat(&first);
        node_for_ms(&node, 5000);
    }
    assert_int_equal(sync_end(&third), BROKER_REBALANCE_IN_PROGRESS);
    node_end(&node);
}

static void test_a_static_member_returns_without_a_round(void **state) {
    (void)state;
    node_world node;
    group_user first, second;
    node_begin(&node, 5);
    member_init(&first, &node, "one", "topics");
    member_init(&second, &node, "two", "topics");
    join_pair(&first, &second);
    const int32_t generation = second.generation;
    group_user restarted;
    member_init(&restarted, &node, "two", "topics");
    join_begin(&restarted);
    assert_int_equal(join_end(&restarted), BROKER_NONE);
    assert_int_equal(restarted.generation, generation);
    assert_string_not_equal(restarted.id, second.id);
    sync_begin(&restarted, NULL, 0);
    assert_int_equal(sync_end(&restarted), BROKER_NONE);
    assert_string_equal(restarted.assignment, "right");
    assert_int_equal(beat(&second), BROKER_FENCED_INSTANCE_ID);
    assert_int_equal(beat(&first), BROKER_NONE);

    group_user leader;
    member_init(&leader, &node, "one", "topics");
    join_begin(&leader);
    assert_int_equal(join_end(&leader), BROKER_NONE);
    assert_int_equal(leader.generation, generation);
    assert_true(leader.skip); /* KIP-814: it leads, and has nothing to assign */
    assert_string_equal(leader.leader, leader.id);

    group_user changed;
    member_init(&changed, &node, "two", "other topics");
    join_begin(&changed);
    node_for_ms(&node, 10);
    assert_false(changed.join.done); /* another subscription needs a round */
    join_begin(&leader);
    assert_int_equal(join_end(&leader), BROKER_NONE);
    assert_int_equal(join_end(&changed), BROKER_NONE);
    assert_int_equal(changed.generation, generation + 1);
    assert_int_equal(broker_group_leave(node.broker, &guard_anonymous, text("g"), text(""), text("two")), BROKER_NONE);
    node_end(&node);
}

static void test_the_protocol_that_all_know_is_chosen(void **state) {
    (void)state;
    node_world node;
    group_user first, second, stranger;
    node_begin(&node, 6);
    member_init(&first, &node, NULL, "topics");
    member_init(&second, &node, NULL, "topics");
    first.protocols[0] = (broker_group_protocol){text("sticky"), text("s1")};
    first.protocols[1] = (broker_group_protocol){text("range"), text("r1")};
    first.protocol_count = 2;
    join_pair(&first, &second);
    broker_group_info info;
    broker_group_member_info one;
    assert_true(broker_group_describe(node.broker, text("g"), &info));
    assert_true(weir_bytes_equal_text(info.protocol, "range"));
    assert_true(broker_group_member_at(node.broker, text("g"), 0, &one));
    assert_true(weir_bytes_equal_text(one.metadata, "r1"));
    assert_true(weir_bytes_equal_text(one.assignment, "left"));
    member_init(&stranger, &node, NULL, "topics");
    stranger.protocols[0].name = text("sticky");
    join_begin(&stranger);
    assert_int_equal(join_end(&stranger), BROKER_INCONSISTENT_GROUP_PROTOCOL);
    node_end(&node);
}

static void test_joins_that_are_refused(void **state) {
    (void)state;
    node_world node;
    group_user lonely;
    node_begin(&node, 7);
    member_init(&lonely, &node, NULL, "topics");
    join_begin(&lonely);
    lonely.join.operation.done = join_told;
    join_end(&lonely);
    snprintf(lonely.id, sizeof lonely.id, "unknown");
    join_begin(&lonely);
    assert_int_equal(join_end(&lonely), BROKER_UNKNOWN_MEMBER_ID);
    lonely.id[0] = 0;
    lonely.protocol_count = 0;
    join_begin(&lonely);
    assert_int_equal(join_end(&lonely), BROKER_INCONSISTENT_GROUP_PROTOCOL);
    assert_int_equal(beat(&lonely), BROKER_UNKNOWN_MEMBER_ID);
    node_end(&node);
}

/* Offsets and the members of a stable group come back after any death; the members go on where they were. */
static void test_a_group_survives_a_power_cut(void **state) {
    (void)state;
    for (uint64_t seed = 50; seed < 70; seed++) {
        node_world node;
        group_user first, second;
        node_begin(&node, seed);
        node_create(&node, "t", 1, NULL, 0);
        member_init(&first, &node, NULL, "topics");
        member_init(&second, &node, "static", "topics");
        join_pair(&first, &second);
        assert_int_equal(commit(&first, "t", 10), BROKER_NONE);
        assert_int_equal(commit(&second, "t", 20), BROKER_NONE);
        node_crash(&node, seed % 2 ? IO_SIM_POWER_CUT : IO_SIM_DRY_CUT);
        assert_string_equal(state_of(&node), "Stable");
        assert_int_equal(committed(&node, "t"), 20);
        assert_true(weir_bytes_equal_text(broker_offset_find(node.broker, text("g"), text("t"), 0)->metadata, "note"));
        assert_int_equal(beat(&first), BROKER_NONE);
        assert_int_equal(beat(&second), BROKER_NONE);
        sync_begin(&second, NULL, 0);
        assert_int_equal(sync_end(&second), BROKER_NONE);
        assert_string_equal(second.assignment, "right");
        assert_int_equal(commit(&first, "t", 30), BROKER_NONE);
        node_for_ms(&node, SESSION_MS + 1000); /* silence after the restart ends sessions as before it */
        assert_int_equal(beat(&first), BROKER_UNKNOWN_MEMBER_ID);
        node_end(&node);
    }
}

static void test_a_simple_consumer_commits_without_a_group(void **state) {
    (void)state;
    node_world node;
    group_user nobody;
    node_begin(&node, 8);
    node_create(&node, "t", 1, NULL, 0);
    member_init(&nobody, &node, NULL, "");
    told_member = &nobody;
    assert_int_equal(commit(NULL, "t", 3), BROKER_NONE);
    assert_int_equal(committed(&node, "t"), 3);
    nobody.generation = 4;
    snprintf(nobody.id, sizeof nobody.id, "x");
    assert_int_equal(commit(&nobody, "t", 9), BROKER_UNKNOWN_MEMBER_ID);
    node_delete(&node, "t"); /* the offsets of a topic go with it */
    node_for_ms(&node, 100);
    assert_int_equal(committed(&node, "t"), -1);
    node_crash(&node, IO_SIM_DRY_CUT);
    assert_int_equal(committed(&node, "t"), -1);
    assert_int_equal(broker_group_count(node.broker), 0);
    node_end(&node);
}

NODE_OPERATION(group_delete, broker_group_delete, operation)

static broker_error delete_group(node_world *node) {
    group_delete_call call = {
        .operation = {.principal = &guard_anonymous, .group = text("g"), .done = group_delete_done}};
    broker_groups_delete(node->broker, &call.operation);
    node_until(node, &call.done);
    return call.operation.error;
}

static void test_groups_are_deleted_and_forgotten(void **state) {
    (void)state;
    node_world node;
    group_user first, second;
    node_begin(&node, 9);
    node_create(&node, "t", 1, NULL, 0);
    member_init(&first, &node, NULL, "topics");
    member_init(&second, &node, NULL, "topics");
    join_pair(&first, &second);
    commit(&first, "t", 10);
    assert_int_equal(delete_group(&node), BROKER_NON_EMPTY_GROUP);
    leave(&first);
    leave(&second);
    node_for_ms(&node, 100);
    assert_int_equal(committed(&node, "t"), 10);
    assert_int_equal(delete_group(&node), BROKER_NONE);
    assert_int_equal(delete_group(&node), BROKER_GROUP_ID_NOT_FOUND);
    assert_string_equal(state_of(&node), "none");
    node_crash(&node, IO_SIM_DRY_CUT);
    assert_string_equal(state_of(&node), "none");

    told_member = &first; /* KIP-211: an offset nobody renews is forgotten after offsets.retention.minutes */
    commit(NULL, "t", 1);
    node_for_ms(&node, 6 * 24 * 3600 * 1000LL);
    assert_int_equal(committed(&node, "t"), 1);
    io_sim_wall_jump(node.sim, 30 * 24 * 3600 * 1000LL); /* somebody sets the clock: nothing is deleted for that */
    node_for_ms(&node, 2 * 24 * 3600 * 1000LL);
    assert_int_equal(committed(&node, "t"), 1);
    io_sim_wall_jump(node.sim, -30 * 24 * 3600 * 1000LL);
    node_for_ms(&node, 3600 * 1000LL);
    assert_int_equal(committed(&node, "t"), -1);
    assert_string_equal(state_of(&node), "none");
    node_end(&node);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_members_share_and_one_leaves),
        cmocka_unit_test(test_a_zombie_is_fenced),
        cmocka_unit_test(test_a_silent_member_is_dropped),
        cmocka_unit_test(test_a_round_does_not_wait_for_ever),
        cmocka_unit_test(test_a_static_member_returns_without_a_round),
        cmocka_unit_test(test_the_protocol_that_all_know_is_chosen),
        cmocka_unit_test(test_joins_that_are_refused),
        cmocka_unit_test(test_a_group_survives_a_power_cut),
        cmocka_unit_test(test_a_simple_consumer_commits_without_a_group),
        cmocka_unit_test(test_groups_are_deleted_and_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
