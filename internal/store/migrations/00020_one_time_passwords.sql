-- +goose Up
-- Whether somebody else chose the password: whoever signs in with it chooses another before anything else.
ALTER TABLE users ADD COLUMN one_time_password INTEGER NOT NULL DEFAULT 0;

-- Whether the provider said that it had asked for a second factor.
ALTER TABLE sessions ADD COLUMN second_factor INTEGER NOT NULL DEFAULT 0;
