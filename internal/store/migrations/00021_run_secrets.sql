-- +goose Up
-- Secrets that runs may ask for by name: where they are, never their values. body is JSON of run.Secret.
CREATE TABLE run_secrets (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

-- What the run's secrets stood for when the attempt was made: JSON of []run.SecretRef, '' for none.
ALTER TABLE attempts ADD COLUMN secrets TEXT NOT NULL DEFAULT '';
