-- process_network: every network connection with the process behind it and its ancestry.
--
-- The process is found whatever came first: a create event that arrives after the connection corrects the row. A connection whose process was never logged is there too, with what other events tell;
-- KNOWLEDGE says how much that is:
--   complete  the process's own create event was seen
--   partial   other events name the process, so image, user or command line may be known
--   orphan    nothing but network connections name it, or the event names no process
-- An event that was delivered more than once counts once.
--
-- Columns, in order (key: EVENT_KEY):
--   EVENT_KEY             identity of the connection event
--   EVENT_TIME            when it was logged
--   HOST                  the machine, as logged
--   KNOWLEDGE             complete, partial or orphan
--   PROCESS_GUID          the process that connected
--   PROCESS_ID            its id
--   IMAGE                 its program
--   COMMAND_LINE          as started; what is longer than --max-command-line ends with its length and hash
--   USER                  as whom it runs
--   INTEGRITY_LEVEL       Low, Medium, High, System
--   HASHES                of its program
--   STARTED               when it started
--   PARENT_PROCESS_GUID   the process that started it
--   PARENT_IMAGE          its program
--   PARENT_COMMAND_LINE   its command line
--   PROTOCOL              tcp or udp
--   INITIATED             true when the process opened the connection
--   SOURCE_IP             address that the connection came from
--   SOURCE_PORT           its port
--   SOURCE_HOSTNAME       its name, as Sysmon resolved it
--   DESTINATION_IP        address that it went to
--   DESTINATION_PORT      its port
--   DESTINATION_HOSTNAME  its name, as Sysmon resolved it
--   DESTINATION_PORT_NAME what the port is usually for
--   RULE_NAME             of Sysmon's configuration
--   UTC_TIME              of the connection, as Sysmon wrote it; may lie before the process
--   DEPTH                 how many ancestors are listed
--   TRUNCATED             true when there are more than the 32 nearest
--   ANCESTORS             nearest first: DISTANCE, PROCESS_GUID, IMAGE, COMMAND_LINE of each, cut at --max-ancestor

RUN SCRIPT 'processes.sql';

-- Each connection once, however often it was delivered.
CREATE TABLE connections WITH (RETENTION = '1 DAY') AS
SELECT DISTINCT ON (event_key)
       event_key, event_time, host, process_guid, process_id, image, user, protocol, initiated, source_ip, source_port, source_hostname,
       destination_ip, destination_port, destination_hostname, destination_port_name, rule_name, utc_time
FROM sysmon
WHERE event_id = 3;

-- The processes that connect, and no others, each with its ancestors.
CREATE TABLE connecting AS
WITH RECURSIVE chain AS (
    SELECT DISTINCT ON (host, process_guid)
           host, process_guid, -1 AS distance, CAST(NULL AS GUID) AS at, CAST(NULL AS VARCHAR) AS image, CAST(NULL AS VARCHAR) AS command_line, process_guid AS next
    FROM connections
    UNION ALL
    -- the process itself, then one generation up; one more than is shown tells whether there are more
    SELECT c.host, c.process_guid, c.distance + 1, p.process_guid, SHORTEN(p.image, ${ANCESTOR_BYTES}), SHORTEN(p.command_line, ${ANCESTOR_BYTES}), p.parent_process_guid
    FROM chain c JOIN processes p ON c.host = p.host AND c.next = p.process_guid
    WHERE c.distance < 33
),
lineage AS (
    SELECT host, process_guid,
           ARRAY_UNTIL_REPEAT(COLLECT_LIST(STRUCT(distance := distance, process_guid := at, image := image, command_line := command_line)), 'PROCESS_GUID') AS line
    FROM chain
    WHERE distance >= 0
    GROUP BY host, process_guid
)
SELECT p.host AS host, p.process_guid AS process_guid, p.knowledge AS knowledge, p.process_id AS process_id, p.image AS image, p.command_line AS command_line,
       p.user AS user, p.integrity_level AS integrity_level, p.hashes AS hashes, p.started AS started,
       p.parent_process_guid AS parent_process_guid, SHORTEN(p.parent_image, ${ANCESTOR_BYTES}) AS parent_image,
       SHORTEN(p.parent_command_line, ${ANCESTOR_BYTES}) AS parent_command_line,
       ARRAY_LENGTH(SLICE(l.line, 2, 33)) AS depth,
       ARRAY_LENGTH(l.line) > 33 AS truncated,
       SLICE(l.line, 2, 33) AS ancestors
FROM processes p JOIN lineage l ON p.host = l.host AND p.process_guid = l.process_guid;

-- A connection waits a day for its process.
CREATE TABLE process_network AS
SELECT n.event_key AS event_key,
       n.event_time AS event_time,
       n.host AS host,
       COALESCE(p.knowledge, 'orphan') AS knowledge,
       n.process_guid AS process_guid,
       COALESCE(p.process_id, n.process_id) AS process_id,
       COALESCE(p.image, n.image) AS image,
       p.command_line AS command_line,
       COALESCE(p.user, n.user) AS user,
       p.integrity_level AS integrity_level,
       p.hashes AS hashes,
       p.started AS started,
       p.parent_process_guid AS parent_process_guid,
       p.parent_image AS parent_image,
       p.parent_command_line AS parent_command_line,
       n.protocol AS protocol,
       n.initiated AS initiated,
       n.source_ip AS source_ip,
       n.source_port AS source_port,
       n.source_hostname AS source_hostname,
       n.destination_ip AS destination_ip,
       n.destination_port AS destination_port,
       n.destination_hostname AS destination_hostname,
       n.destination_port_name AS destination_port_name,
       n.rule_name AS rule_name,
       n.utc_time AS utc_time,
       COALESCE(p.depth, 0) AS depth,
       COALESCE(p.truncated, FALSE) AS truncated,
       p.ancestors AS ancestors
FROM connections n
LEFT JOIN connecting p RETROACTIVE WITHIN 1 DAY ON n.host = p.host AND n.process_guid = p.process_guid;
