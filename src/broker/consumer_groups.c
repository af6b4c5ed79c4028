/* Groups of the consumer protocol (KIP-848): heartbeats drive everything.
 *
 *   heartbeat -> the member's subscription -> the group's epoch -> the target assignment -> the member's part of it
 *             -> records, durable -> the answer */
#include "base/hash.h"
#include "broker/consumer_int.h"

#include <stdio.h>
#include <stdlib.h>

enum { GROUP_ID_MAX = 4096, MEMBER_ID_MAX = 320, REGEX_BYTES_MAX = 4096, ANSWER_BYTES_MAX = 16 << 20,
       SUBSCRIPTIONS_BYTES_MAX = 6 << 20 /* of all members, as of classic groups */ };

static bool text_equal(const char *text, weir_bytes bytes) { return text && weir_bytes_equal_text(bytes, text); }

/* ---- members ----------------------------------------------------------------------------------------------------- */

static size_t place_of(const consumer_group *consumer, weir_bytes id) {
    size_t low = 0, high = consumer->member_count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (weir_bytes_compare(weir_bytes_text(consumer->members[middle]->id), id) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

consumer_member *broker_consumer_member(const consumer_group *consumer, weir_bytes id) {
    const size_t at = place_of(consumer, id);
    return at < consumer->member_count && text_equal(consumer->members[at]->id, id) ? consumer->members[at] : NULL;
}

static consumer_member *static_member(const consumer_group *consumer, weir_bytes instance_id) {
    for (size_t i = 0; instance_id.data && i < consumer->member_count; i++) {
        if (text_equal(consumer->members[i]->instance_id, instance_id)) return consumer->members[i];
    }
    return NULL;
}

static void member_insert(consumer_group *consumer, consumer_member *member) {
    weir_account *account = &consumer->group->broker->account;
    if (consumer->member_count == consumer->member_capacity) {
        consumer->member_capacity = consumer->member_capacity ? consumer->member_capacity * 2 : 4;
        consumer->members =
            weir_realloc(account, consumer->members, sizeof *consumer->members * consumer->member_capacity);
    }
    const size_t at = place_of(consumer, weir_bytes_text(member->id));
    memmove(consumer->members + at + 1, consumer->members + at,
            sizeof *consumer->members * (consumer->member_count - at));
    consumer->members[at] = member;
    consumer->member_count++;
}

static void member_take_out(consumer_group *consumer, const consumer_member *member) {
    const size_t at = place_of(consumer, weir_bytes_text(member->id));
    weir_assert(consumer->members[at] == member);
    consumer->member_count--;
    memmove(consumer->members + at, consumer->members + at + 1,
            sizeof *consumer->members * (consumer->member_count - at));
}

/* NULL at BROKER_GROUP_MEMBERS_MAX. */
consumer_member *broker_consumer_member_make(consumer_group *consumer, weir_bytes id) {
    consumer_member *member = broker_consumer_member(consumer, id);
    if (member) return member;
    if (consumer->member_count >= BROKER_GROUP_MEMBERS_MAX) return NULL;
    member = weir_alloc(&consumer->group->broker->account, sizeof *member);
    member->id = broker_bytes_text(consumer->group->broker, id);
    member_insert(consumer, member);
    return member;
}

static void free_topics(weir_account *account, consumer_member *member) {
    for (size_t i = 0; i < member->topic_count; i++) weir_free(account, member->topics[i]);
    weir_free(account, member->topics);
    member->topics = NULL;
    member->topic_count = 0;
}

static void member_free(weir_account *account, consumer_member *member) {
    free_topics(account, member);
    topic_pattern_free(account, member->pattern);
    broker_partitions_free(account, &member->assigned);
    broker_partitions_free(account, &member->revoking);
    broker_partitions_free(account, &member->target);
    char *const texts[] = {member->id,          member->instance_id, member->rack_id, member->client_id,
                           member->client_host, member->regex,       member->assignor};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) weir_free(account, texts[i]);
    weir_free(account, member);
}

void broker_consumer_member_drop(consumer_group *consumer, consumer_member *member) {
    member_take_out(consumer, member);
    member_free(&consumer->group->broker->account, member);
}

static int compare_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* true = something else than before. */
bool broker_consumer_set_topics(consumer_member *member, weir_account *account, const weir_bytes *topics,
                                size_t count) {
    char **sorted = weir_alloc(account, sizeof *sorted * (count + 1));
    for (size_t i = 0; i < count; i++) {
        sorted[i] = weir_alloc(account, topics[i].size + 1);
        if (topics[i].size) memcpy(sorted[i], topics[i].data, topics[i].size);
    }
    if (count) qsort(sorted, count, sizeof *sorted, compare_text);
    bool changed = count != member->topic_count;
    for (size_t i = 0; !changed && i < count; i++) changed = strcmp(sorted[i], member->topics[i]) != 0;
    free_topics(account, member);
    member->topics = sorted;
    member->topic_count = count;
    return changed;
}

/* ---- the group --------------------------------------------------------------------------------------------------- */

static void timer_run(io_job *job);

consumer_group *broker_consumer_make(group_entry *group) {
    consumer_group *consumer = weir_alloc(&group->broker->account, sizeof *consumer);
    consumer->group = group;
    io_job_init(&consumer->timer_job, timer_run);
    io_timer_init(&consumer->timer, group->broker->lane, &consumer->timer_job);
    group->consumer = consumer;
    return consumer;
}

void broker_consumer_free(group_entry *group) {
    consumer_group *consumer = group->consumer;
    weir_account *account = &group->broker->account;
    if (!consumer) return;
    io_timer_cancel(group->broker->world.executor, &consumer->timer);
    for (size_t i = 0; i < consumer->member_count; i++) member_free(account, consumer->members[i]);
    weir_free(account, consumer->members);
    weir_free(account, consumer);
    group->consumer = NULL;
}

bool broker_consumer_is_idle(const group_entry *group) {
    return !group->consumer || (group->consumer->member_count == 0 && group->consumer->storing == 0 &&
                                !atomic_load(&group->consumer->timer_job.queued));
}

size_t broker_consumer_member_count(const group_entry *group) {
    return group->consumer ? group->consumer->member_count : 0;
}

const char *broker_consumer_state_name(const consumer_group *consumer) {
    if (consumer->member_count == 0) return "Empty";
    if (consumer->epoch > consumer->assignment_epoch) return "Assigning";
    for (size_t i = 0; i < consumer->member_count; i++) {
        const consumer_member *member = consumer->members[i];
        if (member->state != CONSUMER_STABLE || member->epoch != consumer->assignment_epoch) return "Reconciling";
    }
    return "Stable";
}

static bool in_list(const char *list, weir_bytes word) {
    for (const char *at = list; *at;) {
        const char *comma = strchr(at, ',');
        const size_t size = comma ? (size_t)(comma - at) : strlen(at);
        if (size == word.size && memcmp(at, word.data, size) == 0) return true;
        at += size + (comma != NULL);
    }
    return false;
}

static bool is_assignor(const broker_node *broker, weir_bytes name) {
    broker_config_source source;
    return in_list(broker_property(broker, "group.consumer.assignors", &source), name) &&
           (weir_bytes_equal_text(name, "uniform") || weir_bytes_equal_text(name, "range"));
}

/* The one that most members ask for; the first of group.consumer.assignors when none does. */
const char *broker_consumer_assignor(const consumer_group *consumer) {
    broker_config_source source;
    const char *first = broker_property(consumer->group->broker, "group.consumer.assignors", &source);
    size_t votes[2] = {0, 0};
    for (size_t i = 0; i < consumer->member_count; i++) {
        const char *assignor = consumer->members[i]->assignor;
        if (assignor) votes[strcmp(assignor, "range") == 0]++;
    }
    if (votes[0] == votes[1]) return strncmp(first, "range", 5) == 0 ? "range" : "uniform";
    return votes[1] > votes[0] ? "range" : "uniform";
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

static int64_t later(const broker_node *broker, int64_t ms) { return broker_now_ns(broker) + ms * 1000000; }

static void member_touch(consumer_group *consumer, consumer_member *member) {
    const weir_bytes group = weir_bytes_text(consumer->group->id);
    member->session_deadline_ns =
        later(consumer->group->broker,
              broker_group_config_i64(consumer->group->broker, group, "consumer.session.timeout.ms"));
}

static int64_t deadline_of(const consumer_member *member) {
    return member->revoke_deadline_ns && member->revoke_deadline_ns < member->session_deadline_ns
               ? member->revoke_deadline_ns
               : member->session_deadline_ns;
}

static void timer_update(consumer_group *consumer) {
    broker_node *broker = consumer->group->broker;
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < consumer->member_count; i++) {
        const int64_t deadline = deadline_of(consumer->members[i]);
        if (deadline < next) next = deadline;
    }
    /* As with classic groups a later deadline does not move the timer. */
    if (next == INT64_MAX || broker->stopping) io_timer_cancel(broker->world.executor, &consumer->timer);
    else if (!consumer->timer.set || next < consumer->timer.at_ns)
        io_timer_set(broker->world.executor, &consumer->timer, next);
}

static void stored_quietly(group_append *append, weir_status status) {
    group_entry *group = append->owner;
    group->uses--;
    if (!group->consumer) return;
    group->consumer->storing--;
    if (!weir_failed(status)) return;
    group->consumer->unstored = true;
    weir_trace(WEIR_WARN, "broker", "group %s was not stored: %s", group->id, status.text);
}

/* The member is no more; the others share its work at their next heartbeats. */
static void member_gone(consumer_group *consumer, consumer_member *member, group_append *append) {
    broker_consumer_append_gone(append, consumer, member);
    broker_consumer_member_drop(consumer, member);
    consumer->epoch++;
    broker_consumer_append_epoch(append, consumer, false);
    consumer->group->state_ms = broker_wall_ms(consumer->group->broker);
}

static group_append *append_begin(consumer_group *consumer, void (*done)(group_append *append, weir_status status),
                                  void *owner) {
    consumer->storing++;
    consumer->group->uses++;
    return broker_group_append(consumer->group->broker, done, owner);
}

static void timer_run(io_job *job) {
    consumer_group *consumer = io_owner(job, consumer_group, timer_job);
    group_entry *group = consumer->group;
    if (group->broker->stopping) return;
    const int64_t now_ns = broker_now_ns(group->broker);
    group_append *append = NULL;
    for (size_t i = consumer->member_count; i-- > 0;) {
        consumer_member *member = consumer->members[i];
        if (deadline_of(member) > now_ns) continue;
        weir_trace(WEIR_DEBUG, "broker", "group %s: member %s expired", group->id, member->id);
        if (!append) append = append_begin(consumer, stored_quietly, group);
        member_gone(consumer, member, append);
    }
    if (append) broker_group_append_send(append, NULL, 0);
    timer_update(consumer);
}

void broker_consumer_resume(group_entry *group) {
    if (!group->consumer) return;
    for (size_t i = 0; i < group->consumer->member_count; i++) {
        consumer_member *member = group->consumer->members[i];
        member_touch(group->consumer, member);
        if (member->state == CONSUMER_UNREVOKED)
            member->revoke_deadline_ns = later(group->broker, member->rebalance_timeout_ms);
    }
    timer_update(group->consumer);
}

void broker_consumer_stop(group_entry *group) {
    if (group->consumer) io_timer_cancel(group->broker->world.executor, &group->consumer->timer);
}

/* ---- topics ------------------------------------------------------------------------------------------------------ */

typedef struct share_input { /* what the members subscribe to, sorted by id, and who to what */
    assign_topic *topics;
    size_t topic_count;
    uint8_t *subscribed; /* member after member, `row_bytes` each: a bit a topic */
    size_t row_bytes;
} share_input;

static bool is_subscribed(const consumer_member *member, const topic_entry *topic) {
    const char *name = topic->info.name;
    if (member->topic_count &&
        bsearch(&name, member->topics, member->topic_count, sizeof *member->topics, compare_text) != NULL)
        return true;
    return member->pattern && !topic->info.internal && topic_pattern_matches(member->pattern, weir_bytes_text(name));
}

static int compare_id(const void *a, const void *b) {
    return memcmp((*(topic_entry *const *)a)->info.id, (*(topic_entry *const *)b)->info.id, 16);
}

static void input_collect(const consumer_group *consumer, share_input *input) {
    broker_node *broker = consumer->group->broker;
    topic_entry **wanted = weir_alloc(&broker->account, sizeof *wanted * (broker->topic_count + 1));
    *input = (share_input){0};
    for (size_t t = 0; t < broker->topic_count; t++) {
        for (size_t m = 0; m < consumer->member_count; m++) {
            if (broker->topics[t]->deleting || !is_subscribed(consumer->members[m], broker->topics[t])) continue;
            wanted[input->topic_count++] = broker->topics[t];
            break;
        }
    }
    if (input->topic_count) qsort(wanted, input->topic_count, sizeof *wanted, compare_id);
    input->topics = weir_alloc(&broker->account, sizeof *input->topics * (input->topic_count + 1));
    input->row_bytes = (input->topic_count + 7) / 8;
    input->subscribed = weir_alloc(&broker->account, input->row_bytes * consumer->member_count + 1);
    for (size_t t = 0; t < input->topic_count; t++) {
        memcpy(input->topics[t].id, wanted[t]->info.id, 16);
        input->topics[t].partition_count = wanted[t]->info.partition_count;
        for (size_t m = 0; m < consumer->member_count; m++) {
            if (is_subscribed(consumer->members[m], wanted[t]))
                broker_assign_want(input->subscribed + m * input->row_bytes, t);
        }
    }
    weir_free(&broker->account, wanted);
}

static void input_free(broker_node *broker, share_input *input) {
    weir_free(&broker->account, input->topics);
    weir_free(&broker->account, input->subscribed);
}

static uint64_t input_hash(const share_input *input) {
    uint64_t hash = 0;
    for (size_t t = 0; t < input->topic_count; t++) {
        hash = weir_hash_u64(hash ^ weir_hash(input->topics[t].id, 16));
        hash = weir_hash_u64(hash ^ (uint64_t)input->topics[t].partition_count);
    }
    return hash;
}

/* ---- the target assignment --------------------------------------------------------------------------------------- */

static void assign(consumer_group *consumer, const share_input *input, group_append *append) {
    weir_account *account = &consumer->group->broker->account;
    assign_member *members = weir_alloc(account, sizeof *members * (consumer->member_count + 1));
    for (size_t m = 0; m < consumer->member_count; m++)
        members[m] = (assign_member){.subscribed = input->subscribed + m * input->row_bytes,
                                     .previous = &consumer->members[m]->target};
    if (strcmp(broker_consumer_assignor(consumer), "range") == 0)
        broker_assign_range(account, input->topics, input->topic_count, members, consumer->member_count);
    else broker_assign_uniform(account, input->topics, input->topic_count, members, consumer->member_count);
    for (size_t m = 0; m < consumer->member_count; m++) {
        consumer_member *member = consumer->members[m];
        if (broker_partitions_equal(&member->target, &members[m].target)) {
            broker_partitions_free(account, &members[m].target);
            continue;
        }
        broker_partitions_free(account, &member->target);
        member->target = members[m].target;
        broker_consumer_append_target(append, consumer, member, false);
    }
    consumer->assignment_epoch = consumer->epoch;
    broker_consumer_append_target_epoch(append, consumer, false);
    weir_free(account, members);
}

/* Follows the topics and the subscriptions; `changed` = the members' have changed. */
static void group_update(consumer_group *consumer, bool changed, group_append *append) {
    broker_node *broker = consumer->group->broker;
    if (!changed && consumer->topics_version == broker->topics_version &&
        consumer->epoch == consumer->assignment_epoch)
        return;
    share_input input;
    input_collect(consumer, &input);
    const uint64_t hash = input_hash(&input);
    /* An epoch that nobody has a target for yet serves for this change too. */
    const bool bump = changed || (hash != consumer->topics_hash && consumer->epoch == consumer->assignment_epoch);
    if (bump) consumer->epoch++;
    if (bump || hash != consumer->topics_hash) {
        consumer->topics_hash = hash;
        broker_consumer_append_epoch(append, consumer, false);
    }
    consumer->topics_version = broker->topics_version;
    if (consumer->epoch > consumer->assignment_epoch) assign(consumer, &input, append);
    input_free(broker, &input);
}

/* ---- one member's part of it ------------------------------------------------------------------------------------- */

static bool owns_any(const broker_consumer_heartbeat *beat, const partition_set *set) {
    if (beat->owned_count < 0) return true; /* it does not say, so it may */
    for (int32_t i = 0; i < beat->owned_count; i++) {
        if (broker_partitions_have(set, &beat->owned[i])) return true;
    }
    return false;
}

static bool is_free(const consumer_group *consumer, const consumer_member *member,
                    const consumer_partition *partition) {
    for (size_t i = 0; i < consumer->member_count; i++) {
        const consumer_member *other = consumer->members[i];
        if (other != member && (broker_partitions_have(&other->assigned, partition) ||
                                broker_partitions_have(&other->revoking, partition)))
            return false;
    }
    return true;
}

typedef struct next_part {
    partition_set kept, lost, gained;
    bool unreleased;
} next_part;

static void part_compute(const consumer_group *consumer, const consumer_member *member, next_part *part) {
    weir_account *account = &consumer->group->broker->account;
    *part = (next_part){0};
    for (size_t i = 0; i < member->assigned.count; i++) {
        const consumer_partition *item = &member->assigned.items[i];
        const bool stays = broker_partitions_have(&member->target, item);
        broker_partitions_add(account, stays ? &part->kept : &part->lost, item);
    }
    for (size_t i = 0; i < member->target.count; i++) {
        const consumer_partition *item = &member->target.items[i];
        if (broker_partitions_have(&member->assigned, item)) continue;
        if (is_free(consumer, member, item)) broker_partitions_add(account, &part->gained, item);
        else part->unreleased = true;
    }
}

static void set_epoch(consumer_member *member, int32_t epoch) {
    member->previous_epoch = member->epoch;
    member->epoch = epoch;
}

/* First what it has to give up, and only when it has said that it did, what is free for it. */
static void part_apply(consumer_group *consumer, consumer_member *member, const broker_consumer_heartbeat *beat,
                       next_part *part) {
    weir_account *account = &consumer->group->broker->account;
    const bool revokes = part->lost.count && owns_any(beat, &part->lost);
    broker_partitions_copy(account, &member->assigned, &part->kept);
    if (revokes) {
        broker_partitions_copy(account, &member->revoking, &part->lost);
        member->state = CONSUMER_UNREVOKED;
        member->revoke_deadline_ns = later(consumer->group->broker, member->rebalance_timeout_ms);
        set_epoch(member, member->epoch);
        return;
    }
    member->revoking.count = 0;
    member->revoke_deadline_ns = 0;
    for (size_t i = 0; i < part->gained.count; i++)
        broker_partitions_add(account, &member->assigned, &part->gained.items[i]);
    broker_partitions_sort(&member->assigned);
    member->state = part->unreleased ? CONSUMER_UNRELEASED : CONSUMER_STABLE;
    set_epoch(member, consumer->assignment_epoch);
}

static bool is_due(const consumer_group *consumer, const consumer_member *member,
                   const broker_consumer_heartbeat *beat) {
    switch (member->state) {
    case CONSUMER_UNREVOKED: return beat->owned_count >= 0 && !owns_any(beat, &member->revoking);
    case CONSUMER_UNRELEASED: return true;
    default: return member->epoch != consumer->assignment_epoch;
    }
}

/* true = its assignment is another one now. */
static bool reconcile(consumer_group *consumer, consumer_member *member, const broker_consumer_heartbeat *beat,
                      group_append *append) {
    if (!is_due(consumer, member, beat)) return false;
    weir_account *account = &consumer->group->broker->account;
    next_part part;
    part_compute(consumer, member, &part);
    const bool waits_on = member->state == CONSUMER_UNRELEASED && part.unreleased && !part.lost.count &&
                          !part.gained.count && member->epoch == consumer->assignment_epoch;
    const bool changes = part.lost.count || part.gained.count;
    if (!waits_on) {
        part_apply(consumer, member, beat, &part);
        broker_consumer_append_current(append, consumer, member, false);
    }
    broker_partitions_free(account, &part.kept);
    broker_partitions_free(account, &part.lost);
    broker_partitions_free(account, &part.gained);
    return changes;
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static void beat_run(io_job *job) {
    broker_consumer_heartbeat *beat = io_owner(job, broker_consumer_heartbeat, job);
    broker_node *broker = beat->broker;
    weir_arena arena = beat->arena; /* done() may free the request */
    beat->done(beat);
    weir_arena_deinit(&arena);
    broker_operation_end(broker);
}

static void beat_answer(broker_consumer_heartbeat *beat, broker_error error) {
    beat->error = error;
    io_job_init(&beat->job, beat_run);
    broker_post(beat->broker, &beat->job);
}

static void beat_fail(broker_consumer_heartbeat *beat, broker_error error, const char *message) {
    beat->message = message;
    beat_answer(beat, error);
}

static void beat_stored(group_append *append, weir_status status) {
    broker_consumer_heartbeat *beat = append->owner;
    group_entry *group = beat->entry;
    group->uses--;
    if (group->consumer) {
        group->consumer->storing--;
        if (weir_failed(status)) group->consumer->unstored = true;
    }
    beat_answer(beat, weir_failed(status) ? BROKER_COORDINATOR_NOT_AVAILABLE : BROKER_NONE);
}

static void beat_tell(broker_consumer_heartbeat *beat, const consumer_member *member, bool with_assignment) {
    const broker_node *broker = beat->broker;
    beat->out_member_id = weir_arena_bytes_copy(&beat->arena, weir_bytes_text(member->id));
    beat->out_epoch = member->epoch;
    beat->interval_ms = (int32_t)broker_group_config_i64(broker, beat->group, "consumer.heartbeat.interval.ms");
    beat->has_assignment = with_assignment;
    if (!with_assignment) return;
    consumer_partition *copy = weir_arena_array(&beat->arena, consumer_partition, member->assigned.count + 1);
    if (member->assigned.count) memcpy(copy, member->assigned.items, sizeof *copy * member->assigned.count);
    beat->assigned = copy;
    beat->assigned_count = member->assigned.count;
}

/* ---- judging a heartbeat ----------------------------------------------------------------------------------------- */

static const char *contradiction(const broker_consumer_heartbeat *beat) {
    const int32_t epoch = beat->member_epoch;
    if (beat->group.size == 0) return "GroupId can't be empty.";
    if (epoch < CONSUMER_EPOCH_LEAVE_STATIC) return "MemberEpoch is invalid.";
    if (beat->member_id.size == 0 && (beat->member_makes_id || epoch != CONSUMER_EPOCH_JOIN))
        return "MemberId can't be empty.";
    if (beat->member_id.size > MEMBER_ID_MAX) return "MemberId is too long.";
    if (beat->instance_id.data && beat->instance_id.size == 0) return "InstanceId can't be empty.";
    if (beat->rack_id.data && beat->rack_id.size == 0) return "RackId can't be empty.";
    if (epoch == CONSUMER_EPOCH_LEAVE_STATIC && !beat->instance_id.data) return "InstanceId can't be null.";
    if (beat->topic_count > CONSUMER_TOPICS_MAX) return "SubscribedTopicNames has too many names.";
    for (int32_t i = 0; i < beat->topic_count; i++) {
        if (beat->topics[i].size > BROKER_TOPIC_NAME_MAX) return "SubscribedTopicNames has a name that is too long.";
    }
    if (epoch != CONSUMER_EPOCH_JOIN) return NULL;
    if (beat->rebalance_timeout_ms < 0) return "RebalanceTimeoutMs must be provided in first request.";
    if (beat->owned_count != 0) return "TopicPartitions must be empty when (re-)joining.";
    if (beat->topic_count < 0 && !beat->regex.data)
        return "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.";
    return NULL;
}

static broker_error judge_beat(broker_node *broker, broker_consumer_heartbeat *beat) {
    if (!broker_may(broker, beat->principal, GUARD_READ, GUARD_GROUP, beat->group))
        return BROKER_GROUP_AUTHORIZATION_FAILED;
    if (broker->stopping) return BROKER_COORDINATOR_NOT_AVAILABLE;
    beat->message = contradiction(beat);
    if (beat->message) return BROKER_INVALID_REQUEST;
    if (beat->group.size > GROUP_ID_MAX) return BROKER_INVALID_GROUP_ID;
    for (int32_t i = 0; i < beat->topic_count; i++) {
        if (!broker_may(broker, beat->principal, GUARD_DESCRIBE, GUARD_TOPIC, beat->topics[i]))
            return BROKER_TOPIC_AUTHORIZATION_FAILED;
    }
    if (beat->assignor.data && !is_assignor(broker, beat->assignor)) return BROKER_UNSUPPORTED_ASSIGNOR;
    if (beat->regex.size == 0) return BROKER_NONE;
    if (beat->regex.size > REGEX_BYTES_MAX) return BROKER_INVALID_REGULAR_EXPRESSION;
    topic_pattern *pattern;
    const weir_status status = topic_pattern_parse(&broker->account, beat->regex, &pattern);
    if (weir_failed(status)) {
        beat->message = weir_arena_text_copy(&beat->arena, status.text);
        return BROKER_INVALID_REGULAR_EXPRESSION;
    }
    topic_pattern_free(&broker->account, pattern);
    return BROKER_NONE;
}

static bool owned_within(const broker_consumer_heartbeat *beat, const partition_set *set) {
    for (int32_t i = 0; i < beat->owned_count; i++) {
        if (!broker_partitions_have(set, &beat->owned[i])) return false;
    }
    return beat->owned_count >= 0;
}

/* An answer that was lost leaves the member one epoch behind: it goes on if it holds nothing that is not its own. */
static broker_error judge_epoch(const consumer_member *member, const broker_consumer_heartbeat *beat) {
    if (beat->member_epoch > member->epoch) return BROKER_FENCED_MEMBER_EPOCH;
    if (beat->member_epoch == member->epoch) return BROKER_NONE;
    const bool behind = beat->member_epoch == member->previous_epoch && owned_within(beat, &member->assigned);
    return behind ? BROKER_NONE : BROKER_FENCED_MEMBER_EPOCH;
}

/* A static member came back under another member id: it takes over everything. */
static consumer_member *take_over(consumer_group *consumer, consumer_member *member, weir_bytes id,
                                  group_append *append) {
    broker_node *broker = consumer->group->broker;
    broker_consumer_append_gone(append, consumer, member);
    member_take_out(consumer, member);
    char *copy = broker_bytes_text(broker, id);
    weir_free(&broker->account, member->id);
    member->id = copy;
    member->epoch = member->previous_epoch = CONSUMER_EPOCH_JOIN;
    member_insert(consumer, member);
    broker_consumer_append_target(append, consumer, member, false);
    broker_consumer_append_member(append, consumer, member, false);
    return member;
}

/* Do the topics that a heartbeat names fit in beside those of the other members? */
static bool has_room(const consumer_group *consumer, const broker_consumer_heartbeat *beat) {
    size_t bytes = 0;
    for (int32_t i = 0; i < beat->topic_count; i++) bytes += beat->topics[i].size + sizeof(char *);
    for (size_t m = 0; m < consumer->member_count && beat->topic_count > 0; m++) {
        const consumer_member *member = consumer->members[m];
        for (size_t i = 0; i < member->topic_count && !text_equal(member->id, beat->member_id); i++)
            bytes += strlen(member->topics[i]) + sizeof(char *);
    }
    return bytes <= SUBSCRIPTIONS_BYTES_MAX;
}

/* The member of a heartbeat, made when it joins. */
static broker_error find_member(consumer_group *consumer, broker_consumer_heartbeat *beat, group_append *append,
                                consumer_member **found, bool *is_new) {
    const bool joins = beat->member_epoch == CONSUMER_EPOCH_JOIN;
    consumer_member *holder = static_member(consumer, beat->instance_id);
    consumer_member *member = beat->instance_id.data ? holder : broker_consumer_member(consumer, beat->member_id);
    *found = NULL;
    *is_new = false;
    if (!has_room(consumer, beat)) return BROKER_GROUP_MAX_SIZE_REACHED;
    if (member && !text_equal(member->id, beat->member_id)) {
        if (!joins) return BROKER_FENCED_INSTANCE_ID;
        if (member->epoch != CONSUMER_EPOCH_LEAVE_STATIC) return BROKER_UNRELEASED_INSTANCE_ID;
        *found = take_over(consumer, member, beat->member_id, append);
        return BROKER_NONE;
    }
    if (!member && !joins) return BROKER_UNKNOWN_MEMBER_ID;
    if (!member) {
        const int64_t members_max = broker_property_i64(beat->broker, "group.consumer.max.size");
        if ((int64_t)consumer->member_count >= members_max || broker_consumer_member(consumer, beat->member_id))
            return (int64_t)consumer->member_count >= members_max ? BROKER_GROUP_MAX_SIZE_REACHED
                                                                  : BROKER_UNKNOWN_MEMBER_ID;
        member = broker_consumer_member_make(consumer, beat->member_id);
        if (!member) return BROKER_GROUP_MAX_SIZE_REACHED;
        *is_new = true;
    } else if (!joins) {
        const broker_error error = judge_epoch(member, beat);
        if (error != BROKER_NONE) return error;
    }
    *found = member;
    return BROKER_NONE;
}

/* ---- taking a heartbeat ------------------------------------------------------------------------------------------ */

static bool replace_text(broker_node *broker, char **text, weir_bytes value) {
    if (text_equal(*text, value) || (!*text && !value.data)) return false;
    char *copy = value.data ? broker_bytes_text(broker, value) : NULL;
    weir_free(&broker->account, *text);
    *text = copy;
    return true;
}

static bool set_regex(broker_node *broker, consumer_member *member, weir_bytes regex) {
    const weir_bytes wanted = regex.size ? regex : (weir_bytes){0}; /* empty ends it */
    if (!replace_text(broker, &member->regex, wanted)) return false;
    topic_pattern_free(&broker->account, member->pattern);
    member->pattern = NULL;
    if (member->regex) {
        const weir_status status = topic_pattern_parse(&broker->account, wanted, &member->pattern);
        weir_assert(!weir_failed(status)); /* it was judged before */
    }
    return true;
}

/* What the heartbeat says of the member; true = its subscription is another one. */
static bool update_member(consumer_group *consumer, consumer_member *member, const broker_consumer_heartbeat *beat,
                          bool is_new, group_append *append) {
    broker_node *broker = consumer->group->broker;
    bool subscription = is_new, other = is_new;
    if (beat->topic_count >= 0)
        subscription |=
            broker_consumer_set_topics(member, &broker->account, beat->topics, (size_t)beat->topic_count);
    if (beat->regex.data) subscription |= set_regex(broker, member, beat->regex);
    if (beat->assignor.data) subscription |= replace_text(broker, &member->assignor, beat->assignor);
    if (beat->instance_id.data) other |= replace_text(broker, &member->instance_id, beat->instance_id);
    if (beat->rack_id.data) other |= replace_text(broker, &member->rack_id, beat->rack_id);
    other |= replace_text(broker, &member->client_id, beat->client_id);
    other |= replace_text(broker, &member->client_host, beat->client_host);
    if (beat->rebalance_timeout_ms >= 0 && beat->rebalance_timeout_ms != member->rebalance_timeout_ms) {
        member->rebalance_timeout_ms = beat->rebalance_timeout_ms;
        other = true;
    }
    if (subscription || other) broker_consumer_append_member(append, consumer, member, false);
    return subscription;
}

static void take_beat(consumer_group *consumer, broker_consumer_heartbeat *beat) {
    consumer_member *member;
    bool is_new;
    group_append *append = append_begin(consumer, beat_stored, beat);
    const broker_error error = find_member(consumer, beat, append, &member, &is_new);
    if (error != BROKER_NONE) {
        consumer->storing--;
        consumer->group->uses--;
        broker_group_append_drop(append);
        beat_fail(beat, error, NULL);
        broker_group_drop_if_unused(consumer->group);
        return;
    }
    const bool joins = beat->member_epoch == CONSUMER_EPOCH_JOIN;
    const bool changed = update_member(consumer, member, beat, is_new, append);
    group_update(consumer, changed, append);
    /* Who joins again holds nothing, whatever it held before. */
    bool tell = reconcile(consumer, member, beat, append);
    const bool whole = beat->rebalance_timeout_ms >= 0 && (beat->topic_count >= 0 || beat->regex.data) &&
                       beat->owned_count >= 0;
    tell |= joins || whole;
    member_touch(consumer, member);
    timer_update(consumer);
    if (consumer->unstored) broker_consumer_append_all(append, consumer, false);
    else if (wire_builder_count(&append->builder) == 0 && consumer->storing > 1)
        broker_consumer_append_current(append, consumer, member, false); /* what is told has to be durable first */
    consumer->unstored = false;
    beat_tell(beat, member, tell);
    if (wire_builder_count(&append->builder) > 0) {
        broker_group_append_send(append, NULL, 0);
        return;
    }
    consumer->storing--;
    consumer->group->uses--;
    broker_group_append_drop(append);
    beat_answer(beat, BROKER_NONE);
}

static void take_leave(consumer_group *consumer, broker_consumer_heartbeat *beat) {
    consumer_member *member = beat->instance_id.data ? static_member(consumer, beat->instance_id)
                                                     : broker_consumer_member(consumer, beat->member_id);
    if (!member || !text_equal(member->id, beat->member_id)) {
        beat_fail(beat, member ? BROKER_FENCED_INSTANCE_ID : BROKER_UNKNOWN_MEMBER_ID, NULL);
        return;
    }
    group_append *append = append_begin(consumer, beat_stored, beat);
    beat->out_member_id = weir_arena_bytes_copy(&beat->arena, beat->member_id);
    beat->out_epoch = beat->member_epoch;
    if (beat->member_epoch == CONSUMER_EPOCH_LEAVE) {
        member_gone(consumer, member, append);
    } else { /* it keeps its part until it is back or its session is over */
        member->epoch = CONSUMER_EPOCH_LEAVE_STATIC;
        member->revoking.count = 0;
        member->revoke_deadline_ns = 0;
        member->state = CONSUMER_STABLE;
        broker_consumer_append_current(append, consumer, member, false);
    }
    timer_update(consumer);
    broker_group_append_send(append, NULL, 0);
}

/* The id that a member of version 0 does not make itself. */
static void make_member_id(broker_consumer_heartbeat *beat) {
    uint8_t id[16];
    broker_random_uuid(beat->broker, id);
    char text[33];
    for (int i = 0; i < 16; i++) snprintf(text + i * 2, 3, "%02x", id[i]);
    beat->member_id = weir_arena_bytes_copy(&beat->arena, weir_bytes_text(text));
}

/* The group, made or turned when a member joins; a classic group turns while nobody is in it. */
static consumer_group *group_of(broker_node *broker, const broker_consumer_heartbeat *beat) {
    const bool joins = beat->member_epoch == CONSUMER_EPOCH_JOIN;
    group_entry *group = joins ? broker_group_make(broker, beat->group) : broker_group_get(broker, beat->group);
    if (!group || group->consumer || !joins) return group ? group->consumer : NULL;
    if (group->member_count || group->pending_count || group->state != GROUP_EMPTY) return NULL;
    consumer_group *consumer = broker_consumer_make(group);
    if (group->generation > 0) {
        group_append *append = append_begin(consumer, stored_quietly, group);
        broker_group_append_group_tombstone(append, group);
        broker_group_append_send(append, NULL, 0);
        broker_group_forget(group);
    }
    return consumer;
}

void broker_consumer_beat(broker_node *broker, broker_consumer_heartbeat *beat) {
    beat->broker = broker;
    beat->message = NULL;
    beat->has_assignment = false;
    beat->assigned_count = 0;
    beat->interval_ms = 0;
    beat->out_member_id = (weir_bytes){0};
    beat->out_epoch = 0;
    weir_arena_init(&beat->arena, &broker->account, ANSWER_BYTES_MAX);
    broker_operation_begin(broker);
    const broker_error error = judge_beat(broker, beat);
    if (error != BROKER_NONE) {
        beat_answer(beat, error);
        return;
    }
    if (beat->member_id.size == 0) make_member_id(beat);
    consumer_group *consumer = group_of(broker, beat);
    if (!consumer) {
        beat_fail(beat, BROKER_GROUP_ID_NOT_FOUND, "There is no such group of the consumer protocol.");
        return;
    }
    beat->entry = consumer->group;
    if (beat->member_epoch < 0) take_leave(consumer, beat);
    else take_beat(consumer, beat);
}

/* ---- what others ask --------------------------------------------------------------------------------------------- */

broker_error broker_consumer_leave(group_entry *group, weir_bytes member_id, weir_bytes instance_id) {
    consumer_group *consumer = group->consumer;
    consumer_member *member =
        instance_id.data ? static_member(consumer, instance_id) : broker_consumer_member(consumer, member_id);
    if (!member) return BROKER_UNKNOWN_MEMBER_ID;
    if (instance_id.data && member_id.size > 0 && !text_equal(member->id, member_id)) return BROKER_FENCED_INSTANCE_ID;
    group_append *append = append_begin(consumer, stored_quietly, group);
    member_gone(consumer, member, append);
    broker_group_append_send(append, NULL, 0);
    timer_update(consumer);
    return BROKER_NONE;
}

broker_error broker_consumer_epoch_check(const group_entry *group, weir_bytes member_id, int32_t epoch) {
    if (epoch < 0 && group->consumer->member_count == 0) return BROKER_NONE; /* a simple consumer */
    const consumer_member *member = broker_consumer_member(group->consumer, member_id);
    if (!member) return BROKER_UNKNOWN_MEMBER_ID;
    return member->epoch == epoch ? BROKER_NONE : BROKER_STALE_MEMBER_EPOCH;
}

void broker_consumer_info(const group_entry *group, broker_group_info *info) {
    info->consumer = true;
    info->state = broker_consumer_state_name(group->consumer);
    info->protocol_type = weir_bytes_text("consumer");
    info->protocol = weir_bytes_text(broker_consumer_assignor(group->consumer));
    info->member_count = group->consumer->member_count;
}

/* Nothing of it was ever stored. */
bool broker_consumer_is_unused(const group_entry *group) {
    return !group->consumer || (broker_consumer_is_idle(group) && group->consumer->epoch == 0);
}

bool broker_consumer_reads(const group_entry *group, weir_bytes name) {
    const topic_entry *topic = broker_topic_get(group->broker, name);
    for (size_t i = 0; topic && i < group->consumer->member_count; i++) {
        if (is_subscribed(group->consumer->members[i], topic)) return true;
    }
    return false;
}
