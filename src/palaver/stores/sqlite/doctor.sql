-- What the doctor asks and mends. Statements named check_* that say so give four columns: the session's number, a
-- position in it, the place in words, and what was found; each may be NULL where there is nothing to say.

-- name: check_integrity
PRAGMA integrity_check(100);

-- name: check_session_page
-- Sessions after a number.
SELECT number, id, owner FROM sessions WHERE number > ? ORDER BY number LIMIT ?;

-- name: check_session_of
SELECT id, owner FROM sessions WHERE number = ?;

-- name: check_session_row
-- The fields of a session that hold JSON or text, as bytes: they may be no UTF-8 any more.
SELECT CAST(origin AS BLOB), CAST(metadata AS BLOB), CAST(tags AS BLOB), CAST(holds AS BLOB), CAST(notice AS BLOB),
       CAST(settings AS BLOB), CAST(title AS BLOB), CAST(preview AS BLOB)
FROM sessions WHERE number = ?;

-- name: check_todo_row
-- The fields of a session's to-do that hold JSON.
SELECT holder FROM todos WHERE session = ?;

-- name: check_turn_rows
-- The fields of a session's turns that hold JSON or text, as bytes: they may be no UTF-8 any more.
SELECT id, CAST(holder AS BLOB), CAST(taken AS BLOB), CAST(notice AS BLOB), CAST(budget AS BLOB),
       CAST(calibration AS BLOB), CAST(usage AS BLOB), CAST(reason AS BLOB), CAST(token AS BLOB)
FROM turns WHERE id BETWEEN ? AND ?;

-- name: part_session
-- A session with its head, by its number, where its own row is all that is asked for. Its text as bytes, as above.
SELECT s.number, s.id, s.owner, s.created_at, s.rev, s.explicit, s.parent, s.parent_kind, s.reset_reason,
       CAST(s.notice AS BLOB), CAST(s.origin AS BLOB), CAST(s.title AS BLOB), CAST(s.preview AS BLOB),
       CAST(s.metadata AS BLOB), CAST(s.tags AS BLOB), CAST(s.holds AS BLOB), s.archived, s.pinned, s.hidden,
       s.ended_at, s.end_reason, s.deleted_at, s.leading_seq, s.cut_count, s.compaction, s.stored_at, s.guarded_until,
       s.title_source, CAST(s.settings AS BLOB), s.last_seq, s.message_count, s.last_active, s.user_seq
FROM sessions s WHERE s.number = ?;

-- name: part_turn
-- The same of a turn.
SELECT id, CAST(state AS BLOB), CAST(token AS BLOB), CAST(holder AS BLOB), expires_at, began_at, ended_at, end_seq,
       anchor, CAST(reason AS BLOB), session_is_new, first_contact, CAST(taken AS BLOB), CAST(notice AS BLOB),
       message_seq, steps_from, CAST(budget AS BLOB), CAST(calibration AS BLOB), CAST(usage AS BLOB)
FROM turns WHERE id = ?;

-- name: part_running
-- Turns that have not ended, by the index alone.
SELECT id FROM turns INDEXED BY turns_running WHERE state = 'running';

-- name: part_through
-- How far a session had come, by what is beside its messages: the feed, and the ids that callers gave.
SELECT max(coalesce((SELECT max(through_seq) FROM changes WHERE session = :number), 0),
           coalesce((SELECT max(seq) FROM message_ids WHERE session = :number), 0));

-- name: part_listed
-- The numbers of a page of sessions, newest activity first, by what their own rows say.
SELECT s.number FROM sessions s
WHERE (s.last_active, s.number) < (:active, :number)
  AND (s.owner = :owner OR :owner IS NULL)
  AND s.last_active >= :since
  AND (s.deleted_at IS NULL OR :deleted)
  AND (s.archived = 0 OR :archived)
  AND (s.hidden = 0 OR :hidden)
  AND (s.ended_at IS NULL OR :ended)
  AND (s.last_seq > 0 OR :empty OR EXISTS (SELECT 1 FROM changes c WHERE c.session = s.number AND c.through_seq > 0))
  AND {is_wanted}
ORDER BY s.last_active DESC, s.number DESC
LIMIT :limit;

-- name: check_owned
SELECT number, id, owner FROM sessions WHERE owner = ? AND number > ? ORDER BY number LIMIT ?;

-- name: check_bodies_between
SELECT id, kind, body FROM messages WHERE id > ? AND id <= ? ORDER BY id LIMIT ?;

-- name: check_versions_between
SELECT message, version, body FROM versions WHERE (message, version) > (?, ?) AND message <= ?
ORDER BY message, version LIMIT ?;

-- name: check_indexed
-- What the search index has of a range.
SELECT id FROM search_index_docsize WHERE id BETWEEN ? AND ?;

-- name: check_size
-- About how many messages there are.
SELECT coalesce(sum(last_seq), 0) FROM sessions;

-- name: check_numbers
-- What there is beneath a session's number: the newest position, and how many are stored.
SELECT coalesce(max(id) & 4294967295, 0), count(*) FROM messages WHERE id BETWEEN ? AND ?;

-- name: check_holes
-- Positions that stand before a gap, and where it ends.
SELECT (m.id & 4294967295) + 1, (SELECT min(n.id) & 4294967295 FROM messages n WHERE n.id > m.id AND n.id <= :high) - 1
FROM messages m
WHERE m.id BETWEEN :low AND :high AND NOT EXISTS (SELECT 1 FROM messages n WHERE n.id = m.id + 1);

-- name: check_first
SELECT min(id) & 4294967295 FROM messages WHERE id BETWEEN ? AND ?;

-- name: check_newest_user
-- The newest replayable user message of a range.
SELECT max(id) & 4294967295 FROM messages WHERE id BETWEEN ? AND ? AND kind & 15 = 3;

-- name: check_messages
-- Messages of no session, by its number. Four columns.
WITH RECURSIVE stored (number) AS (
    SELECT (SELECT min(id) FROM messages) >> 32
    UNION ALL
    SELECT (SELECT min(m.id) FROM messages m WHERE m.id > (stored.number << 32 | 4294967295)) >> 32
    FROM stored WHERE stored.number IS NOT NULL
)
SELECT number, NULL, NULL,
       (SELECT count(*) FROM messages m WHERE m.id BETWEEN number << 32 AND (number << 32 | 4294967295))
       || ' messages that belong to no session'
FROM stored WHERE number IS NOT NULL AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = stored.number);

-- name: check_ids
-- Ids of messages of no session. Four columns.
SELECT i.session, i.seq, 'message id ' || quote(i.id), 'it belongs to no session' FROM message_ids i
WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = i.session);

-- name: check_versions
-- Versions of no message. Four columns.
SELECT v.message >> 32, v.message & 4294967295, NULL, 'an earlier version of a message that is not stored'
FROM versions v WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = v.message);

-- name: check_turns
-- Turns of no session. Four columns.
SELECT t.id >> 32, t.id & 4294967295, NULL, 'a turn of no session' FROM turns t
WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = t.id >> 32);

-- name: check_queue
-- What waits and is not there. Four columns.
SELECT q.id >> 32, q.id & 4294967295, NULL, 'it waits for a turn and is not stored' FROM queue q
WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = q.id);

-- name: check_cuts
-- Cuts of no session. Four columns.
SELECT c.session, c.from_seq, NULL, 'a cut of no session' FROM cuts c
WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = c.session);

-- name: check_compactions
-- Summaries of no session. Four columns.
SELECT c.session, c.from_seq, NULL, 'a summary of no session' FROM compactions c
WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = c.session);

-- name: check_usage
-- Usage of no session. Four columns.
SELECT u.session, NULL, NULL, 'usage of no session, with model ' || quote(u.model) FROM usage u
WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = u.session);

-- name: check_imports
-- Marks of imports of no session. Four columns.
SELECT i.session, NULL, NULL, 'a mark of the import of no session' FROM imports i
WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = i.session);

-- name: check_todos
-- To-dos of no session. Four columns.
SELECT t.session, NULL, NULL, 'a to-do of no session' FROM todos t
WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = t.session);

-- name: check_given_up
-- To-dos that failed for the last time. Four columns.
SELECT t.session, NULL, NULL, 'its to-do of ' || date(t.made_at / 1000000, 'unixepoch') || ' was given up after '
       || t.failures || ' failures: ' || coalesce(t.error, '')
FROM todos t JOIN sessions s ON s.number = t.session WHERE t.state = 'given_up';

-- name: check_being_removed
-- Whether a session is being purged or erased: what lay beside its messages goes first.
SELECT 1 FROM sessions WHERE number = ? AND deleted_at IS NOT NULL;

-- name: check_erasures
-- Erasures that began and have not ended. Four columns.
SELECT NULL, NULL, 'erasure ' || id, 'it began at ' || datetime(began_at / 1000000, 'unixepoch') || ' UTC and has not ended'
FROM erasures WHERE ended_at IS NULL;

-- name: check_aliases
-- Aliases of no session. Four columns.
SELECT a.session, NULL, 'alias ' || quote(a.alias) || ' of owner ' || quote(a.owner), 'it leads to no session'
FROM aliases a WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = a.session);

-- name: check_keys
-- Keys of no session. Four columns.
SELECT k.session, NULL, 'key ' || quote(k.key) || ' of owner ' || quote(k.owner), 'it points at no session'
FROM keys k WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = k.session);

-- name: check_keys_ended
-- Keys of sessions that have ended or are deleted. Four columns.
SELECT s.number, NULL, 'key ' || quote(k.key) || ' of owner ' || quote(k.owner),
       'it points at session ' || s.id || ', which has ended'
FROM keys k JOIN sessions s ON s.number = k.session WHERE s.ended_at IS NOT NULL OR s.deleted_at IS NOT NULL;

-- name: check_previous
-- Keys that pointed before at what is no session. Four columns.
SELECT k.session, NULL, 'key ' || quote(k.key) || ' of owner ' || quote(k.owner), 'it pointed before at no session'
FROM keys k WHERE k.previous <> 0 AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = k.previous);

-- name: check_media_refs
-- References of no message. Four columns.
SELECT r.message >> 32, r.message & 4294967295, NULL,
       'a reference to content ' || r.address || ' of a message that is not stored'
FROM media_refs r WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = r.message);

-- name: check_media
-- References to content that is not there. Four columns.
SELECT r.message >> 32, r.message & 4294967295, NULL, 'content that it refers to is not stored: ' || r.address
FROM media_refs r
WHERE NOT EXISTS (SELECT 1 FROM media b WHERE b.address = r.address)
  AND EXISTS (SELECT 1 FROM messages m WHERE m.id = r.message);

-- name: check_cut_counts
-- Sessions that count other cuts than there are. Four columns.
SELECT s.number, NULL, NULL, 'it counts ' || s.cut_count || ' cuts and has '
       || (SELECT count(*) FROM cuts c WHERE c.session = s.number)
FROM sessions s WHERE s.cut_count <> (SELECT count(*) FROM cuts c WHERE c.session = s.number);

-- name: check_summaries
-- Sessions that name another summary than the newest that holds. Four columns.
SELECT s.number, NULL, NULL, 'its summary is said to be ' || s.compaction || ', and is not'
FROM sessions s
WHERE s.deleted_at IS NULL
  AND s.compaction <> coalesce((SELECT max(c.id) FROM compactions c WHERE c.session = s.number AND c.stale = 0), 0);

-- name: check_parents
-- Parents that are gone. Four columns.
SELECT s.number, NULL, NULL, 'its parent ' || s.parent || ' is not stored' FROM sessions s
WHERE s.parent IS NOT NULL AND NOT EXISTS (SELECT 1 FROM sessions p WHERE p.id = s.parent);

-- name: check_late_parents
-- Sessions that were made before their parents, or with them: every circle has one of them.
SELECT s.number FROM sessions s JOIN sessions p ON p.id = s.parent WHERE p.number >= s.number ORDER BY s.number;

-- name: check_parent
SELECT p.number FROM sessions s JOIN sessions p ON p.id = s.parent WHERE s.number = ?;

-- name: check_titles
-- Titles that an older session of the same owner has. Four columns.
SELECT s.number, NULL, NULL, 'another session has its title, ' || quote(s.title) FROM sessions s
WHERE s.title IS NOT NULL AND s.deleted_at IS NULL AND EXISTS (
    SELECT 1 FROM sessions o
    WHERE o.owner = s.owner AND o.title = s.title AND o.deleted_at IS NULL AND o.number < s.number);

-- name: check_running
-- Turns that are said to run and cannot: a later one began, or the session is gone. Four columns.
SELECT s.number, t.id & 4294967295, NULL, 'a turn that cannot run is said to' FROM turns t
JOIN sessions s ON s.number = t.id >> 32
WHERE t.state = 'running' AND (s.deleted_at IS NOT NULL OR s.ended_at IS NOT NULL OR EXISTS (
    SELECT 1 FROM turns n WHERE n.id > t.id AND n.id <= (t.id | 4294967295)));

-- name: check_states
-- Turns in no state, which may be no text any more. Four columns.
SELECT t.id >> 32, t.id & 4294967295, NULL, 'its turn is in the state ' || quote(CAST(t.state AS BLOB)) FROM turns t
WHERE t.state NOT IN ('running', 'finished', 'interrupted', 'rolled_back');

-- name: check_index
-- What the index has of messages that are not there. Four columns.
SELECT d.id >> 32, d.id & 4294967295, NULL, 'the search index has a message that is gone'
FROM search_index_docsize d WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = d.id);

-- name: check_search_state
-- A state of the index that cannot be. Four columns.
SELECT NULL, NULL, 'search index', 'it does not say how far it has come'
WHERE (SELECT count(*) FROM search_state) <> 1
   OR EXISTS (SELECT 1 FROM search_state WHERE position > max(
        (SELECT coalesce(max(position), 0) FROM changes),
        (SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM meta WHERE name = 'pruned')));

-- name: check_revs
-- Sessions whose version is lower than one that the feed has told of. Four columns.
SELECT s.number, NULL, NULL, 'its version is ' || s.rev || ', and the feed told of ' || max(c.rev)
FROM changes c JOIN sessions s ON s.number = c.session WHERE c.rev > s.rev GROUP BY s.number;

-- name: check_feed
-- Positions of the feed that are missing. Four columns.
WITH pruned (position) AS (SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM meta WHERE name = 'pruned')
SELECT NULL, NULL, 'change feed', 'changes that are missing: ' || (max(c.position) - p.position - count(*))
FROM pruned p JOIN changes c ON c.position > p.position
GROUP BY p.position HAVING max(c.position) - p.position > count(*);

-- name: check_feed_orphans
-- Changes of no session. Four columns.
SELECT c.session, NULL, 'change ' || c.position, 'its session is not stored' FROM changes c
WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = c.session);

-- name: check_number_mark
-- A mark beneath numbers that were given out. Four columns.
SELECT NULL, NULL, 'session numbers', 'number ' || max(number) || ' was given out, and the mark is lower'
FROM sessions HAVING max(number) > coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'sessions'), 0);

-- name: check_meta
-- What every store says of itself. Four columns.
SELECT NULL, NULL, 'meta', 'it does not say its ' || wanted.column1 FROM (VALUES ('codec'), ('pruned')) wanted
WHERE NOT EXISTS (SELECT 1 FROM meta WHERE name = wanted.column1 AND value GLOB '[0-9]*');

-- name: check_quarantined
-- Records that were set aside. Four columns.
SELECT NULL, NULL, location, 'set aside as it was found, ' || length(body) || ' bytes' FROM quarantine ORDER BY id;

-- name: mend_recovered
-- A session for messages that have none.
INSERT INTO sessions (number, id, owner, created_at, last_active, last_seq, message_count, user_seq, rev, explicit,
    archived, pinned, hidden, ended_at, end_reason, leading_seq, cut_count, compaction, stored_at,
    guarded_until)
VALUES (:number, :id, '', :at, :at, 0, 0, 0,
    (SELECT coalesce(max(rev), 0) FROM changes WHERE session = :number), 1, 0, 0, 0, :at, 'recovered', 0,
    (SELECT count(*) FROM cuts WHERE session = :number),
    coalesce((SELECT max(id) FROM compactions WHERE session = :number AND stale = 0), 0), :at, 0);

-- name: mend_ids
DELETE FROM message_ids WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = session);

-- name: mend_versions_aside
INSERT OR IGNORE INTO quarantine (location, found_at, body)
SELECT 'session number ' || (v.message >> 32) || ', seq ' || (v.message & 4294967295) || ', version ' || v.version,
       :at, v.body
FROM versions v WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = v.message);

-- name: mend_versions
DELETE FROM versions WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = message);

-- name: mend_version
DELETE FROM versions WHERE message = ? AND version = ?;

-- name: mend_turns
DELETE FROM turns WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = turns.id >> 32);

-- name: mend_queue
DELETE FROM queue WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = queue.id);

-- name: mend_cuts
DELETE FROM cuts WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = session);

-- name: mend_compactions
DELETE FROM compactions WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = session);

-- name: mend_usage
DELETE FROM usage WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = session);

-- name: mend_imports
DELETE FROM imports WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = session);

-- name: mend_todos
DELETE FROM todos WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = session);

-- name: mend_aliases
DELETE FROM aliases WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = session);

-- name: mend_keys
DELETE FROM keys WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = session);

-- name: mend_reopened
UPDATE sessions SET ended_at = NULL, end_reason = NULL WHERE number = ? AND deleted_at IS NULL;

-- name: mend_keys_deleted
DELETE FROM keys WHERE EXISTS (SELECT 1 FROM sessions s WHERE s.number = session AND s.deleted_at IS NOT NULL);

-- name: mend_previous
UPDATE keys SET previous = 0
WHERE previous <> 0 AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = previous);

-- name: mend_media_refs
DELETE FROM media_refs WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = message);

-- name: mend_media
DELETE FROM media WHERE NOT EXISTS (SELECT 1 FROM media_refs r WHERE r.address = media.address);

-- name: mend_cut_counts
UPDATE sessions SET cut_count = (SELECT count(*) FROM cuts c WHERE c.session = number) WHERE number = ?;

-- name: mend_summary
UPDATE sessions SET compaction = coalesce(
    (SELECT max(c.id) FROM compactions c WHERE c.session = number AND c.stale = 0), 0) WHERE number = ?;

-- name: mend_parent
UPDATE sessions SET parent = NULL, parent_kind = NULL WHERE number = ?;

-- name: mend_title
UPDATE sessions SET title = ?, title_key = ? WHERE number = ?;

-- name: mend_turn
UPDATE turns SET state = 'interrupted', holder = NULL, expires_at = 0, ended_at = :at, reason = 'closed by a repair',
    end_seq = (SELECT max(last_seq, coalesce((SELECT max(m.id) & 4294967295 FROM messages m
        WHERE m.id BETWEEN number << 32 AND (number << 32 | 4294967295)), 0)) FROM sessions WHERE number = turns.id >> 32)
WHERE id = :id;

-- name: mend_turn_fields
UPDATE turns SET holder = CASE WHEN :field = 'holder' THEN NULL ELSE holder END,
    taken = CASE WHEN :field = 'taken' THEN NULL ELSE taken END,
    notice = CASE WHEN :field = 'notice' THEN NULL ELSE notice END,
    budget = CASE WHEN :field = 'budget' THEN NULL ELSE budget END,
    calibration = CASE WHEN :field = 'calibration' THEN NULL ELSE calibration END,
    usage = CASE WHEN :field = 'usage' THEN NULL ELSE usage END,
    reason = CASE WHEN :field = 'reason' THEN NULL ELSE reason END,
    token = CASE WHEN :field = 'token' THEN '' ELSE token END
WHERE id = :id;

-- name: mend_session_fields
UPDATE sessions SET origin = CASE WHEN :field = 'origin' THEN NULL ELSE origin END,
    metadata = CASE WHEN :field = 'metadata' THEN NULL ELSE metadata END,
    tags = CASE WHEN :field = 'tags' THEN NULL ELSE tags END,
    holds = CASE WHEN :field = 'holds' THEN NULL ELSE holds END,
    notice = CASE WHEN :field = 'notice' THEN NULL ELSE notice END,
    settings = CASE WHEN :field = 'settings' THEN NULL ELSE settings END,
    preview = CASE WHEN :field = 'preview' THEN NULL ELSE preview END,
    title_source = CASE WHEN :field = 'title' THEN NULL ELSE title_source END,
    title_key = CASE WHEN :field = 'title' THEN NULL ELSE title_key END,
    title = CASE WHEN :field = 'title' THEN NULL ELSE title END
WHERE number = :id;

-- name: mend_todo_holder
UPDATE todos SET holder = NULL WHERE session = ?;

-- name: mend_kind
UPDATE messages SET kind = ?, body = ? WHERE id = ?;

-- name: mend_message_id
INSERT OR IGNORE INTO message_ids (session, id, seq) VALUES (?, ?, ?);

-- name: mend_rev
UPDATE sessions SET rev = (SELECT max(c.rev) FROM changes c WHERE c.session = number) WHERE number = ?;

-- name: mend_next_rev
UPDATE sessions SET rev = rev + 1 WHERE number = ? RETURNING rev;

-- name: mend_feed
-- The last position that is missing becomes the last that was pruned.
UPDATE meta SET value = CAST(max(CAST(value AS INTEGER), (SELECT coalesce(max(c.position) - 1, 0) FROM changes c
    WHERE NOT EXISTS (SELECT 1 FROM changes b WHERE b.position = c.position - 1))) AS TEXT)
WHERE name = 'pruned';

-- name: mend_feed_mark
-- What is dropped from the feed counts as pruned.
UPDATE meta SET value = CAST(max(CAST(value AS INTEGER), (SELECT coalesce(max(c.position), 0) FROM changes c
    WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = c.session))) AS TEXT) WHERE name = 'pruned';

-- name: mend_feed_orphans
DELETE FROM changes WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.number = session);

-- name: mend_number_drop
DELETE FROM sqlite_sequence WHERE name = 'sessions';

-- name: mend_number_mark
INSERT INTO sqlite_sequence (name, seq) SELECT 'sessions', max(number) FROM sessions;

-- name: mend_meta
INSERT INTO meta (name, value) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE value NOT GLOB '[0-9]*';

-- name: mend_search_drop
DELETE FROM search_state;

-- name: mend_search_state
INSERT INTO search_state (position, part, walked, words) VALUES (?, ?, ?, ?);

-- name: mend_indexes
REINDEX;

-- name: drop_meta
DELETE FROM meta WHERE name = ?;

-- name: mend_search_moved
-- An index that had everything still has everything when the feed's positions move on.
UPDATE search_state SET position = :now WHERE position = :was;

-- name: backups
SELECT path, made_at, position, sessions, messages, size, content_digest, file_digest FROM backups
ORDER BY made_at, path;

-- name: put_backup
INSERT OR REPLACE INTO backups (path, made_at, position, sessions, messages, size, content_digest, file_digest)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: drop_backup
DELETE FROM backups WHERE path = ?;

-- name: digest_sessions
-- Text as bytes: a damaged store is copied too.
SELECT number, CAST(id AS BLOB), CAST(owner AS BLOB), created_at, rev, CAST(parent AS BLOB), CAST(title AS BLOB),
       CAST(origin AS BLOB), CAST(metadata AS BLOB), CAST(tags AS BLOB), ended_at, deleted_at, last_seq, message_count,
       CAST(parent_kind AS BLOB), CAST(holds AS BLOB), archived, pinned, hidden, explicit, CAST(end_reason AS BLOB),
       cut_count, compaction, stored_at, guarded_until, CAST(title_source AS BLOB), CAST(settings AS BLOB),
       CAST(title_key AS BLOB)
FROM sessions ORDER BY number;

-- name: digest_messages
SELECT id, kind, back, turn, at, body FROM messages ORDER BY id;

-- name: digest_versions
SELECT message, version, body FROM versions ORDER BY message, version;

-- name: digest_media
SELECT id, CAST(address AS BLOB), data FROM media ORDER BY id;

-- name: digest_keys
SELECT CAST(owner AS BLOB), CAST(key AS BLOB), session, previous FROM keys ORDER BY owner, key;

-- name: digest_cuts
SELECT session, id, from_seq, through_seq, CAST(kind AS BLOB), lifted FROM cuts ORDER BY session, id;

-- name: digest_compactions
SELECT session, id, CAST(summary AS BLOB), from_seq, through_seq, stale FROM compactions ORDER BY session, id;

-- name: digest_usage
SELECT session, day, CAST(model AS BLOB), calls, input_tokens, output_tokens, cached_tokens, cache_write_tokens,
       reasoning_tokens, cost, priced, CAST(cost_source AS BLOB)
FROM usage ORDER BY session, day, model;

-- name: digest_ids
SELECT session, CAST(id AS BLOB), seq FROM message_ids ORDER BY session, id;

-- name: digest_aliases
SELECT CAST(owner AS BLOB), CAST(alias AS BLOB), session FROM aliases ORDER BY owner, alias;

-- name: digest_turns
SELECT id, CAST(state AS BLOB), began_at, ended_at, end_seq, message_seq, CAST(usage AS BLOB) FROM turns ORDER BY id;

-- name: digest_queue
SELECT id FROM queue ORDER BY id;

-- name: digest_imports
SELECT session, last_seq, rev, settled FROM imports ORDER BY session;

-- name: digest_todos
SELECT session, CAST(reason AS BLOB), CAST(state AS BLOB), made_at, after_seq, through_seq, failures,
       CAST(error AS BLOB)
FROM todos ORDER BY session;

-- name: digest_changes
SELECT position, session, rev, kind, from_seq, through_seq FROM changes ORDER BY position;

-- name: digest_erasures
SELECT CAST(id AS BLOB), began_at, CAST(target AS BLOB), ended_at FROM erasures ORDER BY id;

-- name: digest_erased
SELECT mark, at FROM erased ORDER BY mark;

-- name: digest_quarantine
SELECT id, CAST(location AS BLOB), body FROM quarantine ORDER BY id;
