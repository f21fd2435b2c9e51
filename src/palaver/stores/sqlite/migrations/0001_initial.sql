-- One row per session. `last_seq`, `message_count`, `last_active` and `user_seq` are rewritten at most once a second
-- and are completed from `messages` when they are read.
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused
    id TEXT NOT NULL,
    owner TEXT NOT NULL,
    created_at INTEGER NOT NULL,  -- microseconds since 1970, as all times here
    last_active INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    message_count INTEGER NOT NULL,
    user_seq INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    explicit INTEGER NOT NULL,
    parent TEXT,
    parent_kind TEXT,
    reset_reason TEXT,
    notice TEXT,
    origin TEXT,
    title TEXT,
    preview TEXT,
    metadata TEXT,
    tags TEXT,
    holds TEXT,
    archived INTEGER NOT NULL,
    pinned INTEGER NOT NULL,
    hidden INTEGER NOT NULL,
    ended_at INTEGER,
    end_reason TEXT,
    deleted_at INTEGER,
    leading_seq INTEGER NOT NULL,
    cut_count INTEGER NOT NULL,
    compaction INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,  -- when this store got it, or got it back
    guarded_until INTEGER NOT NULL,  -- until then, what comes is held against what was erased; 0: never
    title_source TEXT,
    settings TEXT,  -- JSON of the model and where it is
    title_key TEXT  -- the title as it is looked for: folded; null for a deleted session
) STRICT;
CREATE UNIQUE INDEX sessions_id ON sessions (id);
CREATE INDEX sessions_active ON sessions (last_active DESC, number DESC);
CREATE INDEX sessions_owner ON sessions (owner, last_active DESC, number DESC);
-- Titles are unique per owner; operations see to it, as two sessions may exchange theirs in one commit.
CREATE INDEX sessions_title ON sessions (owner, title) WHERE title IS NOT NULL;
-- By the beginning of a title or an id, within one owner and across all.
CREATE INDEX sessions_title_key ON sessions (owner, title_key) WHERE title_key IS NOT NULL;
CREATE INDEX sessions_any_title ON sessions (title_key) WHERE title_key IS NOT NULL;
CREATE INDEX sessions_subagents ON sessions (parent) WHERE parent_kind = 'subagent';
CREATE INDEX sessions_owner_id ON sessions (owner, id) WHERE deleted_at IS NULL;
-- Few sessions have tags: who looks for one looks at these alone.
CREATE INDEX sessions_tagged ON sessions (number) WHERE tags IS NOT NULL;

-- id = session number << 32 | seq: a session's messages lie side by side, and a position needs no second index.
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    back INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- Only ids that callers gave: they are idempotency keys.
CREATE TABLE message_ids (
    session INTEGER NOT NULL,
    id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (session, id)
) STRICT, WITHOUT ROWID;

-- Binary content, once for all messages that refer to it; gone with the last of them.
CREATE TABLE media (
    id INTEGER PRIMARY KEY,
    address TEXT NOT NULL UNIQUE,  -- sha256 in hex, "-", number of bytes
    data BLOB NOT NULL
) STRICT;
CREATE TABLE media_refs (
    address TEXT NOT NULL,
    message INTEGER NOT NULL,  -- as messages.id
    PRIMARY KEY (address, message)
) STRICT, WITHOUT ROWID;
CREATE INDEX media_refs_message ON media_refs (message);

-- Earlier content of edited messages.
CREATE TABLE versions (
    message INTEGER NOT NULL,
    version INTEGER NOT NULL,
    edited_at INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (message, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    session INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_session ON keys (session, since);

CREATE TABLE aliases (
    owner TEXT NOT NULL,
    alias TEXT NOT NULL,
    session INTEGER NOT NULL,
    PRIMARY KEY (owner, alias)
) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_session ON aliases (session);

-- id = session number << 32 | first seq.
CREATE TABLE turns (
    id INTEGER PRIMARY KEY,
    state TEXT NOT NULL,
    token TEXT NOT NULL,
    holder TEXT,
    expires_at INTEGER NOT NULL,
    began_at INTEGER NOT NULL,
    ended_at INTEGER,
    end_seq INTEGER NOT NULL,
    anchor INTEGER NOT NULL,
    reason TEXT,
    session_is_new INTEGER NOT NULL,
    first_contact INTEGER NOT NULL,
    taken TEXT,  -- JSON array of positions that had waited
    notice TEXT,
    message_seq INTEGER NOT NULL,
    steps_from INTEGER NOT NULL,
    budget TEXT,
    calibration TEXT,  -- JSON
    usage TEXT  -- JSON, reported when it ended
) STRICT;
CREATE INDEX turns_running ON turns (began_at) WHERE state = 'running';

-- Messages that came while a turn ran; id as in messages.
CREATE TABLE queue (id INTEGER PRIMARY KEY) STRICT;

CREATE TABLE cuts (
    session INTEGER NOT NULL,
    id INTEGER NOT NULL,
    from_seq INTEGER NOT NULL,
    through_seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    rev INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    lifted INTEGER NOT NULL,
    PRIMARY KEY (session, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE compactions (
    session INTEGER NOT NULL,
    id INTEGER NOT NULL,
    summary TEXT NOT NULL,
    from_seq INTEGER NOT NULL,
    through_seq INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    stale INTEGER NOT NULL,  -- id of the cut that changed what it covers; below 0: see rows.py; 0: it holds
    created_at INTEGER NOT NULL,
    PRIMARY KEY (session, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage (
    session INTEGER NOT NULL,
    day INTEGER NOT NULL,  -- days since 1970
    model TEXT NOT NULL,
    calls INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    cost INTEGER NOT NULL,  -- billionths of a US dollar
    updated_at INTEGER NOT NULL,
    priced INTEGER NOT NULL,  -- how many of the calls have a cost that is known
    cost_source TEXT,  -- of the newest of these
    PRIMARY KEY (session, day, model)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_day ON usage (day);

-- Sessions that were imported, and how far they had come then.
CREATE TABLE imports (
    session INTEGER PRIMARY KEY,
    last_seq INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    settled INTEGER NOT NULL
) STRICT;

-- What is to be done about a session before it is reset for good: one row per session that ever had such a to-do.
CREATE TABLE todos (
    session INTEGER PRIMARY KEY,
    reason TEXT NOT NULL,
    state TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    after_seq INTEGER NOT NULL,
    through_seq INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    error TEXT,
    token TEXT NOT NULL,
    holder TEXT,
    until INTEGER NOT NULL  -- claimed: when the claim ends; waiting: when it is due
) STRICT;
CREATE INDEX todos_state ON todos (state, made_at, session) WHERE state <> 'done';

-- The journal behind the change feed: no content. Positions are never reused (see meta.pruned).
CREATE TABLE changes (
    position INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    from_seq INTEGER NOT NULL,
    through_seq INTEGER NOT NULL
) STRICT;

-- The search index: words of messages by their ids, no text; see palaver.stores.sqlite.indexing. It follows `changes`.
CREATE VIRTUAL TABLE search_index USING fts5 (
    tags, text, content = '', contentless_delete = 1, tokenize = 'ascii'
);
-- How far it has come: one row.
CREATE TABLE search_state (
    position INTEGER NOT NULL,  -- of the last change that is in it
    part INTEGER NOT NULL,  -- of the change after that, the last seq that is in it
    walked INTEGER,  -- while it is built anew from `messages`: the last id that is in it
    words INTEGER NOT NULL  -- by which version text was cut into words
) STRICT;
INSERT INTO search_state VALUES (0, 0, NULL, 1);

-- Records that could not be decoded, as they were found.
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY,
    location TEXT NOT NULL UNIQUE,
    found_at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- Backups that were made of this store.
CREATE TABLE backups (
    path TEXT PRIMARY KEY,
    made_at INTEGER NOT NULL,
    position INTEGER NOT NULL,  -- of the last change that is in it
    sessions INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    size INTEGER NOT NULL,
    content_digest TEXT NOT NULL,
    file_digest TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- Erasures, and keyed marks of what was erased; see palaver.erasure. The key is in `meta`.
CREATE TABLE erasures (
    id TEXT PRIMARY KEY,
    began_at INTEGER NOT NULL,
    target TEXT,  -- JSON; NULL once everything is gone
    scope TEXT,
    ended_at INTEGER,
    scrubbed_at INTEGER,
    counts TEXT NOT NULL  -- JSON
) STRICT, WITHOUT ROWID;
CREATE TABLE erased (mark BLOB PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('codec', '1'), ('pruned', '0');
