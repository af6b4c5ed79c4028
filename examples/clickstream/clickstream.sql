-- A web site's clicks: collected from nginx's access log, cleaned, counted.
-- The path is relative to the folder the server was started in.

-- Queries begin with the first record of their sources, not with the next one to come.
SET 'auto.offset.reset' = 'earliest';

-- 1. Acquire. Every line of the log becomes a record of the topic; the position is committed with it.
CREATE SOURCE CONNECTOR nginx_log WITH (
    'connector' = 'file',
    'path' = 'nginx/access.log',
    'topic' = 'access_log',
    'headers' = 'position'
);

-- 2. Clean. The combined log format, typed. A line that is not in that form, or whose request cannot be read, goes to the
--    quarantine topic with the reason, its position and its bytes.
CREATE STREAM access_log (
    remote_addr STRING,
    time TIMESTAMP,
    method STRING,
    path STRING,
    status INT,
    bytes BIGINT,
    referer STRING,
    user_agent STRING
) WITH (
    KAFKA_TOPIC = 'access_log',
    PARTITIONS = 1,
    VALUE_FORMAT = 'COMBINED',
    TIMESTAMP = 'time',
    QUARANTINE_TOPIC = 'access_log-quarantine'
);

CREATE STREAM clicks WITH (KAFKA_TOPIC = 'clicks', VALUE_FORMAT = 'JSON') AS
    SELECT
        remote_addr,
        method,
        path,
        status,
        COALESCE(bytes, 0) AS bytes,
        COALESCE(referer, '(direct)') AS referer,
        COALESCE(user_agent, '(unknown)') AS user_agent
    FROM access_log
    EMIT CHANGES;

-- 3. Compute. Tables that are up to date within milliseconds, and can be read while they grow.
CREATE TABLE views_per_path WITH (KAFKA_TOPIC = 'views_per_path', VALUE_FORMAT = 'JSON') AS
    SELECT path, COUNT(*) AS views, SUM(bytes) AS bytes
    FROM clicks
    WINDOW TUMBLING (SIZE 2 SECONDS)
    GROUP BY path
    EMIT CHANGES;

CREATE TABLE views_per_path_hopping WITH (KAFKA_TOPIC = 'views_per_path_hopping', VALUE_FORMAT = 'JSON') AS
    SELECT path, COUNT(*) AS views, SUM(bytes) AS bytes
    FROM clicks
    WINDOW HOPPING (SIZE 6 SECONDS, ADVANCE BY 2 SECONDS)
    GROUP BY path
    EMIT CHANGES;

CREATE TABLE error_ratio WITH (KAFKA_TOPIC = 'error_ratio', VALUE_FORMAT = 'JSON') AS
    SELECT
        method,
        COUNT(*) AS requests,
        SUM(CASE WHEN status >= 400 THEN 1 ELSE 0 END) AS errors,
        CAST(SUM(CASE WHEN status >= 400 THEN 1 ELSE 0 END) AS DOUBLE) / COUNT(*) AS ratio
    FROM clicks
    WINDOW TUMBLING (SIZE 2 SECONDS)
    GROUP BY method
    EMIT CHANGES;
