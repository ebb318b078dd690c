-- sysmon_join: HELK's SYSMON_JOIN record: a network connection with the create event of its process.
--
-- The columns are those that HELK's KSQL published and its Logstash, index and dashboards know. Unlike there, a create that arrives after the connection still joins, and an event that was
-- delivered twice makes one record. Connections whose create event was never seen are left out, as there; process_network has them all.
--
-- Columns, in order (key: EVENT_KEY; on Kafka the record's key is N_PROCESS_GUID, so the topic must not be compacted):
--   EVENT_KEY                      identity of the connection event: use it as document id
--   N_EVENT_ORIGINAL_TIME          Sysmon's UtcTime of the connection, milliseconds since 1970
--   N_PROCESS_GUID                 the process
--   N_PROCESS_ID                   its id
--   N_PROCESS_PATH                 its program
--   N_USER_ACCOUNT                 as whom it runs
--   NETWORK_PROTOCOL               tcp or udp
--   NETWORK_CONNECTION_INITIATED   "true" when the process opened the connection
--   SRC_IS_IPV6                    "true" or "false"
--   SRC_IP_ADDR                    address that the connection came from
--   SRC_HOST_NAME                  its name, as Sysmon resolved it
--   SRC_PORT                       its port
--   SRC_PORT_NAME                  what the port is usually for
--   DST_IS_IPV6                    "true" or "false"
--   DST_IP_ADDR                    address that it went to
--   DST_HOST_NAME                  its name, as Sysmon resolved it
--   DST_PORT                       its port
--   DST_PORT_NAME                  what the port is usually for
--   N_SOURCE_NAME                  provider of the event
--   N_LOG_NAME                     channel of the event
--   PROCESS_COMMAND_LINE           from the create event, as all that follow; cut at --max-command-line
--   HASHES                         of the program
--   PROCESS_PARENT_PATH            the parent's program
--   PROCESS_PARENT_COMMAND_LINE    its command line
--   USER_LOGON_GUID                logon session
--   USER_LOGON_ID                  logon session, as Windows numbers it
--   USER_SESSION_ID                0 is services
--   PROCESS_CURRENT_DIRECTORY      in which the process was started
--   PROCESS_INTEGRITY_LEVEL        Low, Medium, High, System
--   PROCESS_PARENT_GUID            the process that started it
--   PROCESS_PARENT_ID              its id

CREATE STREAM IF NOT EXISTS sysmon WITH (KAFKA_TOPIC = 'winlogbeat', VALUE_FORMAT = 'SYSMON');

-- Own creates only; if one was delivered twice, or a GUID was created twice, the earliest.
CREATE TABLE creates WITH (RETENTION = '7 DAYS') AS
SELECT host, process_guid,
       SHORTEN(FIRST_KNOWN(command_line, 0), ${COMMAND_LINE_BYTES}) AS command_line,
       FIRST_KNOWN(hashes, 0) AS hashes,
       SHORTEN(FIRST_KNOWN(parent_image, 0), ${ANCESTOR_BYTES}) AS parent_image,
       SHORTEN(FIRST_KNOWN(parent_command_line, 0), ${ANCESTOR_BYTES}) AS parent_command_line,
       FIRST_KNOWN(logon_guid, 0) AS logon_guid,
       FIRST_KNOWN(logon_id, 0) AS logon_id,
       FIRST_KNOWN(terminal_session_id, 0) AS terminal_session_id,
       FIRST_KNOWN(current_directory, 0) AS current_directory,
       FIRST_KNOWN(integrity_level, 0) AS integrity_level,
       FIRST_KNOWN(parent_process_guid, 0) AS parent_process_guid,
       FIRST_KNOWN(parent_process_id, 0) AS parent_process_id
FROM sysmon
WHERE event_id = 1
GROUP BY host, process_guid;

-- Each connection once, however often it was delivered.
CREATE TABLE connects WITH (RETENTION = '1 DAY') AS
SELECT DISTINCT ON (event_key)
       event_key, host, provider, channel, utc_timestamp, process_guid, process_id, image, user, protocol, initiated,
       source_is_ipv6, source_ip, source_hostname, source_port, source_port_name,
       destination_is_ipv6, destination_ip, destination_hostname, destination_port, destination_port_name
FROM sysmon
WHERE event_id = 3;

CREATE TABLE sysmon_join WITH (KAFKA_TOPIC = 'SYSMON_JOIN') AS
SELECT n.event_key AS event_key,
       UNIX_TIMESTAMP(n.utc_timestamp) AS n_event_original_time,
       n.process_guid AS n_process_guid,
       n.process_id AS n_process_id,
       n.image AS n_process_path,
       n.user AS n_user_account,
       n.protocol AS network_protocol,
       CAST(n.initiated AS VARCHAR) AS network_connection_initiated,
       CAST(n.source_is_ipv6 AS VARCHAR) AS src_is_ipv6,
       n.source_ip AS src_ip_addr,
       n.source_hostname AS src_host_name,
       n.source_port AS src_port,
       n.source_port_name AS src_port_name,
       CAST(n.destination_is_ipv6 AS VARCHAR) AS dst_is_ipv6,
       n.destination_ip AS dst_ip_addr,
       n.destination_hostname AS dst_host_name,
       n.destination_port AS dst_port,
       n.destination_port_name AS dst_port_name,
       n.provider AS n_source_name,
       n.channel AS n_log_name,
       c.command_line AS process_command_line,
       c.hashes AS hashes,
       c.parent_image AS process_parent_path,
       c.parent_command_line AS process_parent_command_line,
       c.logon_guid AS user_logon_guid,
       c.logon_id AS user_logon_id,
       c.terminal_session_id AS user_session_id,
       c.current_directory AS process_current_directory,
       c.integrity_level AS process_integrity_level,
       c.parent_process_guid AS process_parent_guid,
       c.parent_process_id AS process_parent_id
FROM connects n
INNER JOIN creates c RETROACTIVE WITHIN 1 DAY ON n.host = c.host AND n.process_guid = c.process_guid
PARTITION BY n_process_guid;
