package ingest

import "log/slog"

// complaint logs what goes wrong again and again, such as on a full disk: once, and once more when it is something else or
// has been well in between. The zero value is ready.
type complaint struct{ last string }

// about takes how it went: nil when it went well.
func (c *complaint) about(log *slog.Logger, what string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != c.last {
		log.Warn(what, "err", err)
	}
	c.last = text
}
