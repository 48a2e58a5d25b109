package apitest

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
)

// SetDryRun sets what every valid dry run answers, but its warnings and the configuration.
func (c *Console) SetDryRun(d run.DryRun) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dry = d
}

// SetLaunch sets what every launch answers, but the configuration.
func (c *Console) SetLaunch(l run.Launch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.launch = l
}

// DryRun is for [api.Launches].
func (c *Console) DryRun(_ context.Context, s run.Submission) (d run.DryRun, err error) {
	err = c.locked(func() error {
		warns, err := check(s)
		d = c.dry
		d.Warnings, d.Launch.Config = warns, s.Config
		return err
	})
	return d, err
}

// Launch is for [api.Launches].
func (c *Console) Launch(_ context.Context, id run.ID) (l run.Launch, err error) {
	err = c.with(id, func(e *entry) error {
		l = c.launch
		l.Config = e.run.Config
		return nil
	})
	return l, err
}
