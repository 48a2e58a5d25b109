package store_test

import (
	"testing"

	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
	"github.com/cotrain/cotrain/internal/store/storetest"
)

func openPostgres(t *testing.T, url string) *store.Store {
	t.Helper()
	return opened(t, t.TempDir(), db.Options{URL: url, MaxConns: 4})
}

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Store { return openPostgres(t, pgtest.URL(t)) })
}
