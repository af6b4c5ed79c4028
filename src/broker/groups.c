/* Consumer groups: the classic protocol's state machine (KIP-62 rebalance timeout, KIP-345 static members, KIP-394
 * member ids, KIP-429 cooperative rebalancing, which is all in the members' metadata, KIP-559, KIP-814).
 *
 *   EMPTY --join--> PREPARING --all have joined, or time is up--> COMPLETING --leader's sync is durable--> STABLE
 *                       ^                                             |                                      |
 *                       +------------- join, leave, expiry -----------+--------------------------------------+
 *
 * A join or sync that waits hangs on its member; answers are copied into the request's own arena and told by a job. */
#include "broker/broker_int.h"

#include <stdio.h>

enum {
    MEMBER_ID_MAX = 320,
    GROUP_ARENA_BYTES = 32 << 20,
    GROUP_BYTES_MAX = 6 << 20,
    GROUP_ID_MAX = 4096,
    PROTOCOLS_MAX = 64
};

static void prepare_rebalance(group_entry *group);
static void maybe_complete(group_entry *group);
static void timer_update(group_entry *group);

static int64_t later(const broker_node *broker, int64_t ms) { return broker_now_ns(broker) + ms * 1000000; }
static bool text_equal(const char *text, weir_bytes bytes) { return text && weir_bytes_equal_text(bytes, text); }
static weir_bytes text_or_null(const char *text) { return text ? weir_bytes_text(text) : (weir_bytes){0}; }
static void replace_text(broker_node *broker, char **text, weir_bytes value) {
    char *copy =
        value.data ? broker_bytes_text(broker, value) : NULL; /* before the free: it may be a view of the old one */
    weir_free(&broker->account, *text);
    *text = copy;
}

const char *broker_group_state_name(const group_entry *group) {
    static const char *const names[] = {"Empty", "PreparingRebalance", "CompletingRebalance", "Stable"};
    return names[group->state];
}

static void set_state(group_entry *group, group_state state) {
    group->state = state;
    group->state_ms = broker_wall_ms(group->broker);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static void join_run(io_job *job) {
    broker_join *join = io_owner(job, broker_join, job);
    broker_node *broker = join->broker;
    weir_arena arena = join->arena; /* done() may free the request */
    join->done(join);
    weir_arena_deinit(&arena);
    broker_operation_end(broker);
}

static void join_answer(broker_join *join, broker_error error) {
    join->error = error;
    io_job_init(&join->job, join_run);
    broker_post(join->broker, &join->job);
}

static void join_fail(broker_join *join, broker_error error, weir_bytes member_id) {
    join->generation = -1;
    join->out_member_id = weir_arena_bytes_copy(&join->arena, member_id);
    join->leader = weir_bytes_text("");
    join_answer(join, error);
}

static void sync_run(io_job *job) {
    broker_sync *sync = io_owner(job, broker_sync, job);
    broker_node *broker = sync->broker;
    weir_arena arena = sync->arena;
    sync->done(sync);
    weir_arena_deinit(&arena);
    broker_operation_end(broker);
}

static void sync_answer(broker_sync *sync, broker_error error) {
    sync->error = error;
    io_job_init(&sync->job, sync_run);
    broker_post(sync->broker, &sync->job);
}

static void sync_answer_assignment(broker_sync *sync, const group_entry *group, const group_member *member) {
    sync->out_protocol_type = weir_arena_bytes_copy(&sync->arena, text_or_null(group->protocol_type));
    sync->out_protocol = weir_arena_bytes_copy(&sync->arena, text_or_null(group->protocol));
    sync->assignment = weir_arena_bytes_copy(&sync->arena, member->assignment);
    sync_answer(sync, BROKER_NONE);
}

static void take_join(group_member *member, broker_join *join, broker_error old_error) {
    if (member->join) join_fail(member->join, old_error, weir_bytes_text(member->id));
    member->join = join;
}

static void take_sync(group_member *member, broker_sync *sync, broker_error old_error) {
    if (member->sync) sync_answer(member->sync, old_error);
    member->sync = sync;
}

/* ---- members ----------------------------------------------------------------------------------------------------- */

static group_member *member_find(const group_entry *group, weir_bytes id) {
    for (size_t i = 0; i < group->member_count; i++) {
        if (text_equal(group->members[i]->id, id)) return group->members[i];
    }
    return NULL;
}

static group_member *member_find_static(const group_entry *group, weir_bytes instance_id) {
    for (size_t i = 0; instance_id.data && i < group->member_count; i++) {
        if (text_equal(group->members[i]->instance_id, instance_id)) return group->members[i];
    }
    return NULL;
}

static bool is_leader(const group_entry *group, const group_member *member) {
    return group->leader && strcmp(group->leader, member->id) == 0;
}

static void member_touch(group_entry *group, group_member *member) {
    member->deadline_ns = later(group->broker, member->session_timeout_ms);
    timer_update(group);
}

/* The member that a request names: UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID when another holds the instance id. */
static broker_error member_of(const group_entry *group, weir_bytes member_id, weir_bytes instance_id,
                              group_member **member) {
    *member = NULL;
    if (instance_id.data) {
        group_member *holder = member_find_static(group, instance_id);
        if (!holder) return BROKER_UNKNOWN_MEMBER_ID;
        if (!text_equal(holder->id, member_id)) return BROKER_FENCED_INSTANCE_ID;
        *member = holder;
        return BROKER_NONE;
    }
    *member = member_find(group, member_id);
    return *member ? BROKER_NONE : BROKER_UNKNOWN_MEMBER_ID;
}

static void free_protocols(broker_node *broker, group_member *member) {
    for (size_t i = 0; i < member->protocol_count; i++) {
        weir_free(&broker->account, (void *)member->protocols[i].name.data);
        weir_free(&broker->account, (void *)member->protocols[i].metadata.data);
    }
    weir_free(&broker->account, member->protocols);
}

static weir_bytes own_bytes(broker_node *broker, weir_bytes bytes) {
    uint8_t *copy = weir_alloc(&broker->account, bytes.size + 1);
    if (bytes.size) memcpy(copy, bytes.data, bytes.size);
    return (weir_bytes){copy, bytes.size};
}

static void set_protocols(broker_node *broker, group_member *member, const broker_group_protocol *protocols,
                          size_t count) {
    free_protocols(broker, member);
    member->protocols = weir_alloc(&broker->account, sizeof(group_protocol) * (count + 1));
    member->protocol_count = count;
    for (size_t i = 0; i < count; i++) {
        member->protocols[i].name = own_bytes(broker, protocols[i].name);
        member->protocols[i].metadata = own_bytes(broker, protocols[i].metadata);
    }
}

/* What the metadata of all members takes: an answer to the leader and the group's record carry it. */
static size_t group_bytes(const group_entry *group) {
    size_t bytes = 0;
    for (size_t i = 0; i < group->member_count; i++) {
        const group_member *member = group->members[i];
        bytes += MEMBER_ID_MAX;
        for (size_t p = 0; p < member->protocol_count; p++)
            bytes += member->protocols[p].name.size + member->protocols[p].metadata.size;
    }
    return bytes;
}

static size_t join_bytes(const broker_join *join) {
    size_t bytes = MEMBER_ID_MAX;
    for (size_t p = 0; p < join->protocol_count; p++)
        bytes += join->protocols[p].name.size + join->protocols[p].metadata.size;
    return bytes;
}

static bool same_protocols(const group_member *member, const broker_join *join) {
    if (member->protocol_count != join->protocol_count) return false;
    for (size_t i = 0; i < join->protocol_count; i++) {
        if (!weir_bytes_equal(member->protocols[i].name, join->protocols[i].name)) return false;
        if (!weir_bytes_equal(member->protocols[i].metadata, join->protocols[i].metadata)) return false;
    }
    return true;
}

static weir_bytes metadata_of(const group_member *member, const char *protocol) {
    for (size_t i = 0; protocol && i < member->protocol_count; i++) {
        if (weir_bytes_equal_text(member->protocols[i].name, protocol)) return member->protocols[i].metadata;
    }
    return weir_bytes_text("");
}

static void set_assignment(broker_node *broker, group_member *member, weir_bytes assignment) {
    weir_free(&broker->account, (void *)member->assignment.data);
    member->assignment = own_bytes(broker, assignment);
}

static void member_free(broker_node *broker, group_member *member) {
    weir_assert(!member->join && !member->sync);
    free_protocols(broker, member);
    weir_free(&broker->account, (void *)member->assignment.data);
    weir_free(&broker->account, member->id);
    weir_free(&broker->account, member->instance_id);
    weir_free(&broker->account, member->client_id);
    weir_free(&broker->account, member->client_host);
    weir_free(&broker->account, member);
}

static group_member *member_add(group_entry *group, weir_bytes id) {
    broker_node *broker = group->broker;
    if (group->member_count == group->member_capacity) {
        group->member_capacity = group->member_capacity ? group->member_capacity * 2 : 4;
        group->members =
            weir_realloc(&broker->account, group->members, sizeof(*group->members) * group->member_capacity);
    }
    group_member *member = weir_alloc(&broker->account, sizeof *member);
    member->id = broker_bytes_text(broker, id);
    group->members[group->member_count++] = member;
    return member;
}

static void member_remove(group_entry *group, group_member *member) {
    broker_node *broker = group->broker;
    take_join(member, NULL, BROKER_UNKNOWN_MEMBER_ID);
    take_sync(member, NULL, BROKER_UNKNOWN_MEMBER_ID);
    const bool was_leader = is_leader(group, member);
    for (size_t i = 0; i < group->member_count; i++) {
        if (group->members[i] != member) continue;
        group->member_count--;
        memmove(group->members + i, group->members + i + 1, sizeof(*group->members) * (group->member_count - i));
        break;
    }
    if (was_leader)
        replace_text(broker, &group->leader,
                     group->member_count ? weir_bytes_text(group->members[0]->id) : (weir_bytes){0});
    member_free(broker, member);
}

/* A member has gone: the others share its work. */
static void member_gone(group_entry *group, group_member *member) {
    const bool rounds = group->state == GROUP_PREPARING;
    member_remove(group, member);
    if (rounds) maybe_complete(group);
    else prepare_rebalance(group);
    timer_update(group);
}

/* ---- pending ids (KIP-394) --------------------------------------------------------------------------------------- */

static bool pending_remove(group_entry *group, weir_bytes id) {
    for (size_t i = 0; i < group->pending_count; i++) {
        if (!text_equal(group->pending[i].id, id)) continue;
        weir_free(&group->broker->account, group->pending[i].id);
        group->pending[i] = group->pending[--group->pending_count];
        return true;
    }
    return false;
}

static void pending_add(group_entry *group, const char *id, int32_t session_timeout_ms) {
    if (group->pending_count == group->pending_capacity) {
        group->pending_capacity = group->pending_capacity ? group->pending_capacity * 2 : 4;
        group->pending =
            weir_realloc(&group->broker->account, group->pending, sizeof(*group->pending) * group->pending_capacity);
    }
    group->pending[group->pending_count++] = (group_pending){.id = weir_strdup(&group->broker->account, id),
                                                             .deadline_ns = later(group->broker, session_timeout_ms)};
    timer_update(group);
}

/* ---- rounds ------------------------------------------------------------------------------------------------------ */

static size_t waiting_joins(const group_entry *group) {
    size_t count = 0;
    for (size_t i = 0; i < group->member_count; i++) count += group->members[i]->join != NULL;
    return count;
}

static int32_t round_timeout_ms(const group_entry *group) {
    int32_t longest = 0;
    for (size_t i = 0; i < group->member_count; i++) {
        if (group->members[i]->rebalance_timeout_ms > longest) longest = group->members[i]->rebalance_timeout_ms;
    }
    return longest;
}

static void prepare_rebalance(group_entry *group) {
    if (group->state == GROUP_PREPARING) return;
    for (size_t i = 0; i < group->member_count; i++) {
        group_member *member = group->members[i];
        if (group->state == GROUP_COMPLETING) set_assignment(group->broker, member, (weir_bytes){0});
        if (!member->sync) continue;
        take_sync(member, NULL, BROKER_REBALANCE_IN_PROGRESS);
        member->deadline_ns = later(group->broker, member->session_timeout_ms); /* it stood still while it waited */
    }
    const int64_t delay_ms = broker_property_i64(group->broker, "group.initial.rebalance.delay.ms");
    group->round_delay = group->state == GROUP_EMPTY && delay_ms > 0;
    group->round_deadline_ns = later(group->broker, group->round_delay ? delay_ms : round_timeout_ms(group));
    set_state(group, GROUP_PREPARING);
    maybe_complete(group);
    timer_update(group);
}

static bool supports(const group_member *member, weir_bytes protocol) {
    for (size_t i = 0; i < member->protocol_count; i++) {
        if (weir_bytes_equal(member->protocols[i].name, protocol)) return true;
    }
    return false;
}

static bool all_support(const group_entry *group, weir_bytes protocol) {
    for (size_t i = 0; i < group->member_count; i++) {
        if (!supports(group->members[i], protocol)) return false;
    }
    return true;
}

/* Every member votes for its first protocol that all support; most votes win. */
static weir_bytes select_protocol(const group_entry *group) {
    weir_bytes best = {0};
    size_t best_votes = 0;
    const group_member *first = group->members[0];
    for (size_t c = 0; c < first->protocol_count; c++) {
        const weir_bytes candidate = first->protocols[c].name;
        if (!all_support(group, candidate)) continue;
        size_t votes = 0;
        for (size_t i = 0; i < group->member_count; i++) {
            const group_member *member = group->members[i];
            for (size_t p = 0; p < member->protocol_count; p++) {
                if (!all_support(group, member->protocols[p].name)) continue;
                votes += weir_bytes_equal(member->protocols[p].name, candidate);
                break;
            }
        }
        if (votes > best_votes) {
            best = candidate;
            best_votes = votes;
        }
    }
    return best;
}

/* Answers a join with the current generation; the leader hears of all members. */
static void join_succeed(group_entry *group, group_member *member, broker_join *join, const char *leader,
                         bool with_members) {
    join->generation = group->generation;
    join->out_protocol_type = weir_arena_bytes_copy(&join->arena, text_or_null(group->protocol_type));
    join->out_protocol = weir_arena_bytes_copy(&join->arena, text_or_null(group->protocol));
    join->leader = weir_arena_bytes_copy(&join->arena, weir_bytes_text(leader ? leader : ""));
    join->out_member_id = weir_arena_bytes_copy(&join->arena, weir_bytes_text(member->id));
    if (with_members) {
        broker_join_member *members = weir_arena_array(&join->arena, broker_join_member, group->member_count);
        for (size_t i = 0; i < group->member_count; i++) {
            const group_member *other = group->members[i];
            members[i].member_id = weir_arena_bytes_copy(&join->arena, weir_bytes_text(other->id));
            if (other->instance_id)
                members[i].instance_id = weir_arena_bytes_copy(&join->arena, weir_bytes_text(other->instance_id));
            members[i].metadata = weir_arena_bytes_copy(&join->arena, metadata_of(other, group->protocol));
        }
        join->members = members;
        join->member_count = group->member_count;
    }
    join_answer(join, BROKER_NONE);
}

static void stored_ignored(group_append *append, weir_status status) {
    group_entry *group = append->owner;
    if (weir_failed(status)) weir_trace(WEIR_WARN, "broker", "group %s was not stored: %s", group->id, status.text);
    group->uses--;
}

static void store_group(group_entry *group) {
    group->uses++;
    group_append *append = broker_group_append(group->broker, stored_ignored, group);
    broker_group_append_group(append, group);
    broker_group_append_send(append, NULL, 0);
}

static void become_empty(group_entry *group) {
    replace_text(group->broker, &group->protocol, (weir_bytes){0});
    replace_text(group->broker, &group->leader, (weir_bytes){0});
    set_state(group, GROUP_EMPTY);
    store_group(group);
}

static void complete_join(group_entry *group) {
    broker_node *broker = group->broker;
    for (size_t i = group->member_count; i-- > 0;) {
        group_member *member = group->members[i];
        if (!member->join && !member->instance_id) member_remove(group, member);
    }
    group->round_delay = false;
    if (group->member_count > 0 &&
        waiting_joins(group) == 0) { /* static members alone, all away: wait for one of them */
        group->round_deadline_ns = later(broker, round_timeout_ms(group));
        return;
    }
    group->generation++;
    if (group->member_count == 0) {
        become_empty(group);
        return;
    }
    const group_member *leader = group->leader ? member_find(group, weir_bytes_text(group->leader)) : NULL;
    for (size_t i = 0; i < group->member_count && !(leader && leader->join); i++) leader = group->members[i];
    replace_text(broker, &group->leader, weir_bytes_text(leader->id));
    replace_text(broker, &group->protocol, select_protocol(group));
    set_state(group, GROUP_COMPLETING);
    group->round_deadline_ns = later(broker, round_timeout_ms(group));
    for (size_t i = 0; i < group->member_count; i++) {
        group_member *member = group->members[i];
        broker_join *join = member->join;
        member->join = NULL;
        member->synced = join == NULL; /* an absent static member is judged by its session alone */
        set_assignment(broker, member, (weir_bytes){0});
        if (!join) continue;
        member->deadline_ns = later(broker, member->session_timeout_ms);
        join_succeed(group, member, join, group->leader, is_leader(group, member));
    }
}

static void maybe_complete(group_entry *group) {
    if (group->state != GROUP_PREPARING || group->round_delay) return;
    if (group->pending_count == 0 && waiting_joins(group) == group->member_count) complete_join(group);
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

static void timer_update(group_entry *group) {
    int64_t next = INT64_MAX;
    bool unsynced = false;
    for (size_t i = 0; i < group->member_count; i++) {
        const group_member *member = group->members[i];
        if (!member->join && !member->sync && member->deadline_ns < next) next = member->deadline_ns;
        unsynced |= !member->synced;
    }
    for (size_t i = 0; i < group->pending_count; i++) {
        if (group->pending[i].deadline_ns < next) next = group->pending[i].deadline_ns;
    }
    const bool round = group->state == GROUP_PREPARING ||
                       ((group->state == GROUP_COMPLETING || group->state == GROUP_STABLE) && unsynced);
    if (round && group->round_deadline_ns < next) next = group->round_deadline_ns;
    /* A later deadline does not move the timer: it fires once too early and is set again, instead of at every
     * heartbeat. */
    if (next == INT64_MAX || group->broker->stopping) io_timer_cancel(group->broker->world.executor, &group->timer);
    else if (!group->timer.set || next < group->timer.at_ns)
        io_timer_set(group->broker->world.executor, &group->timer, next);
}

static void expire_pending(group_entry *group, int64_t now_ns) {
    for (size_t i = group->pending_count; i-- > 0;) {
        if (group->pending[i].deadline_ns > now_ns) continue;
        weir_free(&group->broker->account, group->pending[i].id);
        group->pending[i] = group->pending[--group->pending_count];
    }
}

/* Members whose session is over, and those that never asked for their assignment. */
static void expire_members(group_entry *group, int64_t now_ns) {
    const bool sync_over =
        (group->state == GROUP_COMPLETING || group->state == GROUP_STABLE) && group->round_deadline_ns <= now_ns;
    bool gone = false;
    for (size_t i = group->member_count; i-- > 0;) {
        group_member *member = group->members[i];
        const bool session_over = !member->join && !member->sync && member->deadline_ns <= now_ns;
        if (!session_over && !(sync_over && !member->synced)) continue;
        weir_trace(WEIR_DEBUG, "broker", "group %s: member %s expired", group->id, member->id);
        member_remove(group, member);
        gone = true;
    }
    if (gone && group->state != GROUP_PREPARING) prepare_rebalance(group);
}

static void timer_run(io_job *job) {
    group_entry *group = io_owner(job, group_entry, timer_job);
    const int64_t now_ns = broker_now_ns(group->broker);
    if (group->broker->stopping) return;
    expire_pending(group, now_ns);
    expire_members(group, now_ns);
    if (group->state == GROUP_PREPARING) {
        if (group->round_deadline_ns <= now_ns) complete_join(group);
        else maybe_complete(group);
    }
    timer_update(group);
    broker_group_drop_if_unused(group);
}

/* ---- the registry ------------------------------------------------------------------------------------------------ */

group_entry *broker_group_get(const broker_node *broker, weir_bytes id) { return weir_map_get(&broker->groups, id); }

group_entry *broker_group_make(broker_node *broker, weir_bytes id) {
    group_entry *group = broker_group_get(broker, id);
    if (group) return group;
    if (broker->group_count == BROKER_GROUPS_MAX) return NULL;
    if (broker->group_count == broker->group_capacity) {
        broker->group_capacity = broker->group_capacity ? broker->group_capacity * 2 : 16;
        broker->group_list =
            weir_realloc(&broker->account, broker->group_list, sizeof(*broker->group_list) * broker->group_capacity);
    }
    group = weir_alloc(&broker->account, sizeof *group);
    group->broker = broker;
    group->id = broker_bytes_text(broker, id);
    set_state(group, GROUP_EMPTY);
    weir_map_init(&group->offsets, &broker->account);
    io_job_init(&group->timer_job, timer_run);
    io_timer_init(&group->timer, broker->lane, &group->timer_job);
    broker->group_list[broker->group_count++] = group;
    weir_map_put(&broker->groups, id, group);
    return group;
}

void broker_group_free(group_entry *group) {
    broker_node *broker = group->broker;
    while (group->member_count) member_free(broker, group->members[--group->member_count]);
    while (group->pending_count) weir_free(&broker->account, group->pending[--group->pending_count].id);
    broker_group_offsets_free(group);
    broker_consumer_free(group);
    weir_free(&broker->account, group->members);
    weir_free(&broker->account, group->pending);
    weir_free(&broker->account, group->protocol_type);
    weir_free(&broker->account, group->protocol);
    weir_free(&broker->account, group->leader);
    weir_free(&broker->account, group->id);
    weir_free(&broker->account, group);
}

void broker_group_drop_if_unused(group_entry *group) {
    if (group->state != GROUP_EMPTY || group->member_count || group->pending_count || group->uses ||
        group->offsets.count || group->generation > 0 || !broker_consumer_is_unused(group) ||
        atomic_load(&group->timer_job.queued))
        return;
    broker_node *broker = group->broker;
    io_timer_cancel(broker->world.executor, &group->timer);
    weir_map_remove(&broker->groups, weir_bytes_text(group->id));
    for (size_t i = 0; i < broker->group_count; i++) {
        if (broker->group_list[i] != group) continue;
        broker->group_list[i] = broker->group_list[--broker->group_count];
        break;
    }
    broker_group_free(group);
}

void broker_groups_stop(broker_node *broker) {
    for (size_t i = 0; i < broker->group_count; i++) {
        group_entry *group = broker->group_list[i];
        io_timer_cancel(broker->world.executor, &group->timer);
        broker_consumer_stop(group);
        for (size_t m = 0; m < group->member_count; m++) {
            take_join(group->members[m], NULL, BROKER_COORDINATOR_NOT_AVAILABLE);
            take_sync(group->members[m], NULL, BROKER_COORDINATOR_NOT_AVAILABLE);
        }
    }
}

/* ---- join -------------------------------------------------------------------------------------------------------- */

static broker_error judge_join(broker_node *broker, const broker_join *join, const group_entry *group) {
    if (!broker_may(broker, join->principal, GUARD_READ, GUARD_GROUP, join->group))
        return BROKER_GROUP_AUTHORIZATION_FAILED;
    if (broker->stopping) return BROKER_COORDINATOR_NOT_AVAILABLE;
    if (join->group.size == 0 || join->group.size > GROUP_ID_MAX) return BROKER_INVALID_GROUP_ID;
    if (join->session_timeout_ms < broker_property_i64(broker, "group.min.session.timeout.ms") ||
        join->session_timeout_ms > broker_property_i64(broker, "group.max.session.timeout.ms"))
        return BROKER_INVALID_SESSION_TIMEOUT;
    if (join->protocol_count == 0 || join->protocol_count > PROTOCOLS_MAX || join->protocol_type.size == 0)
        return BROKER_INCONSISTENT_GROUP_PROTOCOL;
    if (join_bytes(join) + (group ? group_bytes(group) : 0) > GROUP_BYTES_MAX) return BROKER_GROUP_MAX_SIZE_REACHED;
    if (!group) return join->member_id.size > 0 ? BROKER_UNKNOWN_MEMBER_ID : BROKER_NONE;
    if (broker_consumer_member_count(group)) return BROKER_INCONSISTENT_GROUP_PROTOCOL;
    if (!broker_consumer_is_idle(group)) return BROKER_COORDINATOR_LOAD_IN_PROGRESS;
    if (group->member_count == 0) return BROKER_NONE;
    if (!text_equal(group->protocol_type, join->protocol_type)) return BROKER_INCONSISTENT_GROUP_PROTOCOL;
    for (size_t i = 0; i < join->protocol_count; i++) {
        if (all_support(group, join->protocols[i].name)) return BROKER_NONE;
    }
    return BROKER_INCONSISTENT_GROUP_PROTOCOL;
}

static void make_member_id(broker_node *broker, const broker_join *join, char *target, size_t size) {
    uint8_t id[16];
    broker_random_uuid(broker, id);
    const weir_bytes front = join->instance_id.data ? join->instance_id : join->client_id;
    const int front_size = front.size > 200 ? 200 : (int)front.size;
    snprintf(target, size, "%.*s-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", front_size,
             front.data ? (const char *)front.data : "", id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7], id[8],
             id[9], id[10], id[11], id[12], id[13], id[14], id[15]);
}

static void update_member(group_entry *group, group_member *member, const broker_join *join) {
    broker_node *broker = group->broker;
    member->session_timeout_ms = join->session_timeout_ms;
    member->rebalance_timeout_ms =
        join->rebalance_timeout_ms > 0 ? join->rebalance_timeout_ms : join->session_timeout_ms;
    replace_text(broker, &member->client_id, join->client_id);
    replace_text(broker, &member->client_host, join->client_host);
    set_protocols(broker, member, join->protocols, join->protocol_count);
}

/* The member takes part in a round that is running or begins now. */
static void join_round(group_entry *group, group_member *member, broker_join *join) {
    update_member(group, member, join);
    take_join(member, join, BROKER_REBALANCE_IN_PROGRESS);
    if (group->state == GROUP_PREPARING) maybe_complete(group);
    else prepare_rebalance(group);
}

static void join_new(group_entry *group, broker_join *join, weir_bytes member_id) {
    broker_node *broker = group->broker;
    if ((int64_t)group->member_count >= broker_property_i64(broker, "group.max.size")) {
        join_fail(join, BROKER_GROUP_MAX_SIZE_REACHED, weir_bytes_text(""));
        return;
    }
    if (group->member_count == 0) replace_text(broker, &group->protocol_type, join->protocol_type);
    group_member *member = member_add(group, member_id);
    if (join->instance_id.data) member->instance_id = broker_bytes_text(broker, join->instance_id);
    join_round(group, member, join);
}

/* A static member came back under its instance id: it gets a new member id, the old one is fenced, and nobody has to
 * rebalance when its subscription is what it was. */
static void join_static_again(group_entry *group, group_member *member, broker_join *join, weir_bytes new_id) {
    broker_node *broker = group->broker;
    char old_id[MEMBER_ID_MAX];
    snprintf(old_id, sizeof old_id, "%s", member->id);
    const bool leads = is_leader(group, member);
    const bool same = same_protocols(member, join);
    take_join(member, NULL, BROKER_FENCED_INSTANCE_ID);
    take_sync(member, NULL, BROKER_FENCED_INSTANCE_ID);
    replace_text(broker, &member->id, new_id);
    if (leads) replace_text(broker, &group->leader, new_id);
    if (group->state != GROUP_STABLE || !same) {
        join_round(group, member, join);
        return;
    }
    update_member(group, member, join);
    member_touch(group, member);
    store_group(group);
    /* A client that does not know of skipping would assign anew if it heard that it leads: it hears its old id. */
    join->skip_assignment = leads && join->skip_assignment_known;
    join_succeed(group, member, join, leads && !join->skip_assignment ? old_id : group->leader, join->skip_assignment);
}

static void join_first(group_entry *group, broker_join *join) {
    char id[MEMBER_ID_MAX];
    make_member_id(group->broker, join, id, sizeof id);
    group_member *holder = member_find_static(group, join->instance_id);
    if (holder) {
        join_static_again(group, holder, join, weir_bytes_text(id));
    } else if (join->instance_id.data || !join->member_id_required) {
        join_new(group, join, weir_bytes_text(id));
    } else if (group->pending_count + group->member_count >= BROKER_GROUP_MEMBERS_MAX) {
        join_fail(join, BROKER_GROUP_MAX_SIZE_REACHED, weir_bytes_text(""));
    } else {
        pending_add(group, id, join->session_timeout_ms);
        join_fail(join, BROKER_MEMBER_ID_REQUIRED, weir_bytes_text(id));
    }
}

static void join_again(group_entry *group, broker_join *join) {
    if (!join->instance_id.data && pending_remove(group, join->member_id)) {
        join_new(group, join, join->member_id);
        return;
    }
    group_member *member;
    const broker_error error = member_of(group, join->member_id, join->instance_id, &member);
    if (error != BROKER_NONE) {
        join_fail(join, error, join->member_id);
        return;
    }
    const bool same = same_protocols(member, join);
    if (group->state == GROUP_COMPLETING && same) { /* the answer was lost: tell it again */
        join_succeed(group, member, join, group->leader, is_leader(group, member));
    } else if (group->state == GROUP_STABLE && same && !is_leader(group, member)) {
        member_touch(group, member);
        join_succeed(group, member, join, group->leader, false);
    } else {
        join_round(group, member, join); /* a leader that joins again wants a new round */
    }
}

/* A group of the consumer protocol turns while nobody is in it; its offsets stay. */
static void become_classic(group_entry *group) {
    group->uses++;
    group_append *append = broker_group_append(group->broker, stored_ignored, group);
    broker_consumer_append_tombstones(append, group);
    broker_group_append_send(append, NULL, 0);
    broker_consumer_free(group);
}

void broker_group_join(broker_node *broker, broker_join *join) {
    join->broker = broker;
    join->members = NULL;
    join->member_count = 0;
    join->skip_assignment = false;
    join->out_protocol_type = join->out_protocol = (weir_bytes){0};
    weir_arena_init(&join->arena, &broker->account, GROUP_ARENA_BYTES);
    broker_operation_begin(broker);
    group_entry *group = broker_group_get(broker, join->group);
    const broker_error error = judge_join(broker, join, group);
    if (error != BROKER_NONE) {
        join_fail(join, error, join->member_id);
        return;
    }
    if (!group) group = broker_group_make(broker, join->group);
    if (!group) {
        join_fail(join, BROKER_COORDINATOR_NOT_AVAILABLE, join->member_id);
        return;
    }
    if (group->consumer) become_classic(group);
    if (join->member_id.size == 0) join_first(group, join);
    else join_again(group, join);
    timer_update(group);
}

/* ---- sync -------------------------------------------------------------------------------------------------------- */

static void tell_assignments(group_entry *group) {
    for (size_t i = 0; i < group->member_count; i++) {
        group_member *member = group->members[i];
        broker_sync *sync = member->sync;
        if (!sync) continue;
        member->sync = NULL;
        member->deadline_ns = later(group->broker, member->session_timeout_ms);
        sync_answer_assignment(sync, group, member);
    }
}

typedef struct stored_round {
    group_entry *group;
    int32_t generation;
} stored_round;

static void assignment_stored(group_append *append, weir_status status) {
    stored_round *round = append->owner;
    group_entry *group = round->group;
    const bool current = group->state == GROUP_COMPLETING && group->generation == round->generation;
    weir_free(&group->broker->account, round);
    group->uses--;
    group->storing = false;
    if (current && !group->broker->stopping) {
        if (weir_failed(status)) {
            weir_trace(WEIR_WARN, "broker", "group %s: the assignment was not stored: %s", group->id, status.text);
            prepare_rebalance(group); /* whoever waits hears of a new round */
        } else {
            set_state(group, GROUP_STABLE);
            tell_assignments(group);
        }
        timer_update(group);
    }
}

static void take_assignments(group_entry *group, const broker_sync *sync) {
    for (size_t i = 0; i < sync->assignment_count; i++) {
        group_member *member = member_find(group, sync->assignments[i].member_id);
        if (member) set_assignment(group->broker, member, sync->assignments[i].assignment);
    }
    stored_round *round = weir_alloc(&group->broker->account, sizeof *round);
    *round = (stored_round){group, group->generation};
    group->storing = true;
    group->uses++;
    group_append *append = broker_group_append(group->broker, assignment_stored, round);
    broker_group_append_group(append, group);
    broker_group_append_send(append, NULL, 0);
}

static broker_error judge_sync(broker_node *broker, const broker_sync *sync, group_entry **group,
                               group_member **member) {
    *group = NULL;
    if (!broker_may(broker, sync->principal, GUARD_READ, GUARD_GROUP, sync->group))
        return BROKER_GROUP_AUTHORIZATION_FAILED;
    if (broker->stopping) return BROKER_COORDINATOR_NOT_AVAILABLE;
    *group = broker_group_get(broker, sync->group);
    if (!*group) return BROKER_UNKNOWN_MEMBER_ID;
    const broker_error error = member_of(*group, sync->member_id, sync->instance_id, member);
    if (error != BROKER_NONE) return error;
    if (sync->generation != (*group)->generation) return BROKER_ILLEGAL_GENERATION;
    if (sync->protocol_type.data && !text_equal((*group)->protocol_type, sync->protocol_type))
        return BROKER_INCONSISTENT_GROUP_PROTOCOL;
    if (sync->protocol.data && !text_equal((*group)->protocol, sync->protocol))
        return BROKER_INCONSISTENT_GROUP_PROTOCOL;
    if ((*group)->state == GROUP_EMPTY) return BROKER_UNKNOWN_MEMBER_ID;
    size_t bytes = 0;
    for (size_t i = 0; i < sync->assignment_count; i++) bytes += sync->assignments[i].assignment.size;
    if (bytes > GROUP_BYTES_MAX) return BROKER_INVALID_REQUEST;
    return (*group)->state == GROUP_PREPARING ? BROKER_REBALANCE_IN_PROGRESS : BROKER_NONE;
}

void broker_group_sync(broker_node *broker, broker_sync *sync) {
    sync->broker = broker;
    sync->out_protocol_type = sync->out_protocol = (weir_bytes){0};
    sync->assignment = weir_bytes_text("");
    weir_arena_init(&sync->arena, &broker->account, GROUP_ARENA_BYTES);
    broker_operation_begin(broker);
    group_entry *group;
    group_member *member = NULL;
    const broker_error error = judge_sync(broker, sync, &group, &member);
    if (error != BROKER_NONE) {
        sync_answer(sync, error);
        return;
    }
    member->synced = true;
    if (group->state == GROUP_STABLE) {
        sync_answer_assignment(sync, group, member);
        member_touch(group, member);
        return;
    }
    take_sync(member, sync, BROKER_REBALANCE_IN_PROGRESS);
    if (is_leader(group, member) && !group->storing) take_assignments(group, sync);
    timer_update(group);
}

/* ---- heartbeat, leave -------------------------------------------------------------------------------------------- */

broker_error broker_group_heartbeat(broker_node *broker, const guard_principal *principal, weir_bytes group_id,
                                    weir_bytes member_id, weir_bytes instance_id, int32_t generation) {
    if (!broker_may(broker, principal, GUARD_READ, GUARD_GROUP, group_id)) return BROKER_GROUP_AUTHORIZATION_FAILED;
    group_entry *group = broker_group_get(broker, group_id);
    if (!group) return BROKER_UNKNOWN_MEMBER_ID;
    group_member *member;
    const broker_error error = member_of(group, member_id, instance_id, &member);
    if (error != BROKER_NONE) return error;
    if (generation != group->generation) return BROKER_ILLEGAL_GENERATION;
    member_touch(group, member);
    return group->state == GROUP_PREPARING ? BROKER_REBALANCE_IN_PROGRESS : BROKER_NONE;
}

broker_error broker_group_leave(broker_node *broker, const guard_principal *principal, weir_bytes group_id,
                                weir_bytes member_id, weir_bytes instance_id) {
    if (!broker_may(broker, principal, GUARD_READ, GUARD_GROUP, group_id)) return BROKER_GROUP_AUTHORIZATION_FAILED;
    group_entry *group = broker_group_get(broker, group_id);
    if (!group) return BROKER_UNKNOWN_MEMBER_ID;
    if (group->consumer) return broker_consumer_leave(group, member_id, instance_id);
    if (!instance_id.data && pending_remove(group, member_id)) {
        maybe_complete(group);
        timer_update(group);
        return BROKER_NONE;
    }
    group_member *member = member_find_static(group, instance_id);
    if (!member || member_id.size > 0) {
        const broker_error error = member_of(group, member_id, instance_id, &member);
        if (error != BROKER_NONE) return error;
    }
    member_gone(group, member);
    return BROKER_NONE;
}

/* ---- commits and looking ----------------------------------------------------------------------------------------- */

broker_error broker_group_commit_check(broker_node *broker, weir_bytes group_id, weir_bytes member_id,
                                       weir_bytes instance_id, int32_t generation) {
    group_entry *group = broker_group_get(broker, group_id);
    if (!group) return generation < 0 ? BROKER_NONE : BROKER_ILLEGAL_GENERATION;
    if (group->consumer) return broker_consumer_epoch_check(group, member_id, generation);
    if (generation < 0 && group->state == GROUP_EMPTY) return BROKER_NONE; /* a simple consumer */
    group_member *member;
    const broker_error error = member_of(group, member_id, instance_id, &member);
    if (error != BROKER_NONE) return error;
    if (generation != group->generation) return BROKER_ILLEGAL_GENERATION;
    if (group->state == GROUP_COMPLETING) return BROKER_REBALANCE_IN_PROGRESS;
    member_touch(group, member);
    return BROKER_NONE;
}

broker_error broker_group_commit_error(const broker_node *broker, weir_bytes id, broker_error error,
                                       bool epochs_known) {
    const group_entry *group = broker_group_get(broker, id);
    if (error == BROKER_STALE_MEMBER_EPOCH && !epochs_known) return BROKER_UNSUPPORTED_VERSION;
    /* As in Kafka a group that is not there is no generation's to a client that could be of either protocol. */
    return error == BROKER_ILLEGAL_GENERATION && !group && epochs_known ? BROKER_GROUP_ID_NOT_FOUND : error;
}

broker_error broker_offsets_member_check(const broker_node *broker, weir_bytes id, weir_bytes member_id,
                                         int32_t epoch) {
    const group_entry *group = broker_group_get(broker, id);
    if (!group || !group->consumer || (!member_id.data && epoch < 0)) return BROKER_NONE;
    return broker_consumer_epoch_check(group, member_id, epoch);
}

static void describe(const group_entry *group, broker_group_info *info) {
    *info = (broker_group_info){
        .group = weir_bytes_text(group->id),
        .state = broker_group_state_name(group),
        .protocol_type = weir_bytes_text(group->protocol_type ? group->protocol_type : ""),
        .protocol = weir_bytes_text(group->state == GROUP_STABLE && group->protocol ? group->protocol : ""),
        .member_count = group->member_count};
    if (group->consumer) broker_consumer_info(group, info);
}

size_t broker_group_count(const broker_node *broker) { return broker->group_count; }

bool broker_group_at(const broker_node *broker, size_t index, broker_group_info *info) {
    if (index >= broker->group_count) return false;
    describe(broker->group_list[index], info);
    return true;
}

bool broker_group_describe(const broker_node *broker, weir_bytes id, broker_group_info *info) {
    const group_entry *group = broker_group_get(broker, id);
    if (group) describe(group, info);
    return group != NULL;
}

bool broker_group_member_at(const broker_node *broker, weir_bytes id, size_t index, broker_group_member_info *info) {
    const group_entry *group = broker_group_get(broker, id);
    if (!group || index >= group->member_count) return false; /* no group of the consumer protocol has such members */
    const group_member *member = group->members[index];
    const bool stable = group->state == GROUP_STABLE;
    *info = (broker_group_member_info){.member_id = weir_bytes_text(member->id),
                                       .instance_id = text_or_null(member->instance_id),
                                       .client_id = weir_bytes_text(member->client_id ? member->client_id : ""),
                                       .client_host = weir_bytes_text(member->client_host ? member->client_host : ""),
                                       .metadata = stable ? metadata_of(member, group->protocol) : weir_bytes_text(""),
                                       .assignment = stable ? member->assignment : weir_bytes_text("")};
    return true;
}

/* ---- coming back from the log ------------------------------------------------------------------------------------ */

void broker_group_restore(group_entry *group, const wire_group_metadata_value *value) {
    broker_node *broker = group->broker;
    while (group->member_count) member_remove(group, group->members[group->member_count - 1]);
    replace_text(broker, &group->protocol_type, value->protocol_type);
    replace_text(broker, &group->protocol, value->protocol);
    replace_text(broker, &group->leader, value->leader);
    group->generation = value->generation;
    for (int32_t i = 0; i < value->members.count && i < BROKER_GROUP_MEMBERS_MAX; i++) {
        const wire_group_metadata_value_member_metadata *stored = &value->members.items[i];
        group_member *member = member_add(group, stored->member_id);
        if (stored->group_instance_id.data) member->instance_id = broker_bytes_text(broker, stored->group_instance_id);
        replace_text(broker, &member->client_id, stored->client_id);
        replace_text(broker, &member->client_host, stored->client_host);
        member->session_timeout_ms = stored->session_timeout;
        member->rebalance_timeout_ms =
            stored->rebalance_timeout > 0 ? stored->rebalance_timeout : stored->session_timeout;
        const broker_group_protocol protocol = {value->protocol.data ? value->protocol : weir_bytes_text(""),
                                                stored->subscription};
        set_protocols(broker, member, &protocol, 1);
        set_assignment(broker, member, stored->assignment);
        member->synced = true;
    }
    group->state = group->member_count ? GROUP_STABLE : GROUP_EMPTY;
    group->state_ms = value->current_state_timestamp >= 0 ? value->current_state_timestamp : broker_wall_ms(broker);
}

/* Members get a whole session to show that they are still there. */
void broker_group_resume(group_entry *group) {
    for (size_t i = 0; i < group->member_count; i++)
        group->members[i]->deadline_ns = later(group->broker, group->members[i]->session_timeout_ms);
    timer_update(group);
}

void broker_group_forget(group_entry *group) {
    while (group->member_count) member_remove(group, group->members[group->member_count - 1]);
    group->generation = 0;
    group->state = GROUP_EMPTY;
}

weir_bytes broker_group_member_subscription(const group_entry *group, const group_member *member) {
    return metadata_of(member, group->protocol);
}
