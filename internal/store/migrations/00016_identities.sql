-- +goose Up
-- Who a user is at a provider of log-ins. It stays when the user is deleted, so that they are refused instead of made again.
CREATE TABLE identities (
    issuer     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT;
CREATE INDEX identities_by_user ON identities (user_id);

-- What users have because of their groups there, as of the last log-in. What was given by hand is in users and members.
CREATE TABLE group_roles (
    user_id TEXT NOT NULL,
    project TEXT NOT NULL,                -- '' for the console itself
    role    TEXT NOT NULL,                -- access.Role, '' for an administrator of the console
    PRIMARY KEY (user_id, project)
) STRICT;

-- Log-ins that came back from the provider, until they would have expired: none comes back twice.
CREATE TABLE used_logins (
    key     TEXT PRIMARY KEY,
    used_at INTEGER NOT NULL
) STRICT;

-- The provider that a session was signed in by, '' for a password.
ALTER TABLE sessions ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
