package runs

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// button is an action as the head of a run offers it.
type button struct {
	act   run.Act // "" to stop
	label string
	icon  string
	key   string // shortcut
}

func (b button) name() string {
	if b.act == "" {
		return "stop"
	}
	return string(b.act)
}

// buttons are the actions that a state calls for: few, the likeliest first.
func buttons(r run.Run) (out []button) {
	if r.Allowed(run.ActResume) {
		label := "Resume"
		if r.Withdraws() {
			label = "Cancel pause"
		}
		out = append(out, button{run.ActResume, label, "play", "p"})
	}
	if r.Allowed(run.ActRetry) {
		label := "Retry"
		if r.State == run.Queued {
			label = "Retry now"
		}
		out = append(out, button{run.ActRetry, label, "sync", "r"})
	} else if r.Allowed(run.ActPause) && r.State != run.Stopping {
		b := button{run.ActPause, "Pause", "paused", "p"}
		if r.Pausing != nil { // then the key cancels that
			b.label, b.key = "Pause now", ""
		}
		out = append(out, b)
	}
	if canStop(r) {
		out = append(out, button{"", "Stop", "stop", "s"})
	}
	return out
}

// more are the actions of the menu.
func more(r run.Run) (out []button) {
	if r.Allowed(run.ActRestart) {
		out = append(out, button{run.ActRestart, "Restart…", "sync", ""})
	}
	if r.Allowed(run.ActStopRetrying) {
		out = append(out, button{run.ActStopRetrying, "Stop retrying…", "stop", ""})
	}
	if r.Retrying() {
		out = append(out, button{run.ActPause, "Hold in the queue…", "paused", ""})
	}
	if r.Allowed(run.ActKill) {
		out = append(out, button{run.ActKill, "Force stop…", "failed", ""})
	}
	return out
}

// changesHref is the address of the form that begins with a run's settings, and continues from its newest checkpoint.
func changesHref(id run.ID) string { return "/runs/new?retry=" + string(id) }

// ActConfirm asks before an action.
func ActConfirm(a run.Act, o run.Outlook) ui.Confirm {
	r, path := o.Run, ui.RunPath(o.Run.ID)
	c := ui.Confirm{Key: string(a), Action: path + "/" + string(a), Back: path, KeepLabel: "Cancel", Plain: true}
	switch a {
	case run.ActPause:
		pauseConfirm(&c, o)
	case run.ActResume:
		c.Title, c.Label, c.Icon = fmt.Sprintf("Resume “%s”?", r.Name), "Resume run", "play"
		switch {
		case r.Withdraws():
			c.Title, c.Label, c.KeepLabel = fmt.Sprintf("Cancel the pause of “%s”?", r.Name), "Cancel pause", "Back"
			c.Effects = []string{"It trains on as before."}
			if r.State == run.Stopping {
				c.Effects = []string{"Its workers are ending all the same; then it is tried again, or ends, as without the pause."}
			}
		case r.State == run.Stopping:
			c.Effects = []string{"Its workers are already saving and exiting for the pause. Once they have ended, another attempt takes its turn in the queue.", "Curves, logs and events go on where they were."}
			c.Fields = fromField(o)
		case r.Attempt == 0:
			c.Effects = []string{"It takes its turn in the queue, where it has kept its place."}
		default:
			c.Effects = []string{"It takes its turn in the queue, where it has kept its place: it needs " + r.Shape.String() + ".", "Curves, logs and events go on where they were."}
			c.Fields = fromField(o)
		}
	case run.ActRestart:
		c.Title, c.Label, c.Icon, c.Warning = fmt.Sprintf("Restart “%s”?", r.Name), "Restart run", "sync", o.TooShort()
		c.Effects = []string{"Its workers save a checkpoint if they can, and exit. Another attempt follows as soon as " + r.Shape.String() + " are free.", "It counts neither as a failure nor as a retry."}
		if r.Pausing != nil {
			c.Effects = append(c.Effects, "The pause that was requested is withdrawn.")
		}
		c.Fields = fromField(o)
	case run.ActRetry:
		c.Title, c.Label, c.Icon = fmt.Sprintf("Retry “%s”?", r.Name), "Retry run", "sync"
		c.Effects = []string{fmt.Sprintf("Attempt %d of the same run takes its turn: curves, logs and events go on, with steps that are repeated replaced.", r.Attempt+1)}
		if r.State == run.Queued {
			c.Effects = []string{fmt.Sprintf("Attempt %d takes its turn now, without waiting any longer.", r.Attempt+1)}
		}
		if r.Attempt > 0 {
			c.Fields = fromField(o)
		}
	case run.ActStopRetrying:
		c.Title, c.Label, c.Icon = fmt.Sprintf("Stop retrying “%s”?", r.Name), "Stop retrying", "stop"
		c.Effects = []string{"It ends as failed, with the cause of its last attempt.", "You can retry it later."}
		if r.State.Live() {
			c.Effects = []string{fmt.Sprintf("Attempt %d goes on.", r.Attempt), "Should it fail, the run ends as failed: no other attempt follows. You can retry it then."}
		}
	case run.ActKill:
		c.Title, c.Label, c.Icon, c.Plain, c.KeepLabel = fmt.Sprintf("Force “%s” to stop?", r.Name), "Kill workers", "failed", false, "Keep"
		c.Effects = []string{"Its workers are killed at once, and save nothing.", "Then it is stopped; its curves, logs and events are kept."}
		if step, repeated := o.Continues(run.ResumeNewest); repeated > 0 {
			c.Effects = append(c.Effects, fmt.Sprintf("A retry would continue from %s and repeat %s.", stepText(step), ui.Plural(int(repeated), "step")))
		}
	}
	return c
}

func pauseConfirm(c *ui.Confirm, o run.Outlook) {
	r := o.Run
	c.Title, c.Label, c.Icon, c.Warning = fmt.Sprintf("Pause “%s”?", r.Name), "Pause run", "paused", o.TooShort()
	if r.State == run.Queued {
		c.Title, c.Label = fmt.Sprintf("Hold “%s” in the queue?", r.Name), "Hold run"
		c.Effects = []string{"It keeps its place, and is not sent until you resume it."}
		return
	}
	gpus := "its nodes are"
	if n := r.Shape.TotalGPUs(); n > 0 {
		gpus = "its " + ui.Plural(n, "GPU") + " are"
		if n == 1 {
			gpus = "its GPU is"
		}
	}
	c.Effects = []string{"Its workers save and exit, and " + gpus + " free for others. It keeps its place in the queue.", "Resuming it continues the same curves."}
	if r.CheckpointPath == "" {
		c.Warning = "It saves no checkpoints: when it is resumed it starts over."
	}
	if o.Gone != "" && r.CheckpointPath != "" && r.State != run.Stopping {
		c.Warning = run.Sentence(o.Gone + ": it can only be paused now")
	}
	if choices := pauseChoices(o); len(choices) == 1 { // nobody sees its note elsewhere
		c.Effects = append(c.Effects, choices[0].Note)
	}
	c.Fields = pauseFields(o)
}

// pauseChoices are the times to pause, with what each costs.
func pauseChoices(o run.Outlook) []ui.Choice {
	if o.Run.CheckpointPath == "" {
		return []ui.Choice{{Value: string(run.PauseNow), Label: "Now", Note: "Every step is repeated."}}
	}
	soon := "At the next checkpoint"
	if o.Next > 0 {
		soon += ", about step " + ui.Integer(o.Next)
	}
	step, repeated := o.Continues(run.ResumeNewest)
	note := "Continues from " + stepText(step) + ", and repeats " + ui.Plural(int(repeated), "step") + " unless its workers save as they exit."
	if o.Gone != "" {
		note = strings.Replace(note, " unless its workers save as they exit", "", 1)
	}
	if repeated == 0 {
		note = "Continues from " + stepText(step) + "."
	}
	now := ui.Choice{Value: string(run.PauseNow), Label: "Now", Note: note}
	if o.Gone != "" || o.Run.Pausing != nil {
		return []ui.Choice{now}
	}
	return []ui.Choice{
		{Value: string(run.PauseAtCheckpoint), Label: soon, Note: "It trains on until every worker has saved it. Hardly a step is repeated."},
		now,
	}
}

// fromChoices are what the next attempt can continue from.
func fromChoices(o run.Outlook) (out []ui.Choice) {
	say := func(c run.ResumeChoice, name string) {
		step, repeated := o.Continues(c)
		label := name
		if c == run.ResumeNewest {
			label += " (" + stepText(step) + ")"
		}
		if repeated > 0 {
			label += ": repeats " + ui.Plural(int(repeated), "step")
		}
		value := string(c)
		if value == "" {
			value = "newest"
		}
		out = append(out, ui.Choice{Value: value, Label: label})
	}
	const most = 20
	if len(o.Points) > 0 {
		say(run.ResumeNewest, "Newest complete checkpoint")
		for _, p := range o.Points[1:min(len(o.Points), most)] {
			say(run.ResumeAt(p.Step), "Checkpoint of step "+strconv.FormatInt(p.Step, 10))
		}
	}
	say(run.ResumeStart, "The beginning")
	return out
}

func stepText(step int64) string {
	if step == 0 {
		return "the beginning"
	}
	return "step " + ui.Integer(step)
}

func fromField(o run.Outlook) templ.Component { return fromSelect(fromChoices(o)) }

func pauseFields(o run.Outlook) templ.Component { return whenChoice(pauseChoices(o)) }
