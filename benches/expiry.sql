-- inner_join.sql on state that ends: for `--allowed-lateness`.
CREATE STREAM sysmon WITH (KAFKA_TOPIC = 'winlogbeat', VALUE_FORMAT = 'SYSMON');

CREATE TABLE creates WITH (RETENTION = '15 MINUTES') AS
SELECT DISTINCT ON (process_guid) process_guid, command_line, parent_image
FROM sysmon
WHERE event_id = 1;

CREATE STREAM network AS
SELECT utc_time, process_guid, image, destination_ip, destination_port, source_ip, source_port
FROM sysmon
WHERE event_id = 3;

CREATE TABLE inner_join AS
SELECT n.utc_time AS utc_time,
       n.process_guid AS process_guid,
       n.image AS image,
       n.destination_ip AS destination_ip,
       n.destination_port AS destination_port,
       n.source_ip AS source_ip,
       n.source_port AS source_port,
       p.command_line AS command_line,
       p.parent_image AS parent_image
FROM network n
JOIN creates p RETROACTIVE WITHIN 15 MINUTES ON n.process_guid = p.process_guid;
