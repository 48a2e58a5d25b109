package nomad

import (
	"regexp"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
)

// waitsFor begins the detail of a worker whose secrets cannot be read. Nomad fails it after some minutes.
const waitsFor = "waits for "

// secretTexts are Nomad's words about secrets of a task, and ours, with the remedy. Nomad says only that something is missing while it
// tries, and quotes Vault when it gives up.
var secretTexts = []struct {
	nomad *regexp.Regexp
	say   string
}{
	{regexp.MustCompile(`^Template: Missing: (?:.*?, )?nomad\.var\.[a-z]+\(([^@)]+)`), waitsFor + "the Nomad variable $1: it does not exist, or a policy must let this job read it"},
	{regexp.MustCompile(`^Template: Missing: (?:.*?, )?vault\.read\((.+?)\)(?:, |$)`), waitsFor + "$1 in Vault: it does not exist, or a policy must let the workers' role read it, or Vault is away"},
	{regexp.MustCompile(`^Template failed: vault\.read\((.+?)\): no secret exists`), "there is nothing at $1 in Vault, which the run needs for its secrets: store it there, or correct the secret's path"},
	{regexp.MustCompile(`(?s)^Template failed: vault\.read\((.+?)\): .*Code: 403\.`), "Vault does not let the run read its secret $1: give the workers' role a policy that does"},
	{regexp.MustCompile(`(?s)failed to derive Vault token .*Code: 4\d\d\. Errors:\s*(?:\* )?(.*)$`), "Vault does not let the worker log in for its secrets: $1: check job.vault_role (COTRAIN_JOB_VAULT_ROLE), and the role in Vault"},
	{regexp.MustCompile(`(?s)failed to derive Vault token .*Code: \d\d\d\. Errors:\s*(?:\* )?(.*)$`), cannotLogIn},
	{regexp.MustCompile(`(?s)failed to derive Vault token for identity \S+: (.*)$`), cannotLogIn},
}

const cannotLogIn = "the worker cannot log in to Vault for its secrets: $1: retry the run once Vault works"

// aboutSecrets puts Nomad's words on secrets into those of a person; it returns other text as it is.
func aboutSecrets(text string) string {
	for _, t := range secretTexts {
		if m := t.nomad.FindStringSubmatchIndex(text); m != nil {
			return string(t.nomad.ExpandString(nil, t.say, text, m))
		}
	}
	return text
}

// WhyStarting is what a worker that has a place waits for before its task can start, "" if none does.
func WhyStarting(workers []run.Worker) string {
	for _, w := range workers {
		if w.State == run.WorkerPending && strings.HasPrefix(w.Detail, waitsFor) {
			return w.Detail
		}
	}
	return ""
}
