-- What scripts/chaos runs: tables whose rows are corrected, and a stream whose records are only added.
RUN SCRIPT 'process_network.sql';

-- An event that is delivered twice is here twice.
CREATE STREAM lookups AS
SELECT event_key, event_time, host, process_guid, image, query_name, query_results
FROM sysmon
WHERE event_id = 22;
