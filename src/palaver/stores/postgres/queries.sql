-- Every statement that the PostgreSQL store runs, by name. Names and parameters are those of the SQLite store's statements,
-- whose readers run these: a place is a session's number << 32 | a position in it. `palaver.` stands for the schema.

-- name: session
-- One session, by its number, with its head.
SELECT s.number, s.id, s.owner, s.created_at, s.rev, s.explicit, s.parent, s.parent_kind, s.reset_reason, s.notice,
       s.origin, s.title, s.preview, s.metadata, s.tags, s.holds, s.archived, s.pinned, s.hidden, s.ended_at,
       s.end_reason, s.deleted_at, s.leading_seq, s.cut_count, s.compaction, s.stored_at, s.guarded_until,
       s.title_source, s.settings,
       h.last_seq, h.message_count, h.last_active, h.user_seq FROM palaver.sessions s JOIN palaver.heads h ON h.session = s.number WHERE s.number = $1;

-- name: session_by_id
-- One session with its head and its newest turn, by its public id.
SELECT s.number, s.id, s.owner, s.created_at, s.rev, s.explicit, s.parent, s.parent_kind, s.reset_reason, s.notice,
       s.origin, s.title, s.preview, s.metadata, s.tags, s.holds, s.archived, s.pinned, s.hidden, s.ended_at,
       s.end_reason, s.deleted_at, s.leading_seq, s.cut_count, s.compaction, s.stored_at, s.guarded_until,
       s.title_source, s.settings,
       h.last_seq, h.message_count, h.last_active, h.user_seq,
       t.session << 32 | t.first_seq, t.state, t.token, t.holder, t.expires_at, t.began_at, t.ended_at, t.end_seq, t.anchor,
       t.reason, t.session_is_new, t.first_contact, t.taken, t.notice, t.message_seq, t.steps_from, t.budget,
       t.calibration, t.usage,
       NULL::bigint, NULL::bigint, NULL::bigint
FROM palaver.sessions s
JOIN palaver.heads h ON h.session = s.number
LEFT JOIN LATERAL (
    SELECT * FROM palaver.turns t WHERE t.session = s.number ORDER BY t.first_seq DESC LIMIT 1
) t ON true
WHERE s.id = $1;

-- name: session_by_key
-- The session that a key points at, with the same.
SELECT s.number, s.id, s.owner, s.created_at, s.rev, s.explicit, s.parent, s.parent_kind, s.reset_reason, s.notice,
       s.origin, s.title, s.preview, s.metadata, s.tags, s.holds, s.archived, s.pinned, s.hidden, s.ended_at,
       s.end_reason, s.deleted_at, s.leading_seq, s.cut_count, s.compaction, s.stored_at, s.guarded_until,
       s.title_source, s.settings,
       h.last_seq, h.message_count, h.last_active, h.user_seq,
       t.session << 32 | t.first_seq, t.state, t.token, t.holder, t.expires_at, t.began_at, t.ended_at, t.end_seq, t.anchor,
       t.reason, t.session_is_new, t.first_contact, t.taken, t.notice, t.message_seq, t.steps_from, t.budget,
       t.calibration, t.usage,
       NULL::bigint, NULL::bigint, NULL::bigint,
       k.since
FROM palaver.keys k
JOIN palaver.sessions s ON s.number = k.session
JOIN palaver.heads h ON h.session = s.number
LEFT JOIN LATERAL (
    SELECT * FROM palaver.turns t WHERE t.session = s.number ORDER BY t.first_seq DESC LIMIT 1
) t ON true
WHERE k.owner = $1 AND k.key = $2;

-- name: tail_state
-- What tells whether a tail that was read before still holds: version, newest message, newest turn; whether anything waits;
-- and what came after it, if that is no more than a limit. All of it in one round trip.
-- $1: its number, $2: where it ended, $3: its version, $4: the limit, $5: its id; a number may be another's after a failover
-- to a server that lacks the newest commits. The file of the table of sessions tells of a backup that was restored.
SELECT s.rev, s.deleted_at, s.number << 32 | h.last_seq,
       t.session << 32 | t.first_seq, t.state, t.token, t.holder, t.expires_at, t.began_at, t.ended_at, t.end_seq, t.anchor,
       t.reason, t.session_is_new, t.first_contact, t.taken, t.notice, t.message_seq, t.steps_from, t.budget,
       t.calibration, t.usage,
       EXISTS (SELECT 1 FROM palaver.queue q WHERE q.session = $1::bigint),
       extract(epoch FROM pg_postmaster_start_time())::float8, pg_relation_filenode('palaver.sessions')::bigint,
       b.seqs, b.kinds, b.ats, b.bodies, b.turns
FROM palaver.sessions s
JOIN palaver.heads h ON h.session = s.number
LEFT JOIN LATERAL (
    SELECT * FROM palaver.turns t WHERE t.session = s.number ORDER BY t.first_seq DESC LIMIT 1
) t ON true
CROSS JOIN LATERAL (
    SELECT array_agg(m.seq) AS seqs, array_agg(m.kind) AS kinds, array_agg(m.at) AS ats, array_agg(m.body) AS bodies,
           array_agg(m.turn) AS turns
    FROM (
        SELECT seq, kind, at, body, turn FROM palaver.messages
        WHERE session = s.number AND seq > $2::bigint AND s.rev = $3::bigint AND h.last_seq - $2 <= $4::bigint
        ORDER BY seq
    ) m
) b
WHERE s.number = $1::bigint AND s.id = $5;

-- name: sessions_file
-- The file that the table of sessions is in: another one after it was emptied, made anew or written anew.
SELECT pg_relation_filenode('palaver.sessions')::bigint;

-- name: server_started
-- When the server was started that answers, in seconds.
SELECT extract(epoch FROM pg_postmaster_start_time())::float8;

-- name: list_all
-- A page of sessions of all owners, newest activity first.
SELECT s.number, s.id, s.owner, s.created_at, s.rev, s.explicit, s.parent, s.parent_kind, s.reset_reason, s.notice,
       s.origin, s.title, s.preview, s.metadata, s.tags, s.holds, s.archived, s.pinned, s.hidden, s.ended_at,
       s.end_reason, s.deleted_at, s.leading_seq, s.cut_count, s.compaction, s.stored_at, s.guarded_until,
       s.title_source, s.settings,
       h.last_seq, h.message_count, h.last_active, h.user_seq,
       NULL::bigint
FROM palaver.sessions s
JOIN palaver.heads h ON h.session = s.number
WHERE (s.last_active, s.number) < (:active::bigint, :number::bigint)
  AND s.last_active >= :since::bigint
  AND (s.deleted_at IS NULL OR :deleted::boolean)
  AND (NOT s.archived OR :archived::boolean)
  AND (NOT s.hidden OR :hidden::boolean)
  AND (s.ended_at IS NULL OR :ended::boolean)
  AND (h.last_seq > 0 OR :empty::boolean)
ORDER BY s.last_active DESC, s.number DESC
LIMIT :limit::bigint;

-- name: list_owner
-- The same for one owner.
SELECT s.number, s.id, s.owner, s.created_at, s.rev, s.explicit, s.parent, s.parent_kind, s.reset_reason, s.notice,
       s.origin, s.title, s.preview, s.metadata, s.tags, s.holds, s.archived, s.pinned, s.hidden, s.ended_at,
       s.end_reason, s.deleted_at, s.leading_seq, s.cut_count, s.compaction, s.stored_at, s.guarded_until,
       s.title_source, s.settings,
       h.last_seq, h.message_count, h.last_active, h.user_seq,
       NULL::bigint
FROM palaver.sessions s
JOIN palaver.heads h ON h.session = s.number
WHERE s.owner = :owner::text AND (s.last_active, s.number) < (:active::bigint, :number::bigint)
  AND s.last_active >= :since::bigint
  AND (s.deleted_at IS NULL OR :deleted::boolean)
  AND (NOT s.archived OR :archived::boolean)
  AND (NOT s.hidden OR :hidden::boolean)
  AND (s.ended_at IS NULL OR :ended::boolean)
  AND (h.last_seq > 0 OR :empty::boolean)
ORDER BY s.last_active DESC, s.number DESC
LIMIT :limit::bigint;

-- name: list_all_narrowed
-- The same, of those that are as wanted: looked through until the page is full.
SELECT s.number, s.id, s.owner, s.created_at, s.rev, s.explicit, s.parent, s.parent_kind, s.reset_reason, s.notice,
       s.origin, s.title, s.preview, s.metadata, s.tags, s.holds, s.archived, s.pinned, s.hidden, s.ended_at,
       s.end_reason, s.deleted_at, s.leading_seq, s.cut_count, s.compaction, s.stored_at, s.guarded_until,
       s.title_source, s.settings,
       h.last_seq, h.message_count, h.last_active, h.user_seq,
       NULL::bigint
FROM palaver.sessions s
JOIN palaver.heads h ON h.session = s.number
WHERE (s.last_active, s.number) < (:active::bigint, :number::bigint)
  AND s.last_active >= :since::bigint
  AND (s.deleted_at IS NULL OR :deleted::boolean)
  AND (NOT s.archived OR :archived::boolean)
  AND (NOT s.hidden OR :hidden::boolean)
  AND (s.ended_at IS NULL OR :ended::boolean)
  AND (h.last_seq > 0 OR :empty::boolean)
  AND (:platform::text IS NULL OR s.platform = :platform)
  AND (:agent::text IS NULL OR s.agent = :agent)
  AND (:account::text IS NULL OR s.account = :account)
  AND (:tag::text IS NULL OR s.labels @> ARRAY[:tag::text] COLLATE "C")
  AND (:title::text IS NULL OR strpos(s.title_key, :title) > 0)
  AND (:pinned::boolean IS NULL OR s.pinned = :pinned)
  AND (:is_archived::boolean IS NULL OR s.archived = :is_archived)
  AND (:is_hidden::boolean IS NULL OR s.hidden = :is_hidden)
  AND (:parent::text IS NULL OR s.parent = :parent)
ORDER BY s.last_active DESC, s.number DESC
LIMIT :limit::bigint;

-- name: list_owner_narrowed
-- The same, of those that are as wanted: looked through until the page is full.
SELECT s.number, s.id, s.owner, s.created_at, s.rev, s.explicit, s.parent, s.parent_kind, s.reset_reason, s.notice,
       s.origin, s.title, s.preview, s.metadata, s.tags, s.holds, s.archived, s.pinned, s.hidden, s.ended_at,
       s.end_reason, s.deleted_at, s.leading_seq, s.cut_count, s.compaction, s.stored_at, s.guarded_until,
       s.title_source, s.settings,
       h.last_seq, h.message_count, h.last_active, h.user_seq,
       NULL::bigint
FROM palaver.sessions s
JOIN palaver.heads h ON h.session = s.number
WHERE s.owner = :owner::text AND (s.last_active, s.number) < (:active::bigint, :number::bigint)
  AND s.last_active >= :since::bigint
  AND (s.deleted_at IS NULL OR :deleted::boolean)
  AND (NOT s.archived OR :archived::boolean)
  AND (NOT s.hidden OR :hidden::boolean)
  AND (s.ended_at IS NULL OR :ended::boolean)
  AND (h.last_seq > 0 OR :empty::boolean)
  AND (:platform::text IS NULL OR s.platform = :platform)
  AND (:agent::text IS NULL OR s.agent = :agent)
  AND (:account::text IS NULL OR s.account = :account)
  AND (:tag::text IS NULL OR s.labels @> ARRAY[:tag::text] COLLATE "C")
  AND (:title::text IS NULL OR strpos(s.title_key, :title) > 0)
  AND (:pinned::boolean IS NULL OR s.pinned = :pinned)
  AND (:is_archived::boolean IS NULL OR s.archived = :is_archived)
  AND (:is_hidden::boolean IS NULL OR s.hidden = :is_hidden)
  AND (:parent::text IS NULL OR s.parent = :parent)
ORDER BY s.last_active DESC, s.number DESC
LIMIT :limit::bigint;

-- name: subagents
-- Sessions of the subagents of one session.
SELECT number FROM palaver.sessions WHERE parent = $1 AND parent_kind = 'subagent' ORDER BY number;

-- name: titled
SELECT number FROM palaver.sessions WHERE owner = $1 AND title = $2 AND deleted_at IS NULL;

-- name: titles_of_owner
-- Titles of an owner's sessions in a range of folded titles; those of deleted sessions are not kept.
SELECT id, owner, title FROM palaver.sessions WHERE owner = $1 AND title_key >= $2 AND title_key < $3
ORDER BY title_key LIMIT $4;

-- name: titles_of_all
-- The same of all owners.
SELECT id, owner, title FROM palaver.sessions WHERE title_key >= $1 AND title_key < $2 ORDER BY title_key LIMIT $3;

-- name: ids_of_owner
-- An owner's sessions in a range of ids.
SELECT id, owner, title FROM palaver.sessions WHERE owner = $1 AND id >= $2 AND id < $3 AND deleted_at IS NULL
ORDER BY id LIMIT $4;

-- name: ids_of_all
-- The same of all owners.
SELECT id, owner, title FROM palaver.sessions WHERE id >= $1 AND id < $2 AND deleted_at IS NULL ORDER BY id LIMIT $3;

-- name: turn_seqs
-- What a turn stored itself: `turn` is how far back it began, plus 1.
SELECT seq FROM palaver.messages WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295) AND turn = seq - $3::bigint + 1 ORDER BY seq;

-- name: turn_bodies
-- The same with the messages.
SELECT seq, kind, at, body FROM palaver.messages WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295) AND turn = seq - $3::bigint + 1 ORDER BY seq;

-- name: number_by_id
SELECT number FROM palaver.sessions WHERE id = $1;

-- name: head
SELECT last_seq, message_count, last_active, user_seq FROM palaver.heads WHERE session = $1;

-- name: put_session
INSERT INTO palaver.sessions (
    number, id, owner, created_at, rev, explicit, parent, parent_kind, reset_reason, notice, origin, title, preview,
    metadata, tags, holds, archived, pinned, hidden, ended_at, end_reason, deleted_at, leading_seq, cut_count,
    compaction, stored_at, guarded_until, title_source, settings, last_active, title_key, platform, agent, account,
    labels)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
    $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35)
ON CONFLICT (number) DO UPDATE SET
    owner = excluded.owner, rev = excluded.rev, explicit = excluded.explicit, notice = excluded.notice, origin =
    excluded.origin, title = excluded.title, preview = excluded.preview, metadata = excluded.metadata, tags =
    excluded.tags, holds = excluded.holds, archived = excluded.archived, pinned = excluded.pinned, hidden =
    excluded.hidden, ended_at = excluded.ended_at, end_reason = excluded.end_reason, deleted_at = excluded.deleted_at,
    leading_seq = excluded.leading_seq, cut_count = excluded.cut_count, compaction = excluded.compaction, stored_at =
    excluded.stored_at, guarded_until = excluded.guarded_until, title_source = excluded.title_source, settings =
    excluded.settings, last_active = excluded.last_active, title_key = excluded.title_key, platform =
    excluded.platform, agent = excluded.agent, account = excluded.account, labels = excluded.labels;

-- name: binding
SELECT session, previous, since FROM palaver.keys WHERE owner = $1 AND key = $2;

-- name: key_to_id
SELECT s.id FROM palaver.keys k JOIN palaver.sessions s ON s.number = k.session WHERE k.owner = $1 AND k.key = $2;

-- name: keys_of
SELECT owner, key FROM palaver.keys WHERE session = $1 ORDER BY since, key;

-- name: keys_of_many
-- Keys of the sessions in a JSON array of numbers.
SELECT k.session, k.key FROM json_array_elements_text($1::json) n JOIN palaver.keys k ON k.session = n.value::bigint
ORDER BY k.session, k.since, k.key;

-- name: put_binding
INSERT INTO palaver.keys (owner, key, session, previous, since) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (owner, key) DO UPDATE SET session = excluded.session, previous = excluded.previous,
    since = excluded.since;

-- name: drop_binding
DELETE FROM palaver.keys WHERE owner = $1 AND key = $2;

-- name: alias
SELECT session FROM palaver.aliases WHERE owner = $1 AND alias = $2;

-- name: alias_to_id
SELECT s.id FROM palaver.aliases a JOIN palaver.sessions s ON s.number = a.session WHERE a.owner = $1 AND a.alias = $2;

-- name: put_alias
INSERT INTO palaver.aliases (owner, alias, session) VALUES ($1, $2, $3)
ON CONFLICT (owner, alias) DO UPDATE SET session = excluded.session;

-- name: message
SELECT kind, back, turn, at, body FROM palaver.messages WHERE session = $1::bigint >> 32 AND seq = ($1::bigint & 4294967295);

-- name: aliases_of
SELECT owner, alias FROM palaver.aliases WHERE session = $1;

-- name: drop_alias
DELETE FROM palaver.aliases WHERE owner = $1 AND alias = $2;

-- name: put_message
INSERT INTO palaver.messages (session, seq, kind, back, turn, at, body)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[]);

-- name: rewrite_message
UPDATE palaver.messages SET kind = $1, back = $2, turn = $3, at = $4, body = $5 WHERE session = $6::bigint >> 32 AND seq = ($6::bigint & 4294967295);

-- name: versions
SELECT version, edited_at, kind, body FROM palaver.versions WHERE session = $1::bigint >> 32 AND seq = ($1::bigint & 4294967295) ORDER BY version;

-- name: put_version
INSERT INTO palaver.versions (session, seq, version, edited_at, kind, body)
VALUES ($1::bigint >> 32, $1::bigint & 4294967295, $2, $3, $4, $5) ON CONFLICT DO NOTHING;

-- name: edited_since
SELECT seq FROM palaver.versions WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295) AND version > $3 LIMIT 1;

-- name: newest_messages
SELECT session << 32 | seq, kind, back, turn, at, body FROM palaver.messages WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295) ORDER BY seq DESC LIMIT $3;

-- name: oldest_messages
SELECT session << 32 | seq, kind, back, turn, at, body FROM palaver.messages WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295) ORDER BY seq LIMIT $3;

-- name: bodies
SELECT seq, kind, at, body, turn FROM palaver.messages WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295) ORDER BY seq LIMIT $3;

-- name: page
SELECT seq, kind, at, body FROM palaver.messages WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295) ORDER BY seq LIMIT $3;

-- name: count_messages
SELECT count(*) FROM palaver.messages WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295);

-- name: purge_messages
DELETE FROM palaver.messages WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295);

-- name: purge_versions
DELETE FROM palaver.versions WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295);

-- name: purge_queue
DELETE FROM palaver.queue WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295);

-- name: purge_turns
DELETE FROM palaver.turns WHERE session = $1::bigint >> 32 AND first_seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295);

-- name: purge_ids
DELETE FROM palaver.message_ids WHERE session = $1;

-- name: purge_aliases
DELETE FROM palaver.aliases WHERE session = $1;

-- name: purge_compactions
DELETE FROM palaver.compactions WHERE session = $1;

-- name: purge_quarantine
-- Damaged records of a session, by where they were found: `session <id> seq <n>`, or by a repair
-- `session number <n>, seq <n>`.
DELETE FROM palaver.quarantine
WHERE location >= :prefix::text AND location < :end::text
  AND substring(substr(location, length(:prefix) + 1) FROM '^[0-9]{1,18}')::bigint BETWEEN :low::bigint AND :high::bigint;

-- name: purge_set_aside
-- What a repair set aside of a session, by where it stood: `session number <n>, <field>`.
DELETE FROM palaver.quarantine WHERE location >= :prefix::text AND location < :end::text;

-- name: purge_damaged_blob
DELETE FROM palaver.quarantine
WHERE location = 'media ' || :address::text AND NOT EXISTS (SELECT 1 FROM palaver.media_refs WHERE address = :address);

-- name: put_blob
-- A damaged copy is healed.
INSERT INTO palaver.media (address, data) VALUES ($1, $2)
ON CONFLICT (address) DO UPDATE SET data = excluded.data WHERE palaver.media.data IS DISTINCT FROM excluded.data;

-- name: put_media_ref
INSERT INTO palaver.media_refs (address, session, seq) VALUES ($1, $2::bigint >> 32, $2::bigint & 4294967295)
ON CONFLICT DO NOTHING;

-- name: media_refs_of
-- What the messages of a range refer to.
SELECT address FROM palaver.media_refs WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295);

-- name: purge_media_refs
DELETE FROM palaver.media_refs WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295);

-- name: drop_unheld_blob
DELETE FROM palaver.media WHERE address = :address::text
  AND NOT EXISTS (SELECT 1 FROM palaver.media_refs WHERE address = :address);

-- name: references_of_owner
-- Which messages of an owner refer to this content.
SELECT r.session, r.seq FROM palaver.media_refs r JOIN palaver.sessions s ON s.number = r.session
WHERE r.address = $1 AND s.owner = $2 LIMIT $3;

-- name: blob
-- Content, if a message of the range refers to it.
SELECT data FROM palaver.media m
WHERE m.address = $1 AND EXISTS (SELECT 1 FROM palaver.media_refs r WHERE r.address = m.address
    AND r.session = $2::bigint >> 32 AND r.seq BETWEEN ($2::bigint & 4294967295) AND ($3::bigint & 4294967295));

-- name: has_ref
-- Whether it is noted that a message refers to this content.
SELECT 1 FROM palaver.media_refs WHERE address = $1 AND session = $2::bigint >> 32 AND seq = ($2::bigint & 4294967295);

-- name: has_content
SELECT 1 FROM palaver.media WHERE address = $1;

-- name: check_blobs
-- All content, and whether a message refers to it.
SELECT id, address, data, EXISTS (SELECT 1 FROM palaver.media_refs r WHERE r.address = m.address) FROM palaver.media m
WHERE id > $1 ORDER BY id LIMIT $2;

-- name: message_seq
SELECT seq FROM palaver.message_ids WHERE session = $1 AND id = $2;

-- name: drop_message_id
DELETE FROM palaver.message_ids WHERE session = $1 AND id = $2;

-- name: turn
SELECT t.session << 32 | t.first_seq, t.state, t.token, t.holder, t.expires_at, t.began_at, t.ended_at, t.end_seq, t.anchor,
       t.reason, t.session_is_new, t.first_contact, t.taken, t.notice, t.message_seq, t.steps_from, t.budget,
       t.calibration, t.usage
FROM palaver.turns t WHERE t.session = $1::bigint >> 32 AND t.first_seq = ($1::bigint & 4294967295);

-- name: last_turn
SELECT session << 32 | first_seq FROM palaver.turns WHERE session = $1::bigint >> 32 AND first_seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295) ORDER BY first_seq DESC LIMIT 1;

-- name: first_turn
SELECT session << 32 | first_seq FROM palaver.turns WHERE session = $1::bigint >> 32 AND first_seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295) ORDER BY first_seq LIMIT 1;

-- name: put_turn
INSERT INTO palaver.turns (session, first_seq,
    state, token, holder, expires_at, began_at, ended_at, end_seq, anchor, reason, session_is_new, first_contact,
    taken, notice, message_seq, steps_from, budget, calibration, usage)
VALUES ($1::bigint >> 32, $1::bigint & 4294967295, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
ON CONFLICT (session, first_seq) DO UPDATE SET
    state = excluded.state, token = excluded.token, holder = excluded.holder, expires_at = excluded.expires_at,
    began_at = excluded.began_at, ended_at = excluded.ended_at, end_seq = excluded.end_seq, anchor = excluded.anchor,
    reason = excluded.reason, session_is_new = excluded.session_is_new, first_contact = excluded.first_contact, taken
    = excluded.taken, notice = excluded.notice, message_seq = excluded.message_seq, steps_from = excluded.steps_from,
    budget = excluded.budget, calibration = excluded.calibration, usage = excluded.usage;

-- name: running
-- Which sessions have a turn that has not ended; few at any time.
SELECT session, holder, expires_at FROM palaver.turns WHERE state = 'running';

-- name: running_turns
SELECT t.session << 32 | t.first_seq, t.state, t.token, t.holder, t.expires_at, t.began_at, t.ended_at, t.end_seq, t.anchor,
       t.reason, t.session_is_new, t.first_contact, t.taken, t.notice, t.message_seq, t.steps_from, t.budget,
       t.calibration, t.usage,
       s.id, s.owner
FROM palaver.turns t JOIN palaver.sessions s ON s.number = t.session
WHERE t.state = 'running' AND s.deleted_at IS NULL AND (:owner::text IS NULL OR s.owner = :owner)
ORDER BY t.began_at;

-- name: queue
SELECT seq FROM palaver.queue WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295) ORDER BY seq;

-- name: put_queued
INSERT INTO palaver.queue (session, seq) VALUES ($1::bigint >> 32, $1::bigint & 4294967295) ON CONFLICT DO NOTHING;

-- name: drop_queued
DELETE FROM palaver.queue WHERE session = $1::bigint >> 32 AND seq = ($1::bigint & 4294967295);

-- name: cuts
SELECT id, from_seq, through_seq, kind, rev, last_seq, lifted FROM palaver.cuts WHERE session = $1 ORDER BY id;

-- name: put_cut
INSERT INTO palaver.cuts (
    session, id, from_seq, through_seq, kind, rev, last_seq, lifted)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (session, id) DO UPDATE SET
    from_seq = excluded.from_seq, through_seq = excluded.through_seq, kind = excluded.kind, rev = excluded.rev,
    last_seq = excluded.last_seq, lifted = excluded.lifted;

-- name: compactions
SELECT id, summary, from_seq, through_seq, previous, stale, created_at FROM palaver.compactions WHERE session = $1 ORDER BY id;

-- name: compaction
SELECT id, summary, from_seq, through_seq, previous, stale, created_at FROM palaver.compactions WHERE session = $1 AND id = $2;

-- name: drop_compaction
DELETE FROM palaver.compactions WHERE session = $1 AND id = $2;

-- name: put_compaction
INSERT INTO palaver.compactions (
    session, id, summary, from_seq, through_seq, previous, stale, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (session, id) DO UPDATE SET
    summary = excluded.summary, from_seq = excluded.from_seq, through_seq = excluded.through_seq, previous =
    excluded.previous, stale = excluded.stale, created_at = excluded.created_at;

-- name: todo
SELECT session, reason, state, made_at, after_seq, through_seq, failures, error, token, holder, until
FROM palaver.todos WHERE session = $1;

-- name: put_todo
INSERT INTO palaver.todos (
    session, reason, state, made_at, after_seq, through_seq, failures, error, token, holder, until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (session) DO UPDATE SET
    reason = excluded.reason, state = excluded.state, made_at = excluded.made_at, after_seq = excluded.after_seq,
    through_seq = excluded.through_seq, failures = excluded.failures, error = excluded.error, token = excluded.token,
    holder = excluded.holder, until = excluded.until;

-- name: drop_todo
DELETE FROM palaver.todos WHERE session = $1;

-- name: todos_in_state
-- To-dos of sessions that are not deleted, oldest first, that are due (or whose claim has ended) by a time.
SELECT t.session, t.reason, t.state, t.made_at, t.after_seq, t.through_seq, t.failures, t.error, t.token, t.holder,
       t.until, s.id, s.owner
FROM palaver.todos t JOIN palaver.sessions s ON s.number = t.session
WHERE t.state = :state::text AND t.state <> 'done' AND t.until <= :until::bigint AND s.deleted_at IS NULL
  AND (:owner::text IS NULL OR s.owner = :owner)
ORDER BY t.made_at, t.session LIMIT :limit::bigint;

-- name: usage_row
SELECT calls, input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, prompt_tokens, cost,
       updated_at, priced, cost_source
FROM palaver.usage WHERE session = $1 AND day = $2 AND model = $3;

-- name: put_usage
INSERT INTO palaver.usage (
    session, day, model, calls, input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens,
    prompt_tokens, cost, updated_at, priced, cost_source)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (session, day, model) DO UPDATE SET
    calls = excluded.calls, input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens,
    cached_tokens = excluded.cached_tokens, cache_write_tokens = excluded.cache_write_tokens, reasoning_tokens =
    excluded.reasoning_tokens, prompt_tokens = excluded.prompt_tokens, cost = excluded.cost, updated_at =
    excluded.updated_at, priced = excluded.priced, cost_source = excluded.cost_source;

-- name: usage_of_session
SELECT day, model, calls, input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens,
       prompt_tokens, cost, updated_at, priced, cost_source
FROM palaver.usage WHERE session = $1 ORDER BY day, model;

-- name: usage_lines
SELECT s.id, s.owner, u.day, u.model, u.calls, u.input_tokens, u.output_tokens, u.cached_tokens, u.cache_write_tokens,
       u.reasoning_tokens, u.prompt_tokens, u.cost, u.updated_at, u.priced, u.cost_source
FROM palaver.usage u JOIN palaver.sessions s ON s.number = u.session
WHERE u.day >= :day::bigint AND (:owner::text IS NULL OR s.owner = :owner) AND (:session::text IS NULL OR s.id = :session)
ORDER BY u.day, s.number, u.model;

-- name: import_mark
SELECT last_seq, rev, settled FROM palaver.imports WHERE session = $1;

-- name: put_import
INSERT INTO palaver.imports (
    session, last_seq, rev, settled)
VALUES ($1, $2, $3, $4)
ON CONFLICT (session) DO UPDATE SET
    last_seq = excluded.last_seq, rev = excluded.rev, settled = excluded.settled;

-- name: drop_import
DELETE FROM palaver.imports WHERE session = $1;

-- name: record_keys
SELECT k.owner, k.key, k.since, p.id FROM palaver.keys k LEFT JOIN palaver.sessions p ON p.number = k.previous
WHERE k.session = $1 ORDER BY k.since, k.key;

-- name: record_aliases
SELECT alias FROM palaver.aliases WHERE session = $1 ORDER BY alias;

-- name: record_purged_ids
SELECT i.id, i.seq FROM palaver.message_ids i
WHERE i.session = :number::bigint
  AND NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.session = i.session AND m.seq = i.seq) ORDER BY i.seq;

-- name: record_versions
SELECT seq, version, edited_at, kind, body FROM palaver.versions WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295)
ORDER BY seq, version;

-- name: record_turns
SELECT t.session << 32 | t.first_seq, t.state, t.token, t.holder, t.expires_at, t.began_at, t.ended_at, t.end_seq, t.anchor,
       t.reason, t.session_is_new, t.first_contact, t.taken, t.notice, t.message_seq, t.steps_from, t.budget,
       t.calibration, t.usage
FROM palaver.turns t WHERE t.session = $1::bigint >> 32 AND t.first_seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295) ORDER BY t.first_seq;

-- name: highest_change
-- The last change that no transaction under way can come before.
SELECT greatest((SELECT max(position) FROM palaver.changes WHERE position < ((pg_snapshot_xmin(pg_current_snapshot())::text::bigint + (SELECT value::bigint FROM palaver.meta WHERE name = 'ahead')) << 14)),
    (SELECT value::bigint FROM palaver.meta WHERE name = 'pruned'), 0);

-- name: put_change
-- Changes of this transaction, numbered from 0.
INSERT INTO palaver.changes (session, position, rev, kind, from_seq, through_seq)
SELECT c.session, ((pg_current_xact_id()::text::bigint + (SELECT value::bigint FROM palaver.meta WHERE name = 'ahead')) << 14) + c.place, c.rev, c.kind, c.from_seq, c.through_seq
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::integer[], $5::bigint[], $6::bigint[])
    AS c (session, place, rev, kind, from_seq, through_seq);

-- name: changes
SELECT c.position, s.id, c.rev, c.kind, c.from_seq, c.through_seq
FROM palaver.changes c JOIN palaver.sessions s ON s.number = c.session
WHERE c.position > :after::bigint AND c.position <= :through::bigint AND c.position < ((pg_snapshot_xmin(pg_current_snapshot())::text::bigint + (SELECT value::bigint FROM palaver.meta WHERE name = 'ahead')) << 14)
  AND (:owner::text IS NULL OR s.owner = :owner)
ORDER BY c.position LIMIT :limit::bigint;

-- name: changes_of_session
SELECT position, rev, kind, from_seq, through_seq FROM palaver.changes
WHERE session = :session::bigint AND position > :after::bigint AND position <= :through::bigint AND position < ((pg_snapshot_xmin(pg_current_snapshot())::text::bigint + (SELECT value::bigint FROM palaver.meta WHERE name = 'ahead')) << 14)
ORDER BY position LIMIT :limit::bigint;

-- name: scope_of_session
SELECT number, owner FROM palaver.sessions WHERE id = $1;

-- name: search
-- Live messages that have all of the words somewhere, from the highest place down, with their words.
SELECT i.session << 32 | i.seq, i.words, m.at
FROM palaver.search_index i
JOIN palaver.messages m ON m.session = i.session AND m.seq = i.seq
JOIN palaver.sessions s ON s.number = i.session
WHERE i.lexemes @@ :expression::tsquery
  AND (i.session, i.seq) >= (:low::bigint >> 32, :low::bigint & 4294967295)
  AND (i.session, i.seq) <= (:high::bigint >> 32, :high::bigint & 4294967295)
  AND s.deleted_at IS NULL
  AND (NOT s.hidden OR :hidden::boolean)
  AND (:owner::text IS NULL OR s.owner = :owner)
  AND (:platform::text IS NULL OR s.platform = :platform)
  AND (:agent::text IS NULL OR s.agent = :agent)
  AND (:account::text IS NULL OR s.account = :account)
  AND (:tag::text IS NULL OR s.labels @> ARRAY[:tag::text] COLLATE "C")
  AND (:role::integer IS NULL OR m.kind & 7 = :role)
  AND m.at >= :since::bigint AND m.at < :until::bigint
  AND (s.cut_count = 0 OR NOT EXISTS (SELECT 1 FROM palaver.cuts c
        WHERE c.session = i.session AND c.lifted = 0 AND i.seq BETWEEN c.from_seq AND c.through_seq))
ORDER BY i.session DESC, i.seq DESC
LIMIT :limit::bigint;

-- name: search_hit
-- A message, and what is told of its session.
SELECT s.id, s.owner, s.title, m.kind, m.at, m.body
FROM palaver.messages m JOIN palaver.sessions s ON s.number = m.session WHERE m.session = $1::bigint >> 32 AND m.seq = ($1::bigint & 4294967295);

-- name: search_state
SELECT position, part, walked, words FROM palaver.search_state;

-- name: put_search_state
UPDATE palaver.search_state SET position = $1, part = $2, walked = $3, words = $4;

-- name: still_stored
-- Which messages of a JSON array of places are stored.
SELECT m.session << 32 | m.seq FROM json_array_elements_text($1::json) j
JOIN palaver.messages m ON m.session = j.value::bigint >> 32 AND m.seq = (j.value::bigint & 4294967295);

-- name: index_changes
SELECT position, session, kind, from_seq, through_seq FROM palaver.changes
WHERE position > $1 AND position < ((pg_snapshot_xmin(pg_current_snapshot())::text::bigint + (SELECT value::bigint FROM palaver.meta WHERE name = 'ahead')) << 14) ORDER BY position LIMIT $2;

-- name: bodies_from
SELECT session << 32 | seq, kind, body FROM palaver.messages WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295) ORDER BY seq LIMIT $3;

-- name: session_scope
SELECT owner, origin FROM palaver.sessions WHERE number = $1;

-- name: messages_from
-- About how many messages there are in a session and those made after it.
SELECT coalesce(sum(last_seq), 0)::bigint FROM palaver.heads WHERE session >= $1;

-- name: meta
SELECT value FROM palaver.meta WHERE name = $1;

-- name: totals
-- Counts of live, stored sessions.
SELECT count(*), count(DISTINCT s.owner), coalesce(sum(h.message_count), 0)::bigint
FROM palaver.sessions s JOIN palaver.heads h ON h.session = s.number
WHERE s.deleted_at IS NULL AND (:owner::text IS NULL OR s.owner = :owner);

-- name: usage_totals
SELECT coalesce(sum(u.input_tokens), 0)::bigint, coalesce(sum(u.output_tokens), 0)::bigint,
       coalesce(sum(u.cached_tokens), 0)::bigint, coalesce(sum(u.cache_write_tokens), 0)::bigint,
       coalesce(sum(u.reasoning_tokens), 0)::bigint, coalesce(sum(u.cost), 0)::bigint,
       coalesce(sum(u.calls), 0)::bigint, coalesce(sum(u.priced), 0)::bigint
FROM palaver.usage u JOIN palaver.sessions s ON s.number = u.session WHERE :owner::text IS NULL OR s.owner = :owner;

-- name: standings
-- A page of sessions for a sweep, by their numbers, each with what tells whether anybody needs it.
SELECT s.number, s.id, s.owner, s.created_at, s.rev, s.explicit, s.parent, s.parent_kind, s.reset_reason, s.notice,
       s.origin, s.title, s.preview, s.metadata, s.tags, s.holds, s.archived, s.pinned, s.hidden, s.ended_at,
       s.end_reason, s.deleted_at, s.leading_seq, s.cut_count, s.compaction, s.stored_at, s.guarded_until,
       s.title_source, s.settings,
       h.last_seq, h.message_count, h.last_active, h.user_seq,
       NULL::bigint, NULL::bigint, NULL::bigint,
       t.session, t.reason, t.state, t.made_at, t.after_seq, t.through_seq, t.failures, t.error, t.token, t.holder,
       t.until,
       (SELECT max(k.since) FROM palaver.keys k WHERE k.session = s.number),
       EXISTS (SELECT 1 FROM palaver.queue q WHERE q.session = s.number)::integer,
       (SELECT x.kind FROM palaver.messages x WHERE x.session = s.number AND x.seq = h.last_seq),
       EXISTS (SELECT 1 FROM palaver.imports i WHERE i.session = s.number)::integer,
       CASE WHEN :sizes::boolean THEN
           (SELECT coalesce(sum(length(x.body)), 0)::bigint FROM palaver.messages x WHERE x.session = s.number)
           + (SELECT coalesce(sum(length(b.data)), 0)::bigint
              FROM palaver.media_refs r JOIN palaver.media b ON b.address = r.address WHERE r.session = s.number)
       ELSE 0 END
FROM palaver.sessions s
JOIN palaver.heads h ON h.session = s.number
LEFT JOIN palaver.todos t ON t.session = s.number
WHERE s.number > :after::bigint
  AND (s.end_reason IS NULL OR s.end_reason NOT IN ('purged', 'erased'))
  AND (:owner::text IS NULL OR s.owner = :owner)
  AND (:active::bigint IS NULL OR s.last_active < :active OR s.deleted_at IS NOT NULL OR h.last_seq = 0
       OR (s.hidden AND s.parent_kind = 'fork'))
ORDER BY s.number LIMIT :limit::bigint;

-- name: orphan_media
-- Content that no message refers to.
SELECT address FROM palaver.media b WHERE NOT EXISTS (SELECT 1 FROM palaver.media_refs r WHERE r.address = b.address) LIMIT $1;

-- name: orphan_media_refs
SELECT o.session << 32 | o.seq FROM palaver.media_refs o WHERE NOT EXISTS (
    SELECT 1 FROM palaver.messages m WHERE m.session = o.session AND m.seq = o.seq) LIMIT $1;

-- name: orphan_queue
SELECT o.session << 32 | o.seq FROM palaver.queue o WHERE NOT EXISTS (
    SELECT 1 FROM palaver.messages m WHERE m.session = o.session AND m.seq = o.seq) LIMIT $1;

-- name: orphan_versions
SELECT DISTINCT o.session << 32 | o.seq FROM palaver.versions o WHERE NOT EXISTS (
    SELECT 1 FROM palaver.messages m WHERE m.session = o.session AND m.seq = o.seq) LIMIT $1;

-- name: orphan_index
SELECT o.session << 32 | o.seq FROM palaver.search_index o WHERE NOT EXISTS (
    SELECT 1 FROM palaver.messages m WHERE m.session = o.session AND m.seq = o.seq) LIMIT $1;

-- name: drop_orphan_media_ref
DELETE FROM palaver.media_refs o WHERE o.session = :id::bigint >> 32 AND o.seq = (:id::bigint & 4294967295)
  AND NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.session = o.session AND m.seq = o.seq);

-- name: drop_orphan_queue
DELETE FROM palaver.queue o WHERE o.session = :id::bigint >> 32 AND o.seq = (:id::bigint & 4294967295)
  AND NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.session = o.session AND m.seq = o.seq);

-- name: drop_orphan_versions
DELETE FROM palaver.versions o WHERE o.session = :id::bigint >> 32 AND o.seq = (:id::bigint & 4294967295)
  AND NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.session = o.session AND m.seq = o.seq);

-- name: drop_orphan_index
DELETE FROM palaver.search_index o WHERE o.session = :id::bigint >> 32 AND o.seq = (:id::bigint & 4294967295)
  AND NOT EXISTS (SELECT 1 FROM palaver.messages m WHERE m.session = o.session AND m.seq = o.seq);

-- name: changes_through
SELECT count(*) FROM palaver.changes WHERE position <= $1;

-- name: prune_changes
DELETE FROM palaver.changes WHERE position <= $1;

-- name: put_pruned
UPDATE palaver.meta SET value = $1 WHERE name = 'pruned' AND value::bigint < $2;

-- name: check_bodies
SELECT session << 32 | seq, kind, body FROM palaver.messages
WHERE (session, seq) > ($1::bigint >> 32, $1::bigint & 4294967295) ORDER BY session, seq LIMIT $2;

-- name: put_quarantine
INSERT INTO palaver.quarantine (location, found_at, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- name: erasable
-- Sessions in the order that they were made, deleted ones too; with the kind of their first message.
SELECT s.number, s.id, s.owner, s.created_at, s.rev, s.explicit, s.parent, s.parent_kind, s.reset_reason, s.notice,
       s.origin, s.title, s.preview, s.metadata, s.tags, s.holds, s.archived, s.pinned, s.hidden, s.ended_at,
       s.end_reason, s.deleted_at, s.leading_seq, s.cut_count, s.compaction, s.stored_at, s.guarded_until,
       s.title_source, s.settings,
       h.last_seq, h.message_count, h.last_active, h.user_seq,
       NULL::bigint,
       (SELECT m.kind FROM palaver.messages m WHERE m.session = s.number AND m.seq = 1)
FROM palaver.sessions s
JOIN palaver.heads h ON h.session = s.number
WHERE s.number > :after::bigint AND (:owner::text IS NULL OR s.owner = :owner) AND (:session::text IS NULL OR s.id = :session)
ORDER BY s.number LIMIT :limit::bigint;

-- name: erasures
SELECT id, began_at, target, scope, ended_at, scrubbed_at, counts FROM palaver.erasures ORDER BY id;

-- name: erasure
SELECT id, began_at, target, scope, ended_at, scrubbed_at, counts FROM palaver.erasures WHERE id = $1;

-- name: put_erasure
INSERT INTO palaver.erasures (id, began_at, target, scope, ended_at, scrubbed_at, counts) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO UPDATE SET target = excluded.target, scope = excluded.scope, ended_at = excluded.ended_at,
    scrubbed_at = excluded.scrubbed_at, counts = excluded.counts;

-- name: erased
SELECT at FROM palaver.erased WHERE mark = $1;

-- name: every_erased
SELECT mark, at FROM palaver.erased;

-- name: erased_after
SELECT mark, at FROM palaver.erased WHERE mark > $1 ORDER BY mark LIMIT $2;

-- name: put_erased
INSERT INTO palaver.erased (mark, at) VALUES ($1, $2) ON CONFLICT (mark) DO UPDATE SET at = excluded.at;

-- name: put_meta
INSERT INTO palaver.meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: sessions_by_number
-- The same of several sessions, by their numbers, with what waits.
SELECT s.number, s.id, s.owner, s.created_at, s.rev, s.explicit, s.parent, s.parent_kind, s.reset_reason, s.notice,
       s.origin, s.title, s.preview, s.metadata, s.tags, s.holds, s.archived, s.pinned, s.hidden, s.ended_at,
       s.end_reason, s.deleted_at, s.leading_seq, s.cut_count, s.compaction, s.stored_at, s.guarded_until,
       s.title_source, s.settings,
       h.last_seq, h.message_count, h.last_active, h.user_seq,
       t.session << 32 | t.first_seq, t.state, t.token, t.holder, t.expires_at, t.began_at, t.ended_at, t.end_seq, t.anchor,
       t.reason, t.session_is_new, t.first_contact, t.taken, t.notice, t.message_seq, t.steps_from, t.budget,
       t.calibration, t.usage,
       NULL::bigint, NULL::bigint, NULL::bigint,
       (SELECT array_agg(q.seq ORDER BY q.seq) FROM palaver.queue q WHERE q.session = s.number)
FROM unnest($1::bigint[]) n
JOIN palaver.sessions s ON s.number = n
JOIN palaver.heads h ON h.session = s.number
LEFT JOIN LATERAL (
    SELECT * FROM palaver.turns t WHERE t.session = s.number ORDER BY t.first_seq DESC LIMIT 1
) t ON true;

-- name: new_numbers
-- Numbers for so many sessions, never given out before.
SELECT nextval('palaver.session_numbers') FROM generate_series(1, $1::bigint);

-- name: listed_at
-- Where a session stands in listings.
SELECT last_active FROM palaver.sessions WHERE number = $1;

-- name: newest_after
-- The newest message after a known one: more than the head tells where that is damaged.
SELECT session << 32 | seq, back, at FROM palaver.messages
WHERE session = $1::bigint >> 32 AND seq > ($1::bigint & 4294967295) AND seq <= ($2::bigint & 4294967295)
ORDER BY seq DESC LIMIT 1;

-- name: drop_indexed
DELETE FROM palaver.search_index WHERE session = $1::bigint >> 32 AND seq BETWEEN ($1::bigint & 4294967295) AND ($2::bigint & 4294967295);

-- name: put_indexed
-- Several messages, each once; the lexemes of each are one text.
INSERT INTO palaver.search_index (session, seq, words, lexemes)
SELECT w.place >> 32, w.place & 4294967295, w.words, array_to_tsvector(string_to_array(w.lexemes, ' '))
FROM unnest($1::bigint[], $2::text[], $3::text[]) w (place, words, lexemes)
ON CONFLICT (session, seq) DO UPDATE SET words = excluded.words, lexemes = excluded.lexemes;

-- name: bodies_of_changes
-- What several changes tell of, in their order; no more messages, and hardly more bytes, than one step takes.
SELECT b.position, b.place, b.kind, b.body
FROM (
    SELECT c.position, c.nth, m.session << 32 | m.seq AS place, m.kind, m.body,
        sum(octet_length(m.body)) OVER (ORDER BY c.nth, m.seq ROWS UNBOUNDED PRECEDING) - octet_length(m.body) AS before
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
        WITH ORDINALITY c (position, session, low, high, nth)
    CROSS JOIN LATERAL (
        SELECT x.session, x.seq, x.kind, x.body FROM palaver.messages x
        WHERE x.session = c.session AND x.seq BETWEEN c.low AND c.high ORDER BY x.seq LIMIT $5::bigint
    ) m
) b
WHERE b.before < $6::bigint ORDER BY b.nth, b.place LIMIT $5::bigint;

-- name: session_scopes
SELECT number, owner, origin FROM palaver.sessions WHERE number = ANY($1::bigint[]);

-- name: clear_index
DELETE FROM palaver.search_index;

-- name: changes_after
-- How many changes are behind a position, told by the feed or not yet.
SELECT count(*) FROM palaver.changes WHERE position > $1;

-- name: newest_kept
-- The change that so many newer ones follow.
SELECT position FROM palaver.changes ORDER BY position DESC OFFSET $1 LIMIT 1;

-- name: oldest_step
-- The change that so many older ones precede.
SELECT position FROM palaver.changes WHERE position <= $1 ORDER BY position OFFSET $2 LIMIT 1;

-- name: try_lock
SELECT pg_try_advisory_xact_lock($1);

-- name: numbers_by_id
SELECT id, number FROM palaver.sessions WHERE id = ANY($1::text[]);

-- name: bindings
-- What several keys point at.
SELECT k.owner, k.key, k.session, k.previous, k.since
FROM unnest($1::text[], $2::text[]) w (owner, key) JOIN palaver.keys k ON k.owner = w.owner AND k.key = w.key;

-- name: message_seqs
-- Which of several ids are known, each with its session's number.
SELECT i.session, i.id, i.seq
FROM unnest($1::bigint[], $2::text[]) w (session, id)
JOIN palaver.message_ids i ON i.session = w.session AND i.id = w.id;

-- name: database_size
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind IN ('r', 'p');

-- name: newest_change
-- The newest change that is committed, told or not.
SELECT max(position) FROM palaver.changes;

-- name: is_settled
-- Whether no transaction under way can come before a position.
SELECT $1 < ((pg_snapshot_xmin(pg_current_snapshot())::text::bigint + (SELECT value::bigint FROM palaver.meta WHERE name = 'ahead')) << 14);

-- name: feed_lag
-- How many committed changes are not told yet, and for how many seconds the oldest transaction has been under way that an
-- id was given to, prepared ones too. NULL where there is none that may be seen.
SELECT (SELECT count(*) FROM palaver.changes
        WHERE position >= ((pg_snapshot_xmin(pg_current_snapshot())::text::bigint + (SELECT value::bigint FROM palaver.meta WHERE name = 'ahead')) << 14)),
    extract(epoch FROM clock_timestamp() - least(
        (SELECT min(a.xact_start) FROM pg_stat_activity a WHERE a.backend_xid IS NOT NULL),
        (SELECT min(p.prepared) FROM pg_prepared_xacts p)))::float8;

-- name: tables
SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind = 'r' ORDER BY c.relname;

-- name: partitions
-- How many partitions the tables have that grow with messages.
SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = 'messages';

-- name: newest_transaction
-- The id that the next transaction will have.
SELECT pg_snapshot_xmax(pg_current_snapshot())::text;

-- name: older_transactions
-- Whether anybody may still see rows that were removed before that: another transaction, a prepared one, a replica.
SELECT EXISTS (SELECT 1 FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid()
        AND a.datname = current_database() AND age(a.backend_xmin) > age(($1::text::bigint % 4294967296)::text::xid))
    OR EXISTS (SELECT 1 FROM pg_prepared_xacts p WHERE p.database = current_database())
    OR EXISTS (SELECT 1 FROM pg_replication_slots r
        WHERE age(r.xmin) > age(($1::text::bigint % 4294967296)::text::xid));

-- name: notify
-- What gets lost with it is found by looking again: nobody waits until it is on disk.
SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2);

-- name: confirm
-- Makes a transaction that wrote nothing wait for the standby as well, where commits do. A commit whose waiting was
-- broken off is seen by everybody, and no standby need have it.
SELECT CASE WHEN current_setting('synchronous_standby_names') <> ''
            THEN pg_logical_emit_message(true, 'palaver', '') END;

-- name: settle_connection
-- How long a connection waits for locks, and its isolation, for good; no row, and not done, where a pooler stands in
-- between, which would give it to others: what that tells of the process that serves is not what the process says.
SELECT set_config('lock_timeout', $1, false), set_config('default_transaction_isolation', 'read committed', false)
WHERE pg_backend_pid() = $2::bigint;

-- name: append_one
-- One ordinary message; see the migration.
SELECT palaver.append_one($1, $2, $3, $4, $5, $6, $7::integer, $8, $9, $10, $11, $12, $13, $14);

-- name: begin_one
-- The message that begins an ordinary turn; see the migration.
SELECT o_seq, o_anchor, o_calibration, o_until, o_rev FROM palaver.begin_one(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::integer, $13, $14, $15, $16, $17, $18, $19, $20);

-- name: finish_one
-- The message that one ends with.
SELECT palaver.finish_one($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::integer, $11, $12, $13, $14, $15, $16, $17);

-- name: append_many
-- Several.
SELECT palaver.append_many($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::integer[], $15, $16::integer[], $17,
    $18, $19, $20, $21, $22::integer[], $23, $24);

-- name: take
-- The locks of a transaction; see the migration.
SELECT palaver.take($1, $2, $3, $4::bigint[]);

-- name: add_heads
INSERT INTO palaver.heads (session, last_seq, message_count, last_active, user_seq)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]);

-- name: move_heads
UPDATE palaver.heads h SET last_seq = m.last_seq, message_count = m.message_count, last_active = m.last_active,
    user_seq = m.user_seq
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
    m (session, last_seq, message_count, last_active, user_seq)
WHERE h.session = m.session;

-- name: put_head
-- As a repair counts it.
INSERT INTO palaver.heads (last_seq, message_count, last_active, user_seq, session) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (session) DO UPDATE SET last_seq = excluded.last_seq, message_count = excluded.message_count,
    last_active = excluded.last_active, user_seq = excluded.user_seq;

-- name: put_active
-- Where sessions stand in listings.
UPDATE palaver.sessions s SET last_active = m.last_active
FROM unnest($1::bigint[], $2::bigint[]) m (session, last_active) WHERE s.number = m.session;

-- name: put_message_ids
INSERT INTO palaver.message_ids (session, id, seq) SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[])
ON CONFLICT (session, id) DO UPDATE SET seq = excluded.seq;
