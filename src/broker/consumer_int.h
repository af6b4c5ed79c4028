/* broker, inside: groups of the consumer protocol (KIP-848).
 *
 *   consumer_groups.c   members, epochs, reconciliation, time     consumer_store.c   their records, and back from there
 *   assignors.c         who gets what                              topic_pattern.c    regular expressions of topics
 *
 * A group's epoch rises with every change of members, subscriptions or topics; then a target assignment is computed for
 * it, and each member is led to its part of it at its own heartbeats: it gives up first what others shall have, and
 * gets what is free. All of it is durable before a member hears of it.
 *
 * Thread: the broker's lane. */
#ifndef WEIR_BROKER_CONSUMER_INT_H
#define WEIR_BROKER_CONSUMER_INT_H

#include "broker/assignors.h"
#include "broker/broker_int.h"
#include "broker/topic_pattern.h"

enum {
    CONSUMER_EPOCH_JOIN = 0,
    CONSUMER_EPOCH_LEAVE = -1,
    CONSUMER_EPOCH_LEAVE_STATIC = -2,
    CONSUMER_TOPICS_MAX = 10000 /* names a member subscribes to */
};

typedef enum consumer_state { /* the numbers of the records */
    CONSUMER_STABLE = 0,
    CONSUMER_UNREVOKED = 1,  /* has not yet given up what others wait for */
    CONSUMER_UNRELEASED = 2  /* waits for what others have not yet given up */
} consumer_state;

typedef struct consumer_member {
    char *id, *instance_id, *rack_id, *client_id, *client_host;
    char **topics; /* sorted */
    size_t topic_count;
    char *regex;
    topic_pattern *pattern; /* of `regex` */
    char *assignor;
    int32_t rebalance_timeout_ms;
    int32_t epoch, previous_epoch;
    consumer_state state;
    partition_set assigned, revoking, target;
    int64_t session_deadline_ns;
    int64_t revoke_deadline_ns; /* 0 = nothing to revoke */
} consumer_member;

struct consumer_group {
    group_entry *group;
    int32_t epoch, assignment_epoch;
    uint64_t topics_hash;     /* of the topics that are subscribed to, with their partitions */
    uint64_t topics_version;  /* of the broker, when the hash was made */
    consumer_member **members; /* sorted by id */
    size_t member_count, member_capacity;
    uint32_t storing;         /* appends on their way */
    bool unstored;            /* an append failed: everything is written anew */
    io_timer timer;
    io_job timer_job;
};

/* consumer_groups.c */
consumer_group *broker_consumer_make(group_entry *group);
consumer_member *broker_consumer_member(const consumer_group *consumer, weir_bytes id);
consumer_member *broker_consumer_member_make(consumer_group *consumer, weir_bytes id);
void broker_consumer_member_drop(consumer_group *consumer, consumer_member *member);
bool broker_consumer_set_topics(consumer_member *member, weir_account *account, const weir_bytes *topics, size_t count);
const char *broker_consumer_state_name(const consumer_group *consumer);
const char *broker_consumer_assignor(const consumer_group *consumer);

/* consumer_store.c: one record each, or its tombstone. */
void broker_consumer_append_epoch(group_append *append, const consumer_group *consumer, bool tombstone);
void broker_consumer_append_member(group_append *append, const consumer_group *consumer, const consumer_member *member,
                                   bool tombstone);
void broker_consumer_append_target(group_append *append, const consumer_group *consumer, const consumer_member *member,
                                   bool tombstone);
void broker_consumer_append_target_epoch(group_append *append, const consumer_group *consumer, bool tombstone);
void broker_consumer_append_current(group_append *append, const consumer_group *consumer,
                                    const consumer_member *member, bool tombstone);
void broker_consumer_append_gone(group_append *append, const consumer_group *consumer, const consumer_member *member);
/* All of the group. */
void broker_consumer_append_all(group_append *append, const consumer_group *consumer, bool tombstone);

#endif
