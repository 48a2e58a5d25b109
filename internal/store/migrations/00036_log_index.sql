-- +goose Up
-- What is known of a sealed block of a log without opening it. Blocks of earlier versions are described when they are first asked for:
-- counts is NULL until then.
ALTER TABLE log_blocks ADD COLUMN since INTEGER NOT NULL DEFAULT 0; -- Unix milliseconds, of its first and last chunk in time
ALTER TABLE log_blocks ADD COLUMN until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_blocks ADD COLUMN counts BLOB;                      -- lines and bytes of each worker's streams, by level
ALTER TABLE log_blocks ADD COLUMN trigrams BLOB;                    -- Bloom filter by which a search skips the block
