-- What the index of a directory has beside the tables of the SQLite store.
CREATE TABLE IF NOT EXISTS files (
    session INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,  -- bytes of it that are in the index
    changed INTEGER NOT NULL  -- the file's time of change then, in nanoseconds
) STRICT;
CREATE TABLE IF NOT EXISTS examined (
    session INTEGER PRIMARY KEY,
    size INTEGER NOT NULL  -- bytes that the file had when most of it was needed, or it was written anew
) STRICT;
CREATE TABLE IF NOT EXISTS commits (newest INTEGER NOT NULL) STRICT;
INSERT INTO commits SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM commits);
