-- +goose Up
-- How many seconds a step of a live run takes lately, at least and at most, with what happens between steps; NULL or 0 until it is known.
ALTER TABLE runs ADD COLUMN pace_low REAL;
ALTER TABLE runs ADD COLUMN pace_high REAL;
