package cli

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/fault"
)

type storeCopyCmd struct {
	kong.Plugins // where the console's data is
	Local        `embed:""`
	From         string `placeholder:"WHERE" help:"Data folder of a console on SQLite, or postgres://... Without it, the configured database."`
	To           string `placeholder:"WHERE" help:"The same for the destination, which must be empty."`
}

// Run copies, and says how far it is.
func (c *storeCopyCmd) Run(ctx context.Context, p *process) error {
	flags := givenFlags(c.Plugins[0], storeSettings())
	from, to := sqliteFolder(c.From), sqliteFolder(c.To)
	switch {
	case c.From == "" && c.To == "":
		return fault.Usage("--from and --to are both missing", "give one or both: a data folder, or postgres://user@host/database")
	case from == "" && to == "":
		return fault.Usage("neither --from nor --to is a data folder with SQLite", "use pg_dump to copy from PostgreSQL to PostgreSQL")
	case from != "" && to != "":
		return fault.Usage("neither --from nor --to is a PostgreSQL database", "use SQLite's VACUUM INTO to copy from SQLite to SQLite")
	}
	for _, where := range []string{c.From, c.To} {
		if isPostgres(where) {
			flags["database.url"] = where
		}
	}
	cfg, err := config.Load(flags, p.environ, p.readFile)
	if err != nil {
		return err
	}
	copied, err := p.programs.CopyStore(ctx, cfg, from, to, func(line string) { p.say("%s", line) })
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(copied)
	}
	return p.printText(copied.String())
}

// sqliteFolder is the data folder that is meant by DIR, sqlite://DIR or the path of its database, or "" for PostgreSQL.
func sqliteFolder(where string) string {
	if where == "" || isPostgres(where) {
		return ""
	}
	dir := strings.TrimPrefix(where, "sqlite://")
	if filepath.Base(dir) == "cotrain.db" {
		dir = filepath.Dir(dir)
	}
	return dir
}

func isPostgres(where string) bool {
	return strings.HasPrefix(where, "postgres://") || strings.HasPrefix(where, "postgresql://")
}
