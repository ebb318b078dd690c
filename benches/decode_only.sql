-- Decodes what inner_join.sql decodes and drops every row: the difference to it is what joining costs.
CREATE STREAM sysmon WITH (KAFKA_TOPIC = 'winlogbeat', VALUE_FORMAT = 'SYSMON');

CREATE STREAM nothing AS
SELECT process_guid, command_line, parent_image, CAST(NULL AS INT) AS destination_port, CAST(NULL AS VARCHAR) AS source_ip, CAST(NULL AS INT) AS source_port, CAST(NULL AS VARCHAR) AS utc_time
FROM sysmon
WHERE event_id = 1 AND command_line = 'nothing is called so'
UNION ALL
SELECT process_guid, image, destination_ip, destination_port, source_ip, source_port, utc_time
FROM sysmon
WHERE event_id = 3 AND image = 'nothing is called so';
