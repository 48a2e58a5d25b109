package ingest

import "log/slog"

// complaint logs a repeated failure, such as a full disk, once, and again when it changes or returns. The zero value is
// ready.
type complaint struct{ last string }

// about takes an outcome; nil is success.
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
