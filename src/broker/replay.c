/* Reads a partition of the broker's own from start to end and hands every record to `apply`. */
#include "broker/broker_int.h"

static void apply_marker(broker_replay *replay, const wire_batch *batch, const wire_record *record) {
    int16_t control;
    if (replay->marker && wire_control_of(record, &control) &&
        (control == WIRE_CONTROL_COMMIT || control == WIRE_CONTROL_ABORT))
        replay->marker(replay->broker, batch->producer_id, control == WIRE_CONTROL_COMMIT);
}

static weir_status apply_batch(broker_replay *replay, const wire_batch *batch) {
    broker_node *broker = replay->broker;
    WEIR_TRY(wire_batch_check_crc(batch));
    wire_records records;
    wire_record record;
    replay->batch = batch;
    WEIR_TRY(wire_records_open(&records, batch, broker->compressor, &broker->scratch, BROKER_RECORDS_BYTES_MAX));
    while (wire_records_next(&records, &record)) {
        if (wire_batch_is(batch, WIRE_BATCH_CONTROL)) apply_marker(replay, batch, &record);
        else WEIR_TRY(replay->apply(broker, &record));
    }
    return wire_records_status(&records);
}

static weir_status apply_bytes(broker_replay *replay, weir_bytes bytes) {
    while (bytes.size > 0) {
        wire_batch batch;
        WEIR_TRY(wire_batch_parse(bytes, &batch));
        WEIR_TRY(apply_batch(replay, &batch));
        bytes.data += batch.size_bytes;
        bytes.size -= batch.size_bytes;
    }
    return weir_ok();
}

static void replay_next(broker_replay *replay);

static void replay_read(log_read *read, weir_status status) {
    broker_replay *replay = io_owner(read, broker_replay, read);
    const bool at_end = !weir_failed(status) && read->bytes.size == 0;
    if (!weir_failed(status)) status = apply_bytes(replay, read->bytes);
    replay->offset = read->end_offset;
    log_read_release(read);
    /* A part of the topics must never pass for all of them: orphans are removed by what was read. */
    if (!weir_failed(status) && replay->broker->stopping) status = weir_fail(WEIR_CANCELLED, "the broker is stopping");
    if (weir_failed(status) || at_end) replay->done(replay->broker, status);
    else replay_next(replay);
}

static void replay_next(broker_replay *replay) {
    if (replay->offset >= log_high_watermark(replay->log)) {
        replay->done(replay->broker, weir_ok());
        return;
    }
    replay->read = (log_read){
        .partition = replay->log, .offset = replay->offset, .max_bytes = BROKER_REPLAY_READ_BYTES, .done = replay_read};
    log_read_start(&replay->read);
}

void broker_replay_start(broker_replay *replay) {
    replay->offset = log_start_offset(replay->log);
    replay_next(replay);
}
