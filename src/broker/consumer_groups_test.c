/* Goal: groups of the consumer protocol: nobody gets what another still holds, nothing that a member was told is taken
 * back by a crash, and who is late, fenced or wrong hears of it in Kafka's words.
 * Method: members told by hand against a broker in a simulated world; the clock jumps past sessions; at random, honest
 * members come, go and crash with the node, while every partition is watched for a second owner. */
#include "broker/consumer_int.h"
#include "broker/door_test.h"

enum { HELD_MAX = 64, SESSION_MS = 45000 };

typedef struct told { /* what a heartbeat was answered */
    broker_error error;
    char id[64];
    int32_t epoch, interval_ms;
    bool has_assignment;
    consumer_partition held[HELD_MAX];
    size_t held_count;
} told;

typedef struct beat_test {
    broker_consumer_heartbeat operation;
    told answer;
    bool done;
} beat_test;

static void beat_told(broker_consumer_heartbeat *operation) {
    beat_test *self = io_owner(operation, beat_test, operation);
    told *answer = &self->answer;
    answer->error = operation->error;
    answer->epoch = operation->out_epoch;
    answer->interval_ms = operation->interval_ms;
    answer->has_assignment = operation->has_assignment;
    answer->held_count = operation->assigned_count;
    assert_true(answer->held_count <= HELD_MAX);
    if (answer->held_count) memcpy(answer->held, operation->assigned, sizeof *answer->held * answer->held_count);
    snprintf(answer->id, sizeof answer->id, "%.*s", (int)operation->out_member_id.size,
             operation->out_member_id.size ? (const char *)operation->out_member_id.data : "");
    self->done = true;
}

typedef struct client { /* an honest member */
    node_world *node;
    const char *group;
    char id[64], instance[64];
    const char *topic, *regex, *assignor;
    int32_t epoch;
    consumer_partition held[HELD_MAX];
    int32_t held_count;
    bool in;
} client;

static client client_of(node_world *node, const char *id, const char *topic) {
    client self = {.node = node, .group = "g", .topic = topic};
    snprintf(self.id, sizeof self.id, "%s", id);
    return self;
}

static told beat_raw(client *self, int32_t epoch, bool whole) {
    const weir_bytes topics[] = {text(self->topic)};
    beat_test test = {.operation = {.principal = &guard_anonymous,
                                    .group = text(self->group),
                                    .member_id = text(self->id),
                                    .instance_id = self->instance[0] ? text(self->instance) : (weir_bytes){0},
                                    .client_id = text("client"),
                                    .client_host = text("/here"),
                                    .member_epoch = epoch,
                                    .rebalance_timeout_ms = whole ? 10000 : -1,
                                    .topics = topics,
                                    .topic_count = whole && self->topic ? 1 : -1,
                                    .regex = whole ? text(self->regex) : (weir_bytes){0},
                                    .assignor = whole ? text(self->assignor) : (weir_bytes){0},
                                    .owned = self->held,
                                    .owned_count = self->held_count,
                                    .member_makes_id = true,
                                    .done = beat_told}};
    broker_consumer_beat(self->node->broker, &test.operation);
    node_until(self->node, &test.done);
    return test.answer;
}

/* A heartbeat of a member that does what it is told at once. */
static broker_error beat(client *self) {
    if (!self->in) self->held_count = 0;
    const told answer = beat_raw(self, self->in ? self->epoch : 0, !self->in);
    if (answer.error != BROKER_NONE) {
        self->in = false;
        self->held_count = 0;
        return answer.error;
    }
    self->in = true;
    self->epoch = answer.epoch;
    assert_string_equal(answer.id, self->id);
    if (!answer.has_assignment) return BROKER_NONE;
    memcpy(self->held, answer.held, sizeof self->held);
    self->held_count = (int32_t)answer.held_count;
    return BROKER_NONE;
}

static told leave(client *self, int32_t epoch) {
    const told answer = beat_raw(self, epoch, false);
    self->in = false;
    self->held_count = 0;
    return answer;
}

static bool holds(const client *self, const consumer_partition *partition) {
    for (int32_t i = 0; i < self->held_count; i++) {
        if (broker_partition_compare(&self->held[i], partition) == 0) return true;
    }
    return false;
}

static void check_owners(const client *clients, size_t count) {
    for (size_t a = 0; a < count; a++) {
        for (int32_t i = 0; i < clients[a].held_count; i++) {
            for (size_t b = a + 1; b < count; b++) assert_false(holds(&clients[b], &clients[a].held[i]));
        }
    }
}

static const char *told_state(node_world *node) {
    broker_group_info info;
    assert_true(broker_group_describe(node->broker, text("g"), &info));
    assert_true(info.consumer);
    return info.state;
}

/* ---- stories ----------------------------------------------------------------------------------------------------- */

static void test_partitions_are_given_up_before_they_are_given(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 1);
    node_create(&node, "t", 4, NULL, 0);
    client a = client_of(&node, "a", "t"), b = client_of(&node, "b", "t");
    assert_int_equal(beat(&a), 0);
    assert_int_equal(a.epoch, 1);
    assert_int_equal(a.held_count, 4);
    assert_string_equal(told_state(&node), "Stable");
    assert_int_equal(beat(&b), 0);
    assert_int_equal(b.epoch, 2);
    assert_int_equal(b.held_count, 0); /* all of it is a's */
    assert_string_equal(told_state(&node), "Reconciling");
    told answer = beat_raw(&a, a.epoch, false); /* a hears what it has to give up, and keeps its epoch */
    assert_int_equal(answer.epoch, 1);
    assert_int_equal(answer.held_count, 2);
    answer = beat_raw(&a, a.epoch, false); /* it still holds everything */
    assert_false(answer.has_assignment);
    assert_int_equal(beat(&b), 0);
    assert_int_equal(b.held_count, 0);
    a.held_count = 2; /* it has given up what comes last */
    assert_int_equal(beat(&a), 0);
    assert_int_equal(a.epoch, 2);
    assert_int_equal(beat(&b), 0);
    assert_int_equal(b.held_count, 2);
    const client both[] = {a, b};
    check_owners(both, 2);
    assert_string_equal(told_state(&node), "Stable");
    assert_int_equal(leave(&a, -1).error, 0);
    assert_int_equal(beat(&b), 0);
    assert_int_equal(b.held_count, 4);
    node_end(&node);
}

static void test_a_lost_answer_and_a_fenced_member(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 2);
    node_create(&node, "t", 2, NULL, 0);
    client a = client_of(&node, "a", "t"), b = client_of(&node, "b", "t");
    assert_int_equal(beat(&a), 0);
    assert_int_equal(beat(&b), 0);
    assert_int_equal(beat(&a), 0); /* a gives up one ... */
    assert_int_equal(beat(&a), 0); /* ... and is at epoch 2 */
    assert_int_equal(a.epoch, 2);
    assert_int_equal(beat_raw(&a, 1, false).error, 0); /* its answer was lost: one behind, and holding its own */
    a.held_count = -1;
    assert_int_equal(beat_raw(&a, 1, false).error, BROKER_FENCED_MEMBER_EPOCH);
    a.held_count = 1;
    assert_int_equal(beat_raw(&a, 7, false).error, BROKER_FENCED_MEMBER_EPOCH);
    client unknown = client_of(&node, "c", "t");
    assert_int_equal(beat_raw(&unknown, 2, false).error, BROKER_UNKNOWN_MEMBER_ID);
    unknown.group = "nowhere";
    assert_int_equal(beat_raw(&unknown, 2, false).error, BROKER_GROUP_ID_NOT_FOUND);
    node_end(&node);
}

static void test_who_is_silent_is_gone(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 3);
    node_create(&node, "t", 2, NULL, 0);
    client a = client_of(&node, "a", "t"), b = client_of(&node, "b", "t");
    assert_int_equal(beat(&a), 0);
    assert_int_equal(beat(&b), 0);
    for (int i = 0; i < 12; i++) {
        node_for_ms(&node, 5000);
        assert_int_equal(beat(&b), 0);
    }
    assert_int_equal(b.held_count, 2);
    assert_int_equal(beat(&a), BROKER_UNKNOWN_MEMBER_ID);
    /* A member that never gives up what it should is gone after its rebalance timeout, though it calls. */
    assert_int_equal(beat(&a), 0);
    const int32_t epoch = b.epoch;
    broker_error last = BROKER_NONE;
    for (int i = 0; i < 4 && last == BROKER_NONE; i++) {
        b.held_count = 2;
        last = beat_raw(&b, epoch, false).error;
        node_for_ms(&node, 5000);
    }
    assert_int_equal(last, BROKER_UNKNOWN_MEMBER_ID);
    assert_int_equal(beat(&a), 0);
    assert_int_equal(a.held_count, 2);
    node_for_ms(&node, SESSION_MS + 1);
    assert_string_equal(told_state(&node), "Empty");
    node_end(&node);
}

static void test_static_members_come_back_to_their_part(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 4);
    node_create(&node, "t", 4, NULL, 0);
    client a = client_of(&node, "a", "t"), b = client_of(&node, "b", "t"), again = client_of(&node, "a2", "t");
    snprintf(a.instance, sizeof a.instance, "one");
    snprintf(b.instance, sizeof b.instance, "two");
    snprintf(again.instance, sizeof again.instance, "one");
    assert_int_equal(beat(&a), 0);
    assert_int_equal(beat(&b), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(beat(&a), 0);
        assert_int_equal(beat(&b), 0);
    }
    assert_int_equal(a.held_count, 2);
    const client before = a;
    const int32_t epoch = b.epoch;
    assert_int_equal(beat(&again), BROKER_UNRELEASED_INSTANCE_ID);
    assert_int_equal(leave(&a, -2).epoch, -2);
    node_crash(&node, IO_SIM_POWER_CUT);
    assert_int_equal(beat(&b), 0);
    assert_int_equal(b.epoch, epoch); /* nobody noticed */
    assert_int_equal(beat(&again), 0);
    assert_int_equal(again.held_count, 2);
    for (int32_t i = 0; i < 2; i++) assert_true(holds(&before, &again.held[i]));
    assert_int_equal(beat_raw(&a, epoch, false).error, BROKER_FENCED_INSTANCE_ID);
    assert_int_equal(broker_group_leave(node.broker, &guard_anonymous, text("g"), text(""), text("one")), 0);
    assert_int_equal(beat(&again), BROKER_UNKNOWN_MEMBER_ID);
    node_end(&node);
}

static void test_topics_come_and_patterns_find_them(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 5);
    node_create(&node, "click-1", 1, NULL, 0);
    node_create(&node, "other", 1, NULL, 0);
    client a = client_of(&node, "a", NULL), bad = client_of(&node, "b", NULL);
    a.regex = "click-[0-9]+";
    bad.regex = "(?=click)";
    assert_int_equal(beat(&bad), BROKER_INVALID_REGULAR_EXPRESSION);
    assert_int_equal(beat(&a), 0);
    assert_int_equal(a.held_count, 1);
    node_create(&node, "click-2", 3, NULL, 0);
    node_create(&node, "click-x", 3, NULL, 0);
    assert_int_equal(beat(&a), 0);
    assert_int_equal(a.held_count, 4);
    node_delete(&node, "click-2");
    node_crash(&node, IO_SIM_KILL);
    assert_int_equal(beat(&a), 0);
    assert_int_equal(beat(&a), 0);
    assert_int_equal(a.held_count, 1);
    node_end(&node);
}

static void test_offsets_are_for_members_of_this_epoch(void **state) {
    (void)state;
    node_world node;
    door_client door_one;
    node_begin(&node, 6);
    node_create(&node, "t", 1, NULL, 0);
    client a = client_of(&node, "a", "t");
    assert_int_equal(beat(&a), 0);
    client_open(&door_one, &node, door(&node));
    const struct {
        const char *member;
        int32_t epoch;
        int16_t version, error;
    } cases[] = {{"a", 1, 9, 0},  {"a", 1, 10, 0}, {"a", 0, 10, BROKER_STALE_MEMBER_EPOCH},
                 {"a", 2, 9, BROKER_STALE_MEMBER_EPOCH}, {"a", 2, 8, BROKER_UNSUPPORTED_VERSION},
                 {"b", 1, 9, BROKER_UNKNOWN_MEMBER_ID},  {"", -1, 9, BROKER_UNKNOWN_MEMBER_ID}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wire_offset_commit_request request;
        wire_offset_commit_response response;
        wire_offset_commit_request_init(&request);
        request.group_id = text("g");
        request.member_id = text(cases[i].member);
        request.generation_id_or_member_epoch = cases[i].epoch;
        request.topics.items = wire_offset_commit_request_topic_new(&door_one.arena, 1);
        request.topics.count = 1;
        if (cases[i].version < 10) request.topics.items[0].name = text("t");
        else memcpy(request.topics.items[0].topic_id.bytes, broker_topic_find(node.broker, text("t"))->id, 16);
        request.topics.items[0].partitions.items = wire_offset_commit_request_partition_new(&door_one.arena, 1);
        request.topics.items[0].partitions.count = 1;
        request.topics.items[0].partitions.items[0].committed_offset = (int64_t)i;
        call(&door_one, WIRE_API_OFFSET_COMMIT, cases[i].version, &request, &response);
        assert_int_equal(response.topics.items[0].partitions.items[0].error_code, cases[i].error);
    }
    assert_int_equal(broker_offset_find(node.broker, text("g"), text("t"), 0)->offset, 1);
    for (int32_t epoch = 0; epoch < 3; epoch++) {
        wire_offset_fetch_request request;
        wire_offset_fetch_response response;
        wire_offset_fetch_request_init(&request);
        request.groups.items = wire_offset_fetch_request_group_new(&door_one.arena, 1);
        request.groups.count = 1;
        request.groups.items[0].group_id = text("g");
        request.groups.items[0].member_id = epoch ? text("a") : (weir_bytes){0};
        request.groups.items[0].member_epoch = epoch ? epoch : -1;
        request.groups.items[0].topics.count = -1;
        call(&door_one, WIRE_API_OFFSET_FETCH, 10, &request, &response);
        assert_int_equal(response.groups.items[0].error_code, epoch == 2 ? BROKER_STALE_MEMBER_EPOCH : 0);
        if (epoch < 2)
            assert_int_equal(response.groups.items[0].topics.items[0].partitions.items[0].committed_offset, 1);
    }
    client_close(&door_one);
    node_end(&node);
}

static size_t list_groups(door_client *door_client_one, const char *type, const char *of_state) {
    wire_list_groups_request request;
    wire_list_groups_response response;
    weir_bytes types[] = {text(type)}, states[] = {text(of_state)};
    wire_list_groups_request_init(&request);
    request.types_filter.items = types;
    request.types_filter.count = 1;
    request.states_filter.items = states;
    request.states_filter.count = of_state ? 1 : 0;
    call(door_client_one, WIRE_API_LIST_GROUPS, 5, &request, &response);
    return (size_t)response.groups.count;
}

static void test_administrators_see_both_kinds_of_groups(void **state) {
    (void)state;
    node_world node;
    door_client door_one;
    node_begin(&node, 9);
    node_create(&node, "t", 3, NULL, 0);
    client a = client_of(&node, "a", "t");
    a.assignor = "range";
    assert_int_equal(beat(&a), 0);
    client_open(&door_one, &node, door(&node));
    assert_int_equal(list_groups(&door_one, "Consumer", NULL), 1);
    assert_int_equal(list_groups(&door_one, "classic", NULL), 0);
    assert_int_equal(list_groups(&door_one, "consumer", "stable"), 1);
    assert_int_equal(list_groups(&door_one, "consumer", "Empty"), 0);

    weir_bytes groups[] = {text("g"), text("none")};
    wire_describe_groups_request classic;
    wire_describe_groups_response classics;
    wire_describe_groups_request_init(&classic);
    classic.groups.items = groups;
    classic.groups.count = 2;
    call(&door_one, WIRE_API_DESCRIBE_GROUPS, 6, &classic, &classics);
    for (int i = 0; i < 2; i++) assert_int_equal(classics.groups.items[i].error_code, BROKER_GROUP_ID_NOT_FOUND);

    wire_consumer_group_describe_request request;
    wire_consumer_group_describe_response response;
    wire_consumer_group_describe_request_init(&request);
    request.group_ids.items = groups;
    request.group_ids.count = 2;
    call(&door_one, WIRE_API_CONSUMER_GROUP_DESCRIBE, 1, &request, &response);
    const wire_consumer_group_describe_response_described_group *group = &response.groups.items[0];
    assert_int_equal(response.groups.items[1].error_code, BROKER_GROUP_ID_NOT_FOUND);
    assert_int_equal(group->group_epoch, 1);
    assert_int_equal(group->assignment_epoch, 1);
    assert_true(weir_bytes_equal_text(group->assignor_name, "range"));
    assert_int_equal(group->members.count, 1);
    assert_int_equal(group->members.items[0].member_epoch, 1);
    assert_true(weir_bytes_equal_text(group->members.items[0].subscribed_topic_names.items[0], "t"));
    const wire_consumer_group_describe_response_topic_partitions *topic =
        group->members.items[0].assignment.topic_partitions.items;
    assert_true(weir_bytes_equal_text(topic->topic_name, "t"));
    assert_int_equal(topic->partitions.count, 3);
    client_close(&door_one);
    node_end(&node);
}

/* ---- from one protocol to the other ------------------------------------------------------------------------------ */

typedef struct join_test {
    broker_join operation;
    broker_error error;
    bool done;
} join_test;

static void join_told(broker_join *operation) {
    join_test *self = io_owner(operation, join_test, operation);
    self->error = operation->error;
    self->done = true;
}

static broker_error join_classic(node_world *node) {
    const broker_group_protocol protocol = {text("range"), text("")};
    join_test test = {.operation = {.principal = &guard_anonymous,
                                    .group = text("g"),
                                    .member_id = text(""),
                                    .client_id = text("c"),
                                    .client_host = text("/"),
                                    .protocol_type = text("consumer"),
                                    .protocols = &protocol,
                                    .protocol_count = 1,
                                    .session_timeout_ms = 10000,
                                    .rebalance_timeout_ms = 10000,
                                    .done = join_told}};
    broker_group_join(node->broker, &test.operation);
    node_until(node, &test.done);
    return test.error;
}

static void test_empty_groups_change_their_protocol(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 7);
    node_create(&node, "t", 1, NULL, 0);
    client a = client_of(&node, "a", "t");
    assert_int_equal(join_classic(&node), 0);
    assert_int_equal(beat(&a), BROKER_GROUP_ID_NOT_FOUND);
    node_for_ms(&node, 60000); /* the classic member's session is over */
    assert_int_equal(beat(&a), 0);
    assert_int_equal(join_classic(&node), BROKER_INCONSISTENT_GROUP_PROTOCOL);
    node_crash(&node, IO_SIM_POWER_CUT);
    assert_int_equal(beat(&a), 0);
    assert_int_equal(leave(&a, -1).error, 0);
    assert_int_equal(join_classic(&node), 0);
    node_crash(&node, IO_SIM_KILL);
    assert_int_equal(beat(&a), 0); /* the member of a round that never ended did not outlive the node */
    node_end(&node);
}

static void test_requests_that_contradict_themselves(void **state) {
    (void)state;
    node_world node;
    node_begin(&node, 8);
    client a = client_of(&node, "a", "t");
    assert_int_equal(beat_raw(&a, 0, false).error, BROKER_INVALID_REQUEST); /* joins without a subscription */
    assert_int_equal(beat_raw(&a, -3, false).error, BROKER_INVALID_REQUEST);
    assert_int_equal(beat_raw(&a, -2, false).error, BROKER_INVALID_REQUEST); /* no instance id */
    a.assignor = "sticky";
    assert_int_equal(beat_raw(&a, 0, true).error, BROKER_UNSUPPORTED_ASSIGNOR);
    a.assignor = "range";
    a.group = "";
    assert_int_equal(beat_raw(&a, 0, true).error, BROKER_INVALID_REQUEST);
    a.group = "g";
    a.id[0] = 0;
    assert_int_equal(beat_raw(&a, 0, true).error, BROKER_INVALID_REQUEST);
    assert_int_equal(broker_group_count(node.broker), 0);
    node_end(&node);
}

/* ---- at random --------------------------------------------------------------------------------------------------- */

static void crowd_step(client *clients, size_t count, node_world *node) {
    client *self = &clients[io_sim_draw(node->sim, count)];
    switch (io_sim_draw(node->sim, 12)) {
    case 0:
        if (self->in) assert_int_equal(leave(self, -1).error, 0);
        break;
    case 1: node_crash(node, (io_sim_death)io_sim_draw(node->sim, 3)); break;
    case 2: node_for_ms(node, (int64_t)io_sim_draw(node->sim, 300)); break;
    default: assert_int_equal(beat(self), 0); break;
    }
}

static void test_no_partition_has_two_owners(void **state) {
    (void)state;
    enum { CROWD = 5, STEPS = 150 };
    static const char *const ids[CROWD] = {"a", "b", "c", "d", "e"};
    for (uint64_t seed = 700; seed < 712; seed++) {
        node_world node;
        client clients[CROWD];
        node_begin(&node, seed);
        node_create(&node, "t", 7, NULL, 0);
        node_create(&node, "u", 5, NULL, 0);
        for (int c = 0; c < CROWD; c++) {
            clients[c] = client_of(&node, ids[c], c % 3 == 2 ? "u" : "t");
            if (c % 3 == 1) clients[c].regex = "[tu]";
        }
        for (int step = 0; step < STEPS; step++) {
            crowd_step(clients, CROWD, &node);
            check_owners(clients, CROWD);
        }
        for (int round = 0; round < 8; round++) { /* and in the end everything is shared out */
            for (int c = 0; c < CROWD; c++) assert_int_equal(beat(&clients[c]), 0);
            check_owners(clients, CROWD);
        }
        int32_t held = 0;
        for (int c = 0; c < CROWD; c++) held += clients[c].held_count;
        assert_int_equal(held, 12);
        assert_string_equal(told_state(&node), "Stable");
        node_end(&node);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_partitions_are_given_up_before_they_are_given),
        cmocka_unit_test(test_a_lost_answer_and_a_fenced_member),
        cmocka_unit_test(test_who_is_silent_is_gone),
        cmocka_unit_test(test_static_members_come_back_to_their_part),
        cmocka_unit_test(test_topics_come_and_patterns_find_them),
        cmocka_unit_test(test_offsets_are_for_members_of_this_epoch),
        cmocka_unit_test(test_administrators_see_both_kinds_of_groups),
        cmocka_unit_test(test_empty_groups_change_their_protocol),
        cmocka_unit_test(test_requests_that_contradict_themselves),
        cmocka_unit_test(test_no_partition_has_two_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
