/* broker, inside: how the consumer protocol's coordinator shares partitions among members (KIP-848).
 *
 * range    topic by topic, each subscriber a run of partitions, the first ones one more than the others
 * uniform  as even as the subscriptions let it be, and what a member has it keeps where that is possible
 *
 * Pure functions over arrays of the caller's; memory from the account given, all of it freed. */
#ifndef WEIR_BROKER_ASSIGNORS_H
#define WEIR_BROKER_ASSIGNORS_H

#include "broker/broker.h"

typedef broker_partition_id consumer_partition;

typedef struct partition_set { /* sorted by topic id and partition, each once; items owned */
    consumer_partition *items;
    size_t count, capacity;
} partition_set;

int broker_partition_compare(const consumer_partition *a, const consumer_partition *b);
bool broker_partitions_have(const partition_set *set, const consumer_partition *partition);
bool broker_partitions_equal(const partition_set *a, const partition_set *b);
/* At the end: broker_partitions_sort() follows when they do not come in order. */
void broker_partitions_add(weir_account *account, partition_set *set, const consumer_partition *partition);
void broker_partitions_sort(partition_set *set);
void broker_partitions_copy(weir_account *account, partition_set *target, const partition_set *source);
void broker_partitions_free(weir_account *account, partition_set *set);

typedef struct assign_topic {
    uint8_t id[16];
    int32_t partition_count;
} assign_topic;

typedef struct assign_member { /* in the order of their names: it decides between equals */
    const uint8_t *subscribed;     /* a bit for each topic, by index */
    const partition_set *previous; /* what it was to have before */
    partition_set target;          /* out; owned by the caller, sorted */
} assign_member;

static inline void broker_assign_want(uint8_t *subscribed, size_t topic) {
    subscribed[topic / 8] = (uint8_t)(subscribed[topic / 8] | 1 << (topic % 8));
}
static inline bool broker_assign_wants(const assign_member *member, size_t topic) {
    return member->subscribed[topic / 8] >> (topic % 8) & 1;
}

void broker_assign_range(weir_account *account, const assign_topic *topics, size_t topic_count, assign_member *members,
                         size_t member_count);
/* `topics` sorted by id. */
void broker_assign_uniform(weir_account *account, const assign_topic *topics, size_t topic_count,
                           assign_member *members, size_t member_count);

#endif
