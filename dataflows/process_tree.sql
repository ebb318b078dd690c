-- process_tree: every process with its parent and its ancestors.
--
-- The tree is built from all processes that any event names (see processes), so a root that was never logged is in it as a partial node, with the image and command line that its child's create tells.
-- A process that is its own parent, or parents that go round in a circle, end the list before the first process that is in it already.
--
-- Columns, in order (key: HOST, PROCESS_GUID):
--   HOST                 the machine, as logged
--   PROCESS_GUID         Sysmon's identity of the process
--   KNOWLEDGE            complete, partial or orphan, as in processes
--   PROCESS_ID           its id
--   IMAGE                path of its program
--   COMMAND_LINE         as started; what is longer than --max-command-line ends with its length and hash
--   USER                 as whom it runs
--   STARTED              when it started
--   ENDED                when it ended
--   PARENT_PROCESS_GUID  the process that started it
--   DEPTH                how many ancestors are listed
--   TRUNCATED            true when there are more than the 32 nearest
--   ANCESTORS            nearest first: DISTANCE, PROCESS_GUID, IMAGE, COMMAND_LINE of each, cut at --max-ancestor

RUN SCRIPT 'processes.sql';

CREATE TABLE process_tree AS
WITH RECURSIVE chain AS (
    SELECT host, process_guid, 0 AS distance, process_guid AS at, SHORTEN(image, ${ANCESTOR_BYTES}) AS image, SHORTEN(command_line, ${ANCESTOR_BYTES}) AS command_line, parent_process_guid AS next
    FROM processes
    UNION ALL
    -- one generation up; one more than is shown tells whether there are more
    SELECT c.host, c.process_guid, c.distance + 1, p.process_guid, SHORTEN(p.image, ${ANCESTOR_BYTES}), SHORTEN(p.command_line, ${ANCESTOR_BYTES}), p.parent_process_guid
    FROM chain c JOIN processes p ON c.host = p.host AND c.next = p.process_guid
    WHERE c.distance < 33
),
lineage AS (
    SELECT host, process_guid,
           ARRAY_UNTIL_REPEAT(COLLECT_LIST(STRUCT(distance := distance, process_guid := at, image := image, command_line := command_line)), 'PROCESS_GUID') AS line
    FROM chain
    GROUP BY host, process_guid
)
SELECT p.host AS host, p.process_guid AS process_guid, p.knowledge AS knowledge, p.process_id AS process_id, p.image AS image, p.command_line AS command_line,
       p.user AS user, p.started AS started, p.ended AS ended, p.parent_process_guid AS parent_process_guid,
       ARRAY_LENGTH(SLICE(l.line, 2, 33)) AS depth,
       ARRAY_LENGTH(l.line) > 33 AS truncated,
       SLICE(l.line, 2, 33) AS ancestors
FROM processes p JOIN lineage l ON p.host = l.host AND p.process_guid = l.process_guid;
