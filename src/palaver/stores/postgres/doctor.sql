-- What the doctor asks and mends. Statements named check_* that say so give four columns: the session's number, a
-- position in it, the place in words, and what was found; each may be NULL where there is nothing to say.

-- name: check_integrity
PRAGMA integrity_check(100);

-- name: check_session_page
-- Sessions after a number.
SELECT number, id, owner FROM palaver.sessions WHERE number > $1 ORDER BY number LIMIT $2;

-- name: check_session_of
SELECT id, owner FROM palaver.sessions WHERE number = $1;

-- name: check_session_row
-- The fields of a session that hold JSON or text, as bytes: they may be no UTF-8 any more.
SELECT CAST(origin AS BLOB), CAST(metadata AS BLOB), CAST(tags AS BLOB), CAST(holds AS BLOB), CAST(notice AS BLOB),
       CAST(settings AS BLOB), CAST(title AS BLOB), CAST(preview AS BLOB)
FROM palaver.sessions WHERE number = $1;

-- name: check_todo_row
-- The fields of a session's to-do that hold JSON.
SELECT holder FROM palaver.todos WHERE session = $1;

-- name: check_turn_rows
-- The fields of a session's turns that hold JSON.
SELECT id, holder, taken, notice, budget, calibration, usage FROM palaver.turns WHERE id BETWEEN $1 AND $2;

-- name: check_owned
SELECT number, id, owner FROM palaver.sessions WHERE owner = $1 AND number > $2 ORDER BY number LIMIT $3;

-- name: check_bodies_between
SELECT id, kind, body FROM palaver.messages WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3;

-- name: check_versions_between
SELECT message, version, body FROM palaver.versions WHERE (message, version) > ($1, $2) AND message <= $3
ORDER BY message, version LIMIT $4;

-- name: check_indexed
-- What the search index has of a range.
SELECT id FROM search_index_docsize WHERE id BETWEEN $1 AND $2;

-- name: check_size
-- About how many messages there are.
SELECT coalesce(sum(last_seq), 0) FROM palaver.sessions;

-- name: check_numbers
-- What there is beneath a session's number: the newest position, and how many are stored.
SELECT coalesce(max(id) & 4294967295, 0), count(*) FROM palaver.messages WHERE id BETWEEN $1 AND $2;

-- name: check_holes
-- Positions that stand before a gap, and where it ends.
SELECT (m.id & 4294967295) + 1, (SELECT min(n.id) & 4294967295 FROM palaver.messages n WHERE n.id > m.id AND n.id <= :high) - 1
FROM palaver.messages m
WHERE m.id BETWEEN :low AND :high AND NOT EXISTS (SELECT 1 FROM palaver.messages n WHERE n.id = m.id + 1);

-- name: check_first
SELECT min(id) & 4294967295 FROM palaver.messages WHERE id BETWEEN $1 AND $2;

-- name: check_newest_user
-- The newest replayable user message of a range.
SELECT max(id) & 4294967295 FROM palaver.messages WHERE id BETWEEN $1 AND $2 AND kind & 15 = 3;

-- name: check_messages
-- Messages of no session, by its number. Four columns.
WITH RECURSIVE stored (number) AS (
    SELECT (SELECT min(id) FROM palaver.messages) >> 32
    UNION ALL
    SELECT (SELECT min(m.id) FROM palaver.messages m WHERE m.id > (stored.number << 32 | 4294967295)) >> 32
    FROM stored WHERE stored.number IS NOT NULL
)
SELECT number, NULL, NULL,
       (SELECT count(*) FROM palaver.messages m WHERE m.id BETWEEN number << 32 AND (number << 32 | 4294967295))
       || ' messages that belong to no session'
FROM stored WHERE number IS NOT NULL AND NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = stored.number);

-- name: check_ids
-- Ids of messages of no session. Four columns.
SELECT i.session, i.seq, 'message id ' || quote(i.id), 'it belongs to no session' FROM palaver.message_ids i
WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = i.session);

-- name: check_versions
-- Versions of no message. Four columns.
SELECT v.message >> 32, v.message & 4294967295, NULL, 'an earlier version of a message that is not stored'
FROM palaver.versions v WHERE NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.id = v.message);

-- name: check_turns
-- Turns of no session. Four columns.
SELECT t.id >> 32, t.id & 4294967295, NULL, 'a turn of no session' FROM palaver.turns t
WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = t.id >> 32);

-- name: check_queue
-- What waits and is not there. Four columns.
SELECT q.id >> 32, q.id & 4294967295, NULL, 'it waits for a turn and is not stored' FROM palaver.queue q
WHERE NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.id = q.id);

-- name: check_cuts
-- Cuts of no session. Four columns.
SELECT c.session, c.from_seq, NULL, 'a cut of no session' FROM palaver.cuts c
WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = c.session);

-- name: check_compactions
-- Summaries of no session. Four columns.
SELECT c.session, c.from_seq, NULL, 'a summary of no session' FROM palaver.compactions c
WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = c.session);

-- name: check_usage
-- Usage of no session. Four columns.
SELECT u.session, NULL, NULL, 'usage of no session, with model ' || quote(u.model) FROM palaver.usage u
WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = u.session);

-- name: check_imports
-- Marks of imports of no session. Four columns.
SELECT i.session, NULL, NULL, 'a mark of the import of no session' FROM palaver.imports i
WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = i.session);

-- name: check_todos
-- To-dos of no session. Four columns.
SELECT t.session, NULL, NULL, 'a to-do of no session' FROM palaver.todos t
WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = t.session);

-- name: check_given_up
-- To-dos that failed for the last time. Four columns.
SELECT t.session, NULL, NULL, 'its to-do of ' || date(t.made_at / 1000000, 'unixepoch') || ' was given up after '
       || t.failures || ' failures: ' || coalesce(t.error, '')
FROM palaver.todos t JOIN palaver.sessions s ON s.number = t.session WHERE t.state = 'given_up';

-- name: check_being_removed
-- Whether a session is being purged or erased: what lay beside its messages goes first.
SELECT 1 FROM palaver.sessions WHERE number = $1 AND deleted_at IS NOT NULL;

-- name: check_erasures
-- Erasures that began and have not ended. Four columns.
SELECT NULL, NULL, 'erasure ' || id, 'it began at ' || datetime(began_at / 1000000, 'unixepoch') || ' UTC and has not ended'
FROM palaver.erasures WHERE ended_at IS NULL;

-- name: check_aliases
-- Aliases of no session. Four columns.
SELECT a.session, NULL, 'alias ' || quote(a.alias) || ' of owner ' || quote(a.owner), 'it leads to no session'
FROM palaver.aliases a WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = a.session);

-- name: check_keys
-- Keys of no session. Four columns.
SELECT k.session, NULL, 'key ' || quote(k.key) || ' of owner ' || quote(k.owner), 'it points at no session'
FROM palaver.keys k WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = k.session);

-- name: check_keys_ended
-- Keys of sessions that have ended or are deleted. Four columns.
SELECT s.number, NULL, 'key ' || quote(k.key) || ' of owner ' || quote(k.owner),
       'it points at session ' || s.id || ', which has ended'
FROM palaver.keys k JOIN palaver.sessions s ON s.number = k.session WHERE s.ended_at IS NOT NULL OR s.deleted_at IS NOT NULL;

-- name: check_previous
-- Keys that pointed before at what is no session. Four columns.
SELECT k.session, NULL, 'key ' || quote(k.key) || ' of owner ' || quote(k.owner), 'it pointed before at no session'
FROM palaver.keys k WHERE k.previous <> 0 AND NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = k.previous);

-- name: check_media_refs
-- References of no message. Four columns.
SELECT r.message >> 32, r.message & 4294967295, NULL,
       'a reference to content ' || r.address || ' of a message that is not stored'
FROM palaver.media_refs r WHERE NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.id = r.message);

-- name: check_media
-- References to content that is not there. Four columns.
SELECT r.message >> 32, r.message & 4294967295, NULL, 'content that it refers to is not stored: ' || r.address
FROM palaver.media_refs r
WHERE NOT EXISTS (SELECT 1 FROM palaver.media b WHERE b.address = r.address)
  AND EXISTS (SELECT 1 FROM palaver.messages m WHERE m.id = r.message);

-- name: check_cut_counts
-- Sessions that count other cuts than there are. Four columns.
SELECT s.number, NULL, NULL, 'it counts ' || s.cut_count || ' cuts and has '
       || (SELECT count(*) FROM palaver.cuts c WHERE c.session = s.number)
FROM palaver.sessions s WHERE s.cut_count <> (SELECT count(*) FROM palaver.cuts c WHERE c.session = s.number);

-- name: check_summaries
-- Sessions that name another summary than the newest that holds. Four columns.
SELECT s.number, NULL, NULL, 'its summary is said to be ' || s.compaction || ', and is not'
FROM palaver.sessions s
WHERE s.deleted_at IS NULL
  AND s.compaction <> coalesce((SELECT max(c.id) FROM palaver.compactions c WHERE c.session = s.number AND c.stale = 0), 0);

-- name: check_parents
-- Parents that are gone. Four columns.
SELECT s.number, NULL, NULL, 'its parent ' || s.parent || ' is not stored' FROM palaver.sessions s
WHERE s.parent IS NOT NULL AND NOT EXISTS (SELECT 1 FROM palaver.sessions p WHERE p.id = s.parent);

-- name: check_late_parents
-- Sessions that were made before their parents, or with them: every circle has one of them.
SELECT s.number FROM palaver.sessions s JOIN palaver.sessions p ON p.id = s.parent WHERE p.number >= s.number ORDER BY s.number;

-- name: check_parent
SELECT p.number FROM palaver.sessions s JOIN palaver.sessions p ON p.id = s.parent WHERE s.number = $1;

-- name: check_titles
-- Titles that an older session of the same owner has. Four columns.
SELECT s.number, NULL, NULL, 'another session has its title, ' || quote(s.title) FROM palaver.sessions s
WHERE s.title IS NOT NULL AND s.deleted_at IS NULL AND EXISTS (
    SELECT 1 FROM palaver.sessions o
    WHERE o.owner = s.owner AND o.title = s.title AND o.deleted_at IS NULL AND o.number < s.number);

-- name: check_running
-- Turns that are said to run and cannot: a later one began, or the session is gone. Four columns.
SELECT s.number, t.id & 4294967295, NULL, 'a turn that cannot run is said to' FROM palaver.turns t
JOIN palaver.sessions s ON s.number = t.id >> 32
WHERE t.state = 'running' AND (s.deleted_at IS NOT NULL OR s.ended_at IS NOT NULL OR EXISTS (
    SELECT 1 FROM palaver.turns n WHERE n.id > t.id AND n.id <= (t.id | 4294967295)));

-- name: check_states
-- Turns in no state. Four columns.
SELECT t.id >> 32, t.id & 4294967295, NULL, 'its turn is in the state ' || quote(t.state) FROM palaver.turns t
WHERE t.state NOT IN ('running', 'finished', 'interrupted', 'rolled_back');

-- name: check_index
-- What the index has of messages that are not there. Four columns.
SELECT d.id >> 32, d.id & 4294967295, NULL, 'the search index has a message that is gone'
FROM search_index_docsize d WHERE NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.id = d.id);

-- name: check_search_state
-- A state of the index that cannot be. Four columns.
SELECT NULL, NULL, 'search index', 'it does not say how far it has come'
WHERE (SELECT count(*) FROM palaver.search_state) <> 1
   OR EXISTS (SELECT 1 FROM palaver.search_state WHERE position > max(
        (SELECT coalesce(max(position), 0) FROM palaver.changes),
        (SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM palaver.meta WHERE name = 'pruned')));

-- name: check_revs
-- Sessions whose version is lower than one that the feed has told of. Four columns.
SELECT s.number, NULL, NULL, 'its version is ' || s.rev || ', and the feed told of ' || max(c.rev)
FROM palaver.changes c JOIN palaver.sessions s ON s.number = c.session WHERE c.rev > s.rev GROUP BY s.number;

-- name: check_feed
-- Positions of the feed that are missing. Four columns.
WITH pruned (position) AS (SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM palaver.meta WHERE name = 'pruned')
SELECT NULL, NULL, 'change feed', 'changes that are missing: ' || (max(c.position) - p.position - count(*))
FROM pruned p JOIN palaver.changes c ON c.position > p.position
GROUP BY p.position HAVING max(c.position) - p.position > count(*);

-- name: check_feed_orphans
-- Changes of no session. Four columns.
SELECT c.session, NULL, 'change ' || c.position, 'its session is not stored' FROM palaver.changes c
WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = c.session);

-- name: check_number_mark
-- A mark beneath numbers that were given out. Four columns.
SELECT NULL, NULL, 'session numbers', 'number ' || max(number) || ' was given out, and the mark is lower'
FROM palaver.sessions HAVING max(number) > coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'sessions'), 0);

-- name: check_meta
-- What every store says of itself. Four columns.
SELECT NULL, NULL, 'meta', 'it does not say its ' || wanted.column1 FROM (VALUES ('codec'), ('pruned')) wanted
WHERE NOT EXISTS (SELECT 1 FROM palaver.meta WHERE name = wanted.column1 AND value GLOB '[0-9]*');

-- name: check_quarantined
-- Records that were set aside. Four columns.
SELECT NULL, NULL, location, 'set aside as it was found, ' || length(body) || ' bytes' FROM palaver.quarantine ORDER BY id;

-- name: mend_recovered
-- A session for messages that have none.
INSERT INTO palaver.sessions (number, id, owner, created_at, last_active, last_seq, message_count, user_seq, rev, explicit,
    archived, pinned, hidden, ended_at, end_reason, leading_seq, cut_count, compaction, stored_at,
    guarded_until)
VALUES (:number, :id, '', :at, :at, 0, 0, 0,
    (SELECT coalesce(max(rev), 0) FROM palaver.changes WHERE session = :number), 1, 0, 0, 0, :at, 'recovered', 0,
    (SELECT count(*) FROM palaver.cuts WHERE session = :number),
    coalesce((SELECT max(id) FROM palaver.compactions WHERE session = :number AND stale = 0), 0), :at, 0);

-- name: mend_ids
DELETE FROM palaver.message_ids WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = session);

-- name: mend_versions_aside
INSERT OR IGNORE INTO palaver.quarantine (location, found_at, body)
SELECT 'session number ' || (v.message >> 32) || ', seq ' || (v.message & 4294967295) || ', version ' || v.version,
       :at, v.body
FROM palaver.versions v WHERE NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.id = v.message);

-- name: mend_versions
DELETE FROM palaver.versions WHERE NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.id = message);

-- name: mend_version
DELETE FROM palaver.versions WHERE message = $1 AND version = $2;

-- name: mend_turns
DELETE FROM palaver.turns WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = turns.id >> 32);

-- name: mend_queue
DELETE FROM palaver.queue WHERE NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.id = queue.id);

-- name: mend_cuts
DELETE FROM palaver.cuts WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = session);

-- name: mend_compactions
DELETE FROM palaver.compactions WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = session);

-- name: mend_usage
DELETE FROM palaver.usage WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = session);

-- name: mend_imports
DELETE FROM palaver.imports WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = session);

-- name: mend_todos
DELETE FROM palaver.todos WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = session);

-- name: mend_aliases
DELETE FROM palaver.aliases WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = session);

-- name: mend_keys
DELETE FROM palaver.keys WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = session);

-- name: mend_reopened
UPDATE palaver.sessions SET ended_at = NULL, end_reason = NULL WHERE number = $1 AND deleted_at IS NULL;

-- name: mend_keys_deleted
DELETE FROM palaver.keys WHERE EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = session AND s.deleted_at IS NOT NULL);

-- name: mend_previous
UPDATE palaver.keys SET previous = 0
WHERE previous <> 0 AND NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = previous);

-- name: mend_media_refs
DELETE FROM palaver.media_refs WHERE NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.id = message);

-- name: mend_media
DELETE FROM palaver.media WHERE NOT EXISTS (SELECT 1 FROM palaver.media_refs r WHERE r.address = media.address);

-- name: mend_cut_counts
UPDATE palaver.sessions SET cut_count = (SELECT count(*) FROM palaver.cuts c WHERE c.session = number) WHERE number = $1;

-- name: mend_summary
UPDATE palaver.sessions SET compaction = coalesce(
    (SELECT max(c.id) FROM palaver.compactions c WHERE c.session = number AND c.stale = 0), 0) WHERE number = $1;

-- name: mend_parent
UPDATE palaver.sessions SET parent = NULL, parent_kind = NULL WHERE number = $1;

-- name: mend_title
UPDATE palaver.sessions SET title = $1, title_key = $2 WHERE number = $3;

-- name: mend_turn
UPDATE palaver.turns SET state = 'interrupted', holder = NULL, expires_at = 0, ended_at = :at, reason = 'closed by a repair',
    end_seq = (SELECT max(last_seq, coalesce((SELECT max(m.id) & 4294967295 FROM palaver.messages m
        WHERE m.id BETWEEN number << 32 AND (number << 32 | 4294967295)), 0)) FROM palaver.sessions WHERE number = turns.id >> 32)
WHERE id = :id;

-- name: mend_turn_fields
UPDATE palaver.turns SET holder = CASE WHEN :field = 'holder' THEN NULL ELSE holder END,
    taken = CASE WHEN :field = 'taken' THEN NULL ELSE taken END,
    notice = CASE WHEN :field = 'notice' THEN NULL ELSE notice END,
    budget = CASE WHEN :field = 'budget' THEN NULL ELSE budget END,
    calibration = CASE WHEN :field = 'calibration' THEN NULL ELSE calibration END,
    usage = CASE WHEN :field = 'usage' THEN NULL ELSE usage END
WHERE id = :id;

-- name: mend_session_fields
UPDATE palaver.sessions SET origin = CASE WHEN :field = 'origin' THEN NULL ELSE origin END,
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
UPDATE palaver.todos SET holder = NULL WHERE session = $1;

-- name: mend_kind
UPDATE palaver.messages SET kind = $1, body = $2 WHERE id = $3;

-- name: mend_message_id
INSERT OR IGNORE INTO palaver.message_ids (session, id, seq) VALUES ($1, $2, $3);

-- name: mend_rev
UPDATE palaver.sessions SET rev = (SELECT max(c.rev) FROM palaver.changes c WHERE c.session = number) WHERE number = $1;

-- name: mend_next_rev
UPDATE palaver.sessions SET rev = rev + 1 WHERE number = $1 RETURNING rev;

-- name: mend_feed
-- The last position that is missing becomes the last that was pruned.
UPDATE palaver.meta SET value = CAST(max(CAST(value AS INTEGER), (SELECT coalesce(max(c.position) - 1, 0) FROM palaver.changes c
    WHERE NOT EXISTS (SELECT 1 FROM palaver.changes b WHERE b.position = c.position - 1))) AS TEXT)
WHERE name = 'pruned';

-- name: mend_feed_mark
-- What is dropped from the feed counts as pruned.
UPDATE palaver.meta SET value = CAST(max(CAST(value AS INTEGER), (SELECT coalesce(max(c.position), 0) FROM palaver.changes c
    WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = c.session))) AS TEXT) WHERE name = 'pruned';

-- name: mend_feed_orphans
DELETE FROM palaver.changes WHERE NOT EXISTS (SELECT 1 FROM palaver.sessions s WHERE s.number = session);

-- name: mend_number_drop
DELETE FROM sqlite_sequence WHERE name = 'sessions';

-- name: mend_number_mark
INSERT INTO sqlite_sequence (name, seq) SELECT 'sessions', max(number) FROM palaver.sessions;

-- name: mend_meta
INSERT INTO palaver.meta (name, value) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE value NOT GLOB '[0-9]*';

-- name: mend_search_drop
DELETE FROM palaver.search_state;

-- name: mend_search_state
INSERT INTO palaver.search_state (position, part, walked, words) VALUES ($1, $2, $3, $4);

-- name: mend_indexes
REINDEX;

-- name: drop_meta
DELETE FROM palaver.meta WHERE name = $1;

-- name: mend_search_moved
-- An index that had everything still has everything when the feed's positions move on.
UPDATE palaver.search_state SET position = :now WHERE position = :was;

-- name: backups
SELECT path, made_at, position, sessions, messages, size, content_digest, file_digest FROM palaver.backups
ORDER BY made_at, path;

-- name: put_backup
INSERT OR REPLACE INTO palaver.backups (path, made_at, position, sessions, messages, size, content_digest, file_digest)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: drop_backup
DELETE FROM palaver.backups WHERE path = $1;

-- name: digest_sessions
-- Text as bytes: a damaged store is copied too.
SELECT number, CAST(id AS BLOB), CAST(owner AS BLOB), created_at, rev, CAST(parent AS BLOB), CAST(title AS BLOB),
       CAST(origin AS BLOB), CAST(metadata AS BLOB), CAST(tags AS BLOB), ended_at, deleted_at, last_seq, message_count,
       CAST(parent_kind AS BLOB), CAST(holds AS BLOB), archived, pinned, hidden, explicit, CAST(end_reason AS BLOB),
       cut_count, compaction, stored_at, guarded_until, CAST(title_source AS BLOB), CAST(settings AS BLOB),
       CAST(title_key AS BLOB)
FROM palaver.sessions ORDER BY number;

-- name: digest_messages
SELECT id, kind, back, turn, at, body FROM palaver.messages ORDER BY id;

-- name: digest_versions
SELECT message, version, body FROM palaver.versions ORDER BY message, version;

-- name: digest_media
SELECT id, CAST(address AS BLOB), data FROM palaver.media ORDER BY id;

-- name: digest_keys
SELECT CAST(owner AS BLOB), CAST(key AS BLOB), session, previous FROM palaver.keys ORDER BY owner, key;

-- name: digest_cuts
SELECT session, id, from_seq, through_seq, CAST(kind AS BLOB), lifted FROM palaver.cuts ORDER BY session, id;

-- name: digest_compactions
SELECT session, id, CAST(summary AS BLOB), from_seq, through_seq, stale FROM palaver.compactions ORDER BY session, id;

-- name: digest_usage
SELECT session, day, CAST(model AS BLOB), calls, input_tokens, output_tokens, cached_tokens, cache_write_tokens,
       reasoning_tokens, cost, priced, CAST(cost_source AS BLOB)
FROM palaver.usage ORDER BY session, day, model;

-- name: digest_ids
SELECT session, CAST(id AS BLOB), seq FROM palaver.message_ids ORDER BY session, id;

-- name: digest_aliases
SELECT CAST(owner AS BLOB), CAST(alias AS BLOB), session FROM palaver.aliases ORDER BY owner, alias;

-- name: digest_turns
SELECT id, CAST(state AS BLOB), began_at, ended_at, end_seq, message_seq, CAST(usage AS BLOB) FROM palaver.turns ORDER BY id;

-- name: digest_queue
SELECT id FROM palaver.queue ORDER BY id;

-- name: digest_imports
SELECT session, last_seq, rev, settled FROM palaver.imports ORDER BY session;

-- name: digest_todos
SELECT session, CAST(reason AS BLOB), CAST(state AS BLOB), made_at, after_seq, through_seq, failures,
       CAST(error AS BLOB)
FROM palaver.todos ORDER BY session;

-- name: digest_changes
SELECT position, session, rev, kind, from_seq, through_seq FROM palaver.changes ORDER BY position;

-- name: digest_erasures
SELECT CAST(id AS BLOB), began_at, CAST(target AS BLOB), ended_at FROM palaver.erasures ORDER BY id;

-- name: digest_erased
SELECT mark, at FROM palaver.erased ORDER BY mark;

-- name: digest_quarantine
SELECT id, CAST(location AS BLOB), body FROM palaver.quarantine ORDER BY id;
