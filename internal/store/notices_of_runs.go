package store

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// saveWatched stores what watching a run has found, where that changed.
func saveWatched(ctx context.Context, tx *db.Tx, was, now *run.Run) error {
	if reflect.DeepEqual(was.Notices, now.Notices) && reflect.DeepEqual(was.Rollback, now.Rollback) && was.Pace == now.Pace {
		return nil
	}
	notices, rollback, err := encodeWatched(now)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE runs SET notices = ?, rollback = ?, pace_low = ?, pace_high = ? WHERE id = ?`, notices, rollback, now.Pace.Low, now.Pace.High, now.ID); err != nil {
		return fmt.Errorf("save the notices of run %s: %w", now.ID, err)
	}
	return nil
}

func encodeWatched(r *run.Run) (notices, rollback string, err error) {
	if len(r.Notices) > 0 {
		data, err := json.Marshal(r.Notices)
		if err != nil {
			return "", "", fmt.Errorf("encode notices: %w", err)
		}
		notices = string(data)
	}
	if r.Rollback != nil {
		data, err := json.Marshal(r.Rollback)
		if err != nil {
			return "", "", fmt.Errorf("encode rollback: %w", err)
		}
		rollback = string(data)
	}
	return notices, rollback, nil
}

func decodeWatched(notices, rollback string) (list []run.Notice, back *run.Rollback, err error) {
	if notices != "" {
		if err := json.Unmarshal([]byte(notices), &list); err != nil {
			return nil, nil, err
		}
	}
	if rollback != "" {
		back = &run.Rollback{}
		err = json.Unmarshal([]byte(rollback), back)
	}
	return list, back, err
}
