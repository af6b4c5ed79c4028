/* The coordinator's assignors, and sets of partitions. */
#include "broker/assignors.h"

#include <stdlib.h>
#include <string.h>

/* ---- sets -------------------------------------------------------------------------------------------------------- */

int broker_partition_compare(const consumer_partition *a, const consumer_partition *b) {
    const int order = memcmp(a->topic_id, b->topic_id, 16);
    return order ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static int compare(const void *a, const void *b) { return broker_partition_compare(a, b); }

bool broker_partitions_have(const partition_set *set, const consumer_partition *partition) {
    return set->count && bsearch(partition, set->items, set->count, sizeof *set->items, compare) != NULL;
}

bool broker_partitions_equal(const partition_set *a, const partition_set *b) {
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++) {
        if (broker_partition_compare(&a->items[i], &b->items[i]) != 0) return false;
    }
    return true;
}

void broker_partitions_add(weir_account *account, partition_set *set, const consumer_partition *partition) {
    if (set->count == set->capacity) {
        set->capacity = set->capacity ? set->capacity * 2 : 4;
        set->items = weir_realloc(account, set->items, sizeof *set->items * set->capacity);
    }
    set->items[set->count++] = *partition;
}

void broker_partitions_sort(partition_set *set) {
    if (set->count == 0) return;
    qsort(set->items, set->count, sizeof *set->items, compare);
    size_t kept = 1;
    for (size_t i = 1; i < set->count; i++) {
        if (broker_partition_compare(&set->items[i], &set->items[kept - 1]) != 0) set->items[kept++] = set->items[i];
    }
    set->count = kept;
}

void broker_partitions_free(weir_account *account, partition_set *set) {
    weir_free(account, set->items);
    *set = (partition_set){0};
}

void broker_partitions_copy(weir_account *account, partition_set *target, const partition_set *source) {
    if (target == source) return;
    target->count = 0;
    for (size_t i = 0; i < source->count; i++) broker_partitions_add(account, target, &source->items[i]);
}

static consumer_partition partition_of(const assign_topic *topic, int32_t partition) {
    consumer_partition result = {.partition = partition};
    memcpy(result.topic_id, topic->id, 16);
    return result;
}

/* ---- range ------------------------------------------------------------------------------------------------------- */

void broker_assign_range(weir_account *account, const assign_topic *topics, size_t topic_count, assign_member *members,
                         size_t member_count) {
    for (size_t t = 0; t < topic_count; t++) {
        int32_t subscribers = 0, next = 0;
        for (size_t m = 0; m < member_count; m++) subscribers += broker_assign_wants(&members[m], t);
        if (subscribers == 0) continue;
        const int32_t each = topics[t].partition_count / subscribers;
        int32_t extra = topics[t].partition_count % subscribers;
        for (size_t m = 0; m < member_count; m++) {
            if (!broker_assign_wants(&members[m], t)) continue;
            for (int32_t left = each + (extra > 0); left > 0; left--) {
                const consumer_partition partition = partition_of(&topics[t], next++);
                broker_partitions_add(account, &members[m].target, &partition);
            }
            if (extra > 0) extra--;
        }
    }
    for (size_t m = 0; m < member_count; m++) broker_partitions_sort(&members[m].target);
}

/* ---- uniform ----------------------------------------------------------------------------------------------------- */

enum { NOBODY = -1, PASSES_MAX = 8 };

typedef struct sharing {
    weir_account *account;
    const assign_topic *topics;
    size_t topic_count;
    assign_member *members;
    size_t member_count;
    size_t *first;   /* of topic: its first partition in `owner` */
    int32_t *owner;  /* by partition */
    size_t *load;    /* by member */
    size_t partition_count;
} sharing;

static int compare_topic(const void *id, const void *topic) {
    return memcmp(id, ((const assign_topic *)topic)->id, 16);
}

/* Everybody keeps what it had, if that is still there for it. */
static void keep_previous(sharing *share) {
    for (size_t m = 0; m < share->member_count; m++) {
        const partition_set *previous = share->members[m].previous;
        for (size_t i = 0; i < previous->count; i++) {
            const consumer_partition *item = &previous->items[i];
            const assign_topic *topic =
                bsearch(item->topic_id, share->topics, share->topic_count, sizeof *share->topics, compare_topic);
            const size_t t = topic ? (size_t)(topic - share->topics) : 0;
            if (!topic || item->partition < 0 || item->partition >= topic->partition_count ||
                !broker_assign_wants(&share->members[m], t))
                continue;
            int32_t *owner = &share->owner[share->first[t] + (size_t)item->partition];
            if (*owner != NOBODY) continue;
            *owner = (int32_t)m;
            share->load[m]++;
        }
    }
}

static int32_t least_loaded(const sharing *share, size_t topic) {
    int32_t best = NOBODY;
    for (size_t m = 0; m < share->member_count; m++) {
        if (!broker_assign_wants(&share->members[m], topic)) continue;
        if (best == NOBODY || share->load[m] < share->load[best]) best = (int32_t)m;
    }
    return best;
}

static void share_rest(sharing *share) {
    for (size_t t = 0; t < share->topic_count; t++) {
        for (int32_t p = 0; p < share->topics[t].partition_count; p++) {
            int32_t *owner = &share->owner[share->first[t] + (size_t)p];
            if (*owner != NOBODY) continue;
            *owner = least_loaded(share, t);
            if (*owner == NOBODY) break; /* nobody wants the topic */
            share->load[*owner]++;
        }
    }
}

/* Moves partitions from those with more to those with less, until a move would only turn the difference round. */
static bool level(sharing *share) {
    bool moved = false;
    for (size_t t = 0; t < share->topic_count; t++) {
        for (int32_t p = share->topics[t].partition_count; p-- > 0;) {
            int32_t *owner = &share->owner[share->first[t] + (size_t)p];
            if (*owner == NOBODY) continue;
            const int32_t least = least_loaded(share, t);
            if (share->load[least] + 1 >= share->load[*owner]) continue;
            share->load[*owner]--;
            share->load[least]++;
            *owner = least;
            moved = true;
        }
    }
    return moved;
}

static void hand_out(sharing *share) {
    for (size_t t = 0; t < share->topic_count; t++) {
        for (int32_t p = 0; p < share->topics[t].partition_count; p++) {
            const int32_t owner = share->owner[share->first[t] + (size_t)p];
            if (owner == NOBODY) continue;
            const consumer_partition partition = partition_of(&share->topics[t], p);
            broker_partitions_add(share->account, &share->members[owner].target, &partition);
        }
    }
    for (size_t m = 0; m < share->member_count; m++) broker_partitions_sort(&share->members[m].target);
}

void broker_assign_uniform(weir_account *account, const assign_topic *topics, size_t topic_count,
                           assign_member *members, size_t member_count) {
    sharing share = {.account = account,
                     .topics = topics,
                     .topic_count = topic_count,
                     .members = members,
                     .member_count = member_count};
    share.first = weir_alloc(account, sizeof *share.first * (topic_count + 1));
    for (size_t t = 0; t < topic_count; t++) {
        share.first[t] = share.partition_count;
        share.partition_count += (size_t)topics[t].partition_count;
    }
    share.owner = weir_alloc(account, sizeof *share.owner * (share.partition_count + 1));
    share.load = weir_alloc(account, sizeof *share.load * (member_count + 1));
    for (size_t i = 0; i < share.partition_count; i++) share.owner[i] = NOBODY;
    keep_previous(&share);
    share_rest(&share);
    for (int pass = 0; pass < PASSES_MAX && level(&share); pass++) continue;
    hand_out(&share);
    weir_free(account, share.first);
    weir_free(account, share.owner);
    weir_free(account, share.load);
}
