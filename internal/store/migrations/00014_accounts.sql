-- +goose Up
-- People and service accounts. A deleted one stays: runs and the audit log tell its name, which nobody gets again.
CREATE TABLE users (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    kind          TEXT NOT NULL,          -- access.Kind
    display_name  TEXT NOT NULL,
    email         TEXT NOT NULL,
    administrator INTEGER NOT NULL,
    disabled      INTEGER NOT NULL,
    deleted       INTEGER NOT NULL,
    password      TEXT NOT NULL,          -- its argon2id hash in PHC's form, '' for none
    created_at    INTEGER NOT NULL,       -- times are Unix milliseconds, 0 for none
    seen_at       INTEGER NOT NULL
) STRICT;

-- Beside the project 'default', which needs no row.
CREATE TABLE projects (
    name        TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
    project TEXT NOT NULL,
    user_id TEXT NOT NULL,
    role    TEXT NOT NULL,                -- access.Role
    PRIMARY KEY (project, user_id)
) STRICT;

-- Browsers that are signed in. A key is the SHA-256 of the cookie, in hexadecimal: so are those below, of what they are for.
CREATE TABLE sessions (
    id         TEXT PRIMARY KEY,
    key        TEXT NOT NULL UNIQUE,
    user_id    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    address    TEXT NOT NULL,
    agent      TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE api_tokens (
    id         TEXT PRIMARY KEY,
    key        TEXT NOT NULL UNIQUE,
    user_id    TEXT NOT NULL,
    name       TEXT NOT NULL,
    scopes     TEXT NOT NULL,             -- access.Scope each, with spaces between
    project    TEXT NOT NULL,             -- '' for all of its owner
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL,
    used_from  TEXT NOT NULL              -- address
) STRICT;
CREATE INDEX api_tokens_by_user ON api_tokens (user_id);

-- Browsers in which a user has signed in before, signed out or not: others' failed log-ins do not keep them out.
CREATE TABLE devices (
    key     TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT;
CREATE INDEX devices_by_user ON devices (user_id);

-- Counts the changes of who may do what, in row 0, which is there after the first. Whoever changes it changes this row first.
CREATE TABLE access_revision (
    id     INTEGER PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT;
