-- +goose Up
-- Second factors of people: one that makes codes by the time (RFC 6238), and codes for when it is lost.
CREATE TABLE totp (
    user_id    TEXT PRIMARY KEY,
    secret     TEXT NOT NULL,             -- encrypted if the console has a key; see package auth
    used_step  INTEGER NOT NULL,          -- of 30 s, of the newest code that was taken: none counts twice
    created_at INTEGER NOT NULL           -- Unix milliseconds
) STRICT;

CREATE TABLE recovery_codes (
    key     TEXT PRIMARY KEY,             -- SHA-256 of user and code, in hexadecimal
    user_id TEXT NOT NULL
) STRICT;
CREATE INDEX recovery_codes_by_user ON recovery_codes (user_id);
