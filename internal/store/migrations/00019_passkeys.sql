-- +goose Up
-- Passkeys of people (WebAuthn): public keys, with which nobody signs in.
CREATE TABLE passkeys (
    id         TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL,
    name       TEXT NOT NULL,
    domain     TEXT NOT NULL,             -- of the console when it was made; it counts there only
    credential BLOB NOT NULL UNIQUE,      -- what authenticators call it
    public_key BLOB NOT NULL,             -- COSE_Key
    uses       INTEGER NOT NULL,          -- signatures, as its device counts them; 0 where it does not
    syncs      INTEGER NOT NULL,          -- its device may copy it to others
    synced     INTEGER NOT NULL,          -- and has done so
    created_at INTEGER NOT NULL,          -- Unix milliseconds, 0 for none
    used_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX passkeys_by_user ON passkeys (user_id);
