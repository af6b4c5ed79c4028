/* cli/group - weir group: consumer groups, who is in them, how far they are, and setting them back or forth. */
#include "cli/cli.h"
#include "cli/kafka.h"

#include "base/text.h"

#include <string.h>

enum { TOPIC_NAME_MAX = 256 };

/* ---- asking ------------------------------------------------------------------------------------------------------ */

/* The caller destroys *event. */
static weir_status describe_group(cli_kafka *kafka, const char *name, rd_kafka_event_t **event,
                                  const rd_kafka_ConsumerGroupDescription_t **group) {
    rd_kafka_AdminOptions_t *options = cli_kafka_options(kafka, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    rd_kafka_DescribeConsumerGroups(kafka->handle, &name, 1, options, kafka->queue);
    WEIR_TRY(cli_kafka_wait(kafka, options, event, "describing a group"));
    size_t count;
    *group = rd_kafka_DescribeConsumerGroups_result_groups(rd_kafka_event_DescribeConsumerGroups_result(*event),
                                                           &count)[0];
    const rd_kafka_error_t *error = rd_kafka_ConsumerGroupDescription_error(*group);
    if (!error) return weir_ok();
    const weir_status status = cli_kafka_error(kafka, rd_kafka_error_code(error), rd_kafka_error_string(error),
                                               "describing group '%s'", name);
    rd_kafka_event_destroy(*event);
    return status;
}

/* What the group committed; the caller destroys *event, which *offsets lives in. */
static weir_status committed(cli_kafka *kafka, const char *name, rd_kafka_event_t **event,
                             const rd_kafka_topic_partition_list_t **offsets) {
    rd_kafka_ListConsumerGroupOffsets_t *request = rd_kafka_ListConsumerGroupOffsets_new(name, NULL);
    rd_kafka_AdminOptions_t *options = cli_kafka_options(kafka, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    rd_kafka_ListConsumerGroupOffsets(kafka->handle, &request, 1, options, kafka->queue);
    const weir_status status = cli_kafka_wait(kafka, options, event, "reading a group's offsets");
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
    WEIR_TRY(status);
    size_t count;
    const rd_kafka_group_result_t *result = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(*event), &count)[0];
    const rd_kafka_error_t *error = rd_kafka_group_result_error(result);
    if (error) {
        const weir_status failed = cli_kafka_error(kafka, rd_kafka_error_code(error), rd_kafka_error_string(error),
                                                   "reading the offsets of group '%s'", name);
        rd_kafka_event_destroy(*event);
        return failed;
    }
    *offsets = rd_kafka_group_result_partitions(result);
    return weir_ok();
}

static bool is_dead(const rd_kafka_ConsumerGroupDescription_t *group) {
    return rd_kafka_ConsumerGroupDescription_state(group) == RD_KAFKA_CONSUMER_GROUP_STATE_DEAD;
}

static weir_status no_group(const char *name) {
    return weir_fail(WEIR_NOT_FOUND, "group '%s' does not exist; weir group list shows what there is", name);
}

/* ---- list -------------------------------------------------------------------------------------------------------- */

static weir_status list(cli_kafka *kafka) {
    rd_kafka_event_t *event;
    rd_kafka_AdminOptions_t *options = cli_kafka_options(kafka, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS);
    rd_kafka_ListConsumerGroups(kafka->handle, options, kafka->queue);
    WEIR_TRY(cli_kafka_wait(kafka, options, &event, "listing the groups"));
    const rd_kafka_ListConsumerGroups_result_t *result = rd_kafka_event_ListConsumerGroups_result(event);
    size_t count;
    weir_status status = weir_ok();
    const rd_kafka_error_t **errors = rd_kafka_ListConsumerGroups_result_errors(result, &count);
    if (count > 0)
        status = cli_kafka_error(kafka, rd_kafka_error_code(errors[0]), rd_kafka_error_string(errors[0]),
                                 "listing the groups");
    json_t *rows = json_array();
    const rd_kafka_ConsumerGroupListing_t **groups = rd_kafka_ListConsumerGroups_result_valid(result, &count);
    for (size_t i = 0; i < count; i++) {
        json_t *row = json_object();
        json_object_set_new(row, "group", cli_json_text(rd_kafka_ConsumerGroupListing_group_id(groups[i])));
        json_object_set_new(row, "state", json_string(rd_kafka_consumer_group_state_name(
                                              rd_kafka_ConsumerGroupListing_state(groups[i]))));
        json_array_append_new(rows, row);
    }
    cli_rows_print(kafka->call, rows, "no groups");
    rd_kafka_event_destroy(event);
    return status;
}

static int list_run(cli_call *call) {
    return cli_kafka_run(call, list);
}

/* ---- describe, offsets ------------------------------------------------------------------------------------------- */

static const rd_kafka_topic_partition_list_t *assignment(const rd_kafka_MemberDescription_t *member) {
    return rd_kafka_MemberAssignment_partitions(rd_kafka_MemberDescription_assignment(member));
}

/* The member that reads the partition, or NULL. */
static const rd_kafka_MemberDescription_t *reader_of(const rd_kafka_ConsumerGroupDescription_t *group,
                                                     const char *topic, int32_t partition) {
    for (size_t i = 0; group && i < rd_kafka_ConsumerGroupDescription_member_count(group); i++) {
        const rd_kafka_MemberDescription_t *member = rd_kafka_ConsumerGroupDescription_member(group, i);
        const rd_kafka_topic_partition_list_t *list = assignment(member);
        for (int p = 0; list && p < list->cnt; p++) {
            if (list->elems[p].partition == partition && strcmp(list->elems[p].topic, topic) == 0) return member;
        }
    }
    return NULL;
}

static json_t *number_or_null(int64_t value) {
    return value >= 0 ? json_integer(value) : json_null();
}

static weir_status add_partition(cli_kafka *kafka, json_t *rows, const rd_kafka_ConsumerGroupDescription_t *group,
                                 const rd_kafka_topic_partition_t *partition) {
    int64_t low, high = -1;
    /* A deleted topic leaves its offsets behind for a while: they are shown without an end. */
    if (!weir_failed(cli_kafka_partition(kafka, partition->topic, partition->partition)))
        WEIR_TRY(cli_kafka_ends(kafka, partition->topic, partition->partition, &low, &high));
    const int64_t lag = partition->offset >= 0 && high >= partition->offset ? high - partition->offset : -1;
    json_t *row = json_object();
    json_object_set_new(row, "topic", cli_json_text(partition->topic));
    json_object_set_new(row, "partition", json_integer(partition->partition));
    json_object_set_new(row, "committed", number_or_null(partition->offset));
    json_object_set_new(row, "end", number_or_null(high));
    json_object_set_new(row, "lag", number_or_null(lag));
    if (group) {
        const rd_kafka_MemberDescription_t *member = reader_of(group, partition->topic, partition->partition);
        json_object_set_new(row, "member",
                            cli_json_text(member ? rd_kafka_MemberDescription_consumer_id(member) : NULL));
    }
    json_array_append_new(rows, row);
    return weir_ok();
}

/* All partitions that are committed or being read, in order. */
static weir_status partition_rows(cli_kafka *kafka, const rd_kafka_ConsumerGroupDescription_t *group,
                                  const rd_kafka_topic_partition_list_t *offsets, json_t *rows) {
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_copy(offsets);
    for (size_t i = 0; group && i < rd_kafka_ConsumerGroupDescription_member_count(group); i++) {
        const rd_kafka_topic_partition_list_t *list = assignment(rd_kafka_ConsumerGroupDescription_member(group, i));
        for (int p = 0; list && p < list->cnt; p++) {
            if (rd_kafka_topic_partition_list_find(all, list->elems[p].topic, list->elems[p].partition)) continue;
            rd_kafka_topic_partition_list_add(all, list->elems[p].topic, list->elems[p].partition)->offset = -1;
        }
    }
    rd_kafka_topic_partition_list_sort(all, NULL, NULL);
    weir_status status = weir_ok();
    for (int i = 0; i < all->cnt && !weir_failed(status); i++)
        status = add_partition(kafka, rows, group, &all->elems[i]);
    rd_kafka_topic_partition_list_destroy(all);
    return status;
}

static json_t *member_rows(const rd_kafka_ConsumerGroupDescription_t *group) {
    json_t *rows = json_array();
    for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(group); i++) {
        const rd_kafka_MemberDescription_t *member = rd_kafka_ConsumerGroupDescription_member(group, i);
        const rd_kafka_topic_partition_list_t *list = assignment(member);
        const char *instance = rd_kafka_MemberDescription_group_instance_id(member);
        json_t *row = json_object();
        json_object_set_new(row, "member", cli_json_text(rd_kafka_MemberDescription_consumer_id(member)));
        json_object_set_new(row, "client", cli_json_text(rd_kafka_MemberDescription_client_id(member)));
        json_object_set_new(row, "host", cli_json_text(rd_kafka_MemberDescription_host(member)));
        json_object_set_new(row, "instance", cli_json_text(instance && *instance ? instance : NULL));
        json_object_set_new(row, "partitions", json_integer(list ? list->cnt : 0));
        json_array_append_new(rows, row);
    }
    return rows;
}

static void print_group(cli_kafka *kafka, const char *name, const rd_kafka_ConsumerGroupDescription_t *group,
                        json_t *partitions) {
    const char *assignor = rd_kafka_ConsumerGroupDescription_partition_assignor(group);
    const rd_kafka_Node_t *coordinator = rd_kafka_ConsumerGroupDescription_coordinator(group);
    json_t *answer = json_object();
    json_object_set_new(answer, "group", cli_json_text(name));
    json_object_set_new(answer, "state", json_string(rd_kafka_consumer_group_state_name(
                                             rd_kafka_ConsumerGroupDescription_state(group))));
    json_object_set_new(answer, "assignor", cli_json_text(assignor && *assignor ? assignor : NULL));
    json_object_set_new(answer, "coordinator", coordinator ? json_integer(rd_kafka_Node_id(coordinator)) : json_null());
    json_t *members = member_rows(group);
    if (kafka->call->json) {
        json_object_set_new(answer, "members", members);
        json_object_set_new(answer, "partitions", partitions);
        json_dumpf(answer, stdout, JSON_INDENT(2));
        printf("\n");
        json_decref(answer);
        return;
    }
    json_t *rows = json_array();
    json_array_append_new(rows, answer);
    cli_rows_print(kafka->call, rows, "");
    printf("\n");
    cli_rows_print(kafka->call, members, "no members");
    printf("\n");
    cli_rows_print(kafka->call, partitions, "no offsets committed");
}

static weir_status describe_one(cli_kafka *kafka, const char *name) {
    rd_kafka_event_t *described, *listed;
    const rd_kafka_ConsumerGroupDescription_t *group;
    const rd_kafka_topic_partition_list_t *offsets;
    WEIR_TRY(describe_group(kafka, name, &described, &group));
    weir_status status = committed(kafka, name, &listed, &offsets);
    if (!weir_failed(status)) {
        json_t *partitions = json_array();
        if (is_dead(group) && offsets->cnt == 0) status = no_group(name);
        else status = partition_rows(kafka, group, offsets, partitions);
        if (weir_failed(status)) json_decref(partitions);
        else print_group(kafka, name, group, partitions);
        rd_kafka_event_destroy(listed);
    }
    rd_kafka_event_destroy(described);
    return status;
}

static weir_status describe(cli_kafka *kafka) {
    return describe_one(kafka, kafka->call->arguments[0]);
}

static int describe_run(cli_call *call) {
    return cli_kafka_run(call, describe);
}

static weir_status offsets(cli_kafka *kafka) {
    const char *name = kafka->call->arguments[0];
    rd_kafka_event_t *described, *listed;
    const rd_kafka_ConsumerGroupDescription_t *group;
    const rd_kafka_topic_partition_list_t *list;
    WEIR_TRY(describe_group(kafka, name, &described, &group));
    const bool exists = !is_dead(group);
    rd_kafka_event_destroy(described);
    WEIR_TRY(committed(kafka, name, &listed, &list));
    json_t *rows = json_array();
    const weir_status status =
        !exists && list->cnt == 0 ? no_group(name) : partition_rows(kafka, NULL, list, rows);
    if (weir_failed(status)) json_decref(rows);
    else cli_rows_print(kafka->call, rows, "no offsets committed");
    rd_kafka_event_destroy(listed);
    return status;
}

static int offsets_run(cli_call *call) {
    return cli_kafka_run(call, offsets);
}

/* ---- delete ------------------------------------------------------------------------------------------------------ */

static weir_status delete(cli_kafka *kafka) {
    const char *name = kafka->call->arguments[0];
    rd_kafka_DeleteGroup_t *request = rd_kafka_DeleteGroup_new(name);
    rd_kafka_event_t *event;
    rd_kafka_AdminOptions_t *options = cli_kafka_options(kafka, RD_KAFKA_ADMIN_OP_DELETEGROUPS);
    rd_kafka_DeleteGroups(kafka->handle, &request, 1, options, kafka->queue);
    weir_status status = cli_kafka_wait(kafka, options, &event, "deleting a group");
    rd_kafka_DeleteGroup_destroy(request);
    WEIR_TRY(status);
    size_t count;
    const rd_kafka_error_t *error = rd_kafka_group_result_error(
        rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &count)[0]);
    if (error) {
        status = cli_kafka_error(kafka, rd_kafka_error_code(error), rd_kafka_error_string(error),
                                 "deleting group '%s'", name);
    } else {
        json_t *rows = json_array(), *row = json_object();
        json_object_set_new(row, "group", cli_json_text(name));
        json_object_set_new(row, "result", json_string("deleted"));
        json_array_append_new(rows, row);
        cli_rows_print(kafka->call, rows, "");
    }
    rd_kafka_event_destroy(event);
    return status;
}

static int delete_run(cli_call *call) {
    return cli_kafka_run(call, delete);
}

/* ---- reset ------------------------------------------------------------------------------------------------------- */

/* TOPIC or TOPIC:PARTITION; a topic's name holds no colon. */
static weir_status target_of(const cli_kafka *kafka, const char *text, char *topic, int32_t *first, int32_t *last) {
    const char *colon = strchr(text, ':');
    const size_t size = colon ? (size_t)(colon - text) : strlen(text);
    const struct rd_kafka_metadata_topic *found;
    int64_t partition;
    if (size == 0 || size >= TOPIC_NAME_MAX) return weir_fail(WEIR_INVALID, "--topic '%s' is no topic's name", text);
    memcpy(topic, text, size);
    topic[size] = 0;
    WEIR_TRY(cli_kafka_topic(kafka, topic, &found));
    *first = 0;
    *last = found->partition_cnt - 1;
    if (!colon) return weir_ok();
    if (!weir_parse_i64(weir_bytes_text(colon + 1), &partition))
        return weir_fail(WEIR_INVALID, "--topic '%s': after the colon comes a partition's number", text);
    WEIR_TRY(cli_kafka_partition(kafka, topic, partition));
    *first = *last = (int32_t)partition;
    return weir_ok();
}

/* Where each partition named by --topic shall stand. */
static weir_status targets(cli_kafka *kafka, cli_position position, rd_kafka_topic_partition_list_t *list) {
    unsigned at = 0;
    const char *text;
    char topic[TOPIC_NAME_MAX];
    while ((text = cli_value_next(kafka->call, "topic", &at))) {
        int32_t first = 0, last = 0;
        int64_t offset;
        WEIR_TRY(target_of(kafka, text, topic, &first, &last));
        if (position.kind == CLI_OFFSET && first != last)
            return weir_fail(WEIR_INVALID, "topic '%s' has %d partitions: name the one that --to %lld means, as in "
                             "--topic %s:0", topic, last + 1, (long long)position.value, topic);
        for (int32_t p = first; p <= last; p++) {
            WEIR_TRY(cli_kafka_resolve(kafka, topic, p, position, &offset));
            if (!rd_kafka_topic_partition_list_find(list, topic, p)) rd_kafka_topic_partition_list_add(list, topic, p);
            rd_kafka_topic_partition_list_set_offset(list, topic, p, offset);
        }
    }
    return weir_ok();
}

static weir_status check_empty(cli_kafka *kafka, const char *name) {
    rd_kafka_event_t *event;
    const rd_kafka_ConsumerGroupDescription_t *group;
    const weir_status described = describe_group(kafka, name, &event, &group);
    /* A group may be given offsets before its first member comes. */
    if (described.code == WEIR_NOT_FOUND) return weir_ok();
    WEIR_TRY(described);
    const size_t members = rd_kafka_ConsumerGroupDescription_member_count(group);
    rd_kafka_event_destroy(event);
    if (members == 0) return weir_ok();
    return weir_fail(WEIR_BUSY, "group '%s' has %zu members, which would overwrite the offsets; stop them first", name,
                     members);
}

static weir_status alter_offsets(cli_kafka *kafka, const char *name, const rd_kafka_topic_partition_list_t *list) {
    rd_kafka_AlterConsumerGroupOffsets_t *request = rd_kafka_AlterConsumerGroupOffsets_new(name, list);
    rd_kafka_event_t *event;
    rd_kafka_AdminOptions_t *options = cli_kafka_options(kafka, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS);
    rd_kafka_AlterConsumerGroupOffsets(kafka->handle, &request, 1, options, kafka->queue);
    weir_status status = cli_kafka_wait(kafka, options, &event, "resetting a group");
    rd_kafka_AlterConsumerGroupOffsets_destroy(request);
    WEIR_TRY(status);
    size_t count;
    const rd_kafka_group_result_t *result = rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result(event), &count)[0];
    const rd_kafka_error_t *error = rd_kafka_group_result_error(result);
    if (error) {
        status = cli_kafka_error(kafka, rd_kafka_error_code(error), rd_kafka_error_string(error),
                                 "resetting group '%s'", name);
    }
    const rd_kafka_topic_partition_list_t *done = rd_kafka_group_result_partitions(result);
    for (int i = 0; done && i < done->cnt && !weir_failed(status); i++) {
        if (done->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
            status = cli_kafka_error(kafka, done->elems[i].err, NULL, "resetting group '%s' on %s-%d", name,
                                     done->elems[i].topic, done->elems[i].partition);
    }
    rd_kafka_event_destroy(event);
    return status;
}

/* Before and after, one row a partition. */
static weir_status reset_rows(cli_kafka *kafka, const char *name, const rd_kafka_topic_partition_list_t *list,
                              json_t *rows) {
    rd_kafka_event_t *event;
    const rd_kafka_topic_partition_list_t *before;
    WEIR_TRY(committed(kafka, name, &event, &before));
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *after = &list->elems[i];
        const rd_kafka_topic_partition_t *old = rd_kafka_topic_partition_list_find(
            (rd_kafka_topic_partition_list_t *)before, after->topic, after->partition);
        json_t *row = json_object();
        json_object_set_new(row, "topic", cli_json_text(after->topic));
        json_object_set_new(row, "partition", json_integer(after->partition));
        json_object_set_new(row, "committed", number_or_null(old ? old->offset : -1));
        json_object_set_new(row, "reset", json_integer(after->offset));
        json_array_append_new(rows, row);
    }
    rd_kafka_event_destroy(event);
    return weir_ok();
}

static weir_status reset(cli_kafka *kafka) {
    const char *name = kafka->call->arguments[0];
    cli_position position;
    WEIR_TRY(cli_position_parse(cli_value(kafka->call, "to"), "to", &position));
    WEIR_TRY(check_empty(kafka, name));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    json_t *rows = json_array();
    weir_status status = targets(kafka, position, list);
    if (!weir_failed(status)) status = reset_rows(kafka, name, list, rows);
    if (!weir_failed(status) && !cli_value(kafka->call, "dry-run")) status = alter_offsets(kafka, name, list);
    if (weir_failed(status)) json_decref(rows);
    else cli_rows_print(kafka->call, rows, "nothing to reset");
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

static int reset_run(cli_call *call) {
    if (!cli_value(call, "topic")) return cli_usage(call->title, "it needs --topic TOPIC[:PARTITION]");
    if (!cli_value(call, "to")) return cli_usage(call->title, "it needs --to PLACE");
    return cli_kafka_run(call, reset);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static const cli_option reset_options[] = {{"topic", "TOPIC[:PARTITION]", "what to set; repeatable"},
                                           {"to", "PLACE", CLI_POSITION_HELP},
                                           {"dry-run", NULL, "show what would be set, set nothing"},
                                           {0}};

static const cli_verb group_verbs[] = {
    {"list", "", 0, 0, "List the consumer groups", NULL, "  weir group list\n", list_run},
    {"describe", "GROUP", 1, 1, "Show members, what they read, and how far behind they are", NULL,
     "  weir group describe billing\n  weir group describe billing --output json\n", describe_run},
    {"offsets", "GROUP", 1, 1, "Show what the group has committed", NULL, "  weir group offsets billing\n",
     offsets_run},
    {"delete", "GROUP", 1, 1, "Delete a group without members, and its offsets", NULL, "  weir group delete billing\n",
     delete_run},
    {"reset", "GROUP", 1, 1, "Set the offsets of a group without members", reset_options,
     "  weir group reset billing --topic orders --to earliest --dry-run\n"
     "  weir group reset billing --topic orders:0 --to 1200\n"
     "  weir group reset billing --topic orders --to 2026-11-24T10:00:00Z\n",
     reset_run},
    {0}};

const cli_family CLI_GROUP = {"group", "consumer groups of weir or any Kafka: who reads what, how far, set back",
                              group_verbs};

int cli_group(int argc, char **argv) {
    return cli_family_run(&CLI_GROUP, argc, argv);
}
