-- processes: every process that any event names, one row for each.
--
-- A process is more than its create event. Its children's creates tell its image and command line, its own events tell its image, id and user, whoever opened or was opened by it tells that it was there.
-- So a process that was started before logging began, or whose create was lost, still has a row, with what the other events say.
--
-- KNOWLEDGE says how much that is:
--   complete  its own create event was seen
--   partial   only other events name it: a child's create, its end, an access to it, a file or registry event …
--   orphan    nothing but network connections name it
--
-- Columns, in order (key: HOST, PROCESS_GUID):
--   HOST                 the machine, as logged
--   PROCESS_GUID         Sysmon's identity of the process
--   KNOWLEDGE            complete, partial or orphan
--   PROCESS_ID           its id
--   IMAGE                path of its program
--   COMMAND_LINE         as started; what is longer than --max-command-line ends with its length and hash
--   CURRENT_DIRECTORY    in which it was started
--   USER                 as whom it runs
--   LOGON_GUID           logon session
--   LOGON_ID             logon session, as Windows numbers it
--   TERMINAL_SESSION_ID  0 is services
--   INTEGRITY_LEVEL      Low, Medium, High, System
--   HASHES               of its program
--   ORIGINAL_FILE_NAME   name in the program's version resource: shows renamed tools
--   PARENT_PROCESS_GUID  the process that started it
--   PARENT_PROCESS_ID    its id
--   PARENT_IMAGE         its program
--   PARENT_COMMAND_LINE  its command line
--   PARENT_USER          as whom it runs
--   STARTED              UtcTime of its create event; without one, the time in its GUID
--   ENDED                time of its terminate event

-- When a process started, UtcTime of its create event says to the millisecond and its GUID to the second. Where they are
-- more than ten seconds apart, or there is no UtcTime, the GUID counts if the log's time bears it out: the create was logged
-- no more than ten seconds before it (clocks differ) and an hour after it. The log's time counts last: a shipper may put the
-- time of arrival there, by which a process would start after its own connection.

CREATE STREAM IF NOT EXISTS sysmon WITH (KAFKA_TOPIC = 'winlogbeat', VALUE_FORMAT = 'SYSMON');

-- A process is remembered for a week after the last event that names it.
CREATE TABLE processes WITH (RETENTION = '7 DAYS') AS
WITH claims AS (
    -- its own create: priority 0
    SELECT host, process_guid, process_id, image, command_line, current_directory, user, logon_guid, logon_id, terminal_session_id,
           integrity_level, hashes, original_file_name,
           parent_process_guid, parent_process_id, parent_image, parent_command_line, parent_user,
           CASE
               WHEN ABS(UNIX_TIMESTAMP(utc_timestamp) - UNIX_TIMESTAMP(GUID_TIME(process_guid))) <= 10000 THEN utc_timestamp
               WHEN UNIX_TIMESTAMP(event_time) - UNIX_TIMESTAMP(GUID_TIME(process_guid)) BETWEEN -10000 AND 3600000 THEN GUID_TIME(process_guid)
               ELSE COALESCE(utc_timestamp, event_time)
           END AS started, CAST(NULL AS TIMESTAMP) AS ended, 0 AS priority, 0 AS knowledge
    FROM sysmon WHERE event_id = 1
    UNION ALL
    -- its child's create: priority 1
    SELECT host, parent_process_guid, parent_process_id, parent_image, parent_command_line, NULL, parent_user, NULL, NULL, NULL,
           NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, 1
    FROM sysmon WHERE event_id = 1
    UNION ALL
    -- its end
    SELECT host, process_guid, process_id, image, NULL, NULL, user, NULL, NULL, NULL,
           NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, event_time, 2, 1
    FROM sysmon WHERE event_id = 5
    UNION ALL
    -- it opened another process, or ran a thread in it
    SELECT host, source_process_guid, source_process_id, source_image, NULL, NULL, source_user, NULL, NULL, NULL,
           NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, 1
    FROM sysmon WHERE event_id IN (8, 10)
    UNION ALL
    -- it was opened, or a thread was run in it
    SELECT host, target_process_guid, target_process_id, target_image, NULL, NULL, target_user, NULL, NULL, NULL,
           NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, 1
    FROM sysmon WHERE event_id IN (8, 10)
    UNION ALL
    -- everything else that it did
    SELECT host, process_guid, process_id, image, NULL, NULL, user, NULL, NULL, NULL,
           NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, 1
    FROM sysmon WHERE event_id IN (2, 7, 9, 11, 12, 13, 14, 15, 17, 18, 22, 23, 24, 25, 26, 27, 28, 29)
    UNION ALL
    -- a network connection: fills columns, but is no further knowledge
    SELECT host, process_guid, process_id, image, NULL, NULL, user, NULL, NULL, NULL,
           NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, 2
    FROM sysmon WHERE event_id = 3
)
SELECT
    host,
    process_guid,
    CASE MIN(knowledge) WHEN 0 THEN 'complete' WHEN 1 THEN 'partial' ELSE 'orphan' END AS knowledge,
    FIRST_KNOWN(process_id, priority) AS process_id,
    FIRST_KNOWN(image, priority) AS image,
    SHORTEN(FIRST_KNOWN(command_line, priority), ${COMMAND_LINE_BYTES}) AS command_line,
    FIRST_KNOWN(current_directory, priority) AS current_directory,
    FIRST_KNOWN(user, priority) AS user,
    FIRST_KNOWN(logon_guid, priority) AS logon_guid,
    FIRST_KNOWN(logon_id, priority) AS logon_id,
    FIRST_KNOWN(terminal_session_id, priority) AS terminal_session_id,
    FIRST_KNOWN(integrity_level, priority) AS integrity_level,
    FIRST_KNOWN(hashes, priority) AS hashes,
    FIRST_KNOWN(original_file_name, priority) AS original_file_name,
    FIRST_KNOWN(parent_process_guid, priority) AS parent_process_guid,
    FIRST_KNOWN(parent_process_id, priority) AS parent_process_id,
    FIRST_KNOWN(parent_image, priority) AS parent_image,
    SHORTEN(FIRST_KNOWN(parent_command_line, priority), ${COMMAND_LINE_BYTES}) AS parent_command_line,
    FIRST_KNOWN(parent_user, priority) AS parent_user,
    COALESCE(FIRST_KNOWN(started, priority), GUID_TIME(process_guid)) AS started,
    FIRST_KNOWN(ended, priority) AS ended
FROM claims
GROUP BY host, process_guid;
