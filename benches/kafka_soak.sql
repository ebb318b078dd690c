-- The dataflow of kafka_soak.py: process_network's shape with durations of minutes.
CREATE STREAM sysmon WITH (KAFKA_TOPIC = 'winlogbeat', VALUE_FORMAT = 'SYSMON');

CREATE TABLE programs WITH (RETENTION = '2 MINUTES') AS
SELECT host, process_guid, FIRST_KNOWN(image, 0) AS image, FIRST_KNOWN(command_line, 0) AS command_line, COUNT(*) AS events
FROM sysmon
WHERE event_id IN (1, 5)
GROUP BY host, process_guid;

CREATE TABLE connections WITH (RETENTION = '2 MINUTES') AS
SELECT DISTINCT ON (event_key) event_key, host, process_guid, destination_ip, destination_port
FROM sysmon
WHERE event_id = 3;

CREATE TABLE soak WITH (KAFKA_TOPIC = 'soak_out') AS
SELECT c.event_key AS event_key, c.host AS host, c.process_guid AS process_guid, c.destination_ip AS destination_ip, p.image AS image, p.command_line AS command_line, p.events AS events
FROM connections c
LEFT JOIN programs p RETROACTIVE WITHIN 2 MINUTES ON c.host = p.host AND c.process_guid = p.process_guid;
