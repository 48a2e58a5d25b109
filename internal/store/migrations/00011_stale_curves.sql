-- +goose Up
ALTER TABLE unrolled RENAME TO stale_curves;
