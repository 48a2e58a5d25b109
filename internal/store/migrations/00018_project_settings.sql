-- +goose Up
-- JSON of access.Settings.
ALTER TABLE projects ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
