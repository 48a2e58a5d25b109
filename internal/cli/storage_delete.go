package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
)

type storageDeleteCmd struct {
	Remote     `embed:""`
	storageArg `embed:""`
	Yes        bool `help:"Confirms that it is deleted for good."`
	InUse      bool `help:"Delete it although a run that has not ended keeps its checkpoints there."`
}

// Run deletes the file or folder. Without --yes it says how much there is.
func (c *storageDeleteCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	place, err := c.place(p)
	if err != nil {
		return err
	}
	if !c.Yes {
		n, err := cl.StorageUsage(ctx, place)
		if err != nil {
			return err
		}
		if n.Kept != "" {
			return fault.Usage("cannot delete "+p.text(strings.TrimSuffix(n.Kept, ".")), "")
		}
		what, fix := fmt.Sprintf("deleting %s removes %s for good", p.text(c.Path), countText(n)), "add --yes to do it"
		if n.InUse != "" {
			what, fix = what+". "+p.text(strings.TrimSuffix(n.InUse, ".")), "stop it first, or add --yes --in-use to do it all the same"
		}
		return fault.Usage(what, fix)
	}
	gone, err := cl.DeleteStorage(ctx, client.StorageDeletion{StoragePath: place, InUse: c.InUse})
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(gone)
	}
	return p.print("%s  deleted: %s\n", p.text(c.Path), countText(gone))
}

// countText says how much there is.
func countText(n client.StorageCount) string {
	text := fmt.Sprintf("%d files and %d folders with %s", n.Files, n.Folders, bytesText(n.Bytes))
	if n.Partial {
		return "at least " + text
	}
	return text
}
