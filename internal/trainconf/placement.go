package trainconf

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Limits of a run's options. They keep a run's page readable and its dispatch within Nomad's limits.
const (
	MaxDescription = 2000               // characters
	MaxEnv         = 100                // environment variables
	MaxEnvBytes    = 4096               // of all variables as KEY=VALUE lines
	MaxArgs        = 100                // arguments
	MaxArgsBytes   = 4096               // of all arguments, one a line
	MaxRetries     = 20                 // attempts after the first
	MaxSite        = 64                 // characters of a datacenter's name
	MinRollbackLR  = 0.01               // a lower learning rate trains no more
	MinDuration    = 60                 // seconds: a run that ends before it has started is a mistake
	MaxDuration    = 365 * 24 * 60 * 60 // seconds
)

// FieldRetry is the field of the retries by cause.
const FieldRetry = "retry"

const maxRetryItems = 64

// FieldName is the field that holds a run's name.
const FieldName = "name"

var nameField = Field{Path: FieldName, Section: "run", Label: "Name", Type: String, Placeholder: "first try", Required: true, Basic: true,
	MaxChars: MaxName, Help: "At most 100 characters.", Keywords: "title"}

// placement is every setting of a run that is not CotrainCore's. Nothing changes it.
var placement = [...]Field{
	{Path: "nodes", Section: "placement", Label: "Nodes", Unit: "workers", Type: Int, Default: "1", Min: num(1), Max: num(MaxNodes), Basic: true,
		Help: "One worker per node. With DiLoCo they train alone between syncs; without it they form one world.", Keywords: "workers world size machines"},
	{Path: "gpus", Section: "placement", Label: "GPUs per node", Unit: "GPUs", Type: Int, Default: "0", Min: num(0), Max: num(MaxGPUs), Basic: true,
		Help: "Per worker; 0 trains on the CPU.", Keywords: "devices cards accelerators"},
	{Path: "gpu_model", Section: "placement", Label: "GPU model", Type: String, Placeholder: "NVIDIA H100 80GB HBM3", MaxChars: MaxGPUModel, Basic: true,
		Help: "As shown under Cluster; empty for any.", Keywords: "card h100 a100 device"},
	{Path: "gpu_min_memory", Section: "placement", Label: "Min GPU memory", Unit: "MiB", Type: Int, Default: "0", Min: num(0), Max: num(MaxGPUMemory),
		Help: "Per GPU; 0 for any.", Keywords: "vram"},
	{Path: "cpu", Section: "placement", Label: "CPU", Unit: "MHz", Type: Int, Default: strconv.Itoa(run.DefaultWorkerCPU), Min: num(0), Max: num(MaxCPU),
		Help: "Per worker; 0 for the default.", Keywords: "processor cores"},
	{Path: "memory", Section: "placement", Label: "Memory", Unit: "MiB", Type: Int, Default: strconv.Itoa(run.DefaultWorkerMemory), Min: num(0), Max: num(MaxMemory),
		Help: "Per worker; 0 for the default.", Keywords: "ram"},
	{Path: "site", Section: "placement", Label: "Site", Type: String, Placeholder: "dc1", MaxChars: MaxSite,
		Help: "Datacenter of all workers; empty for any.", Keywords: "datacenter region location"},
	{Path: "priority", Section: "placement", Label: "Priority", Type: Int, Default: strconv.Itoa(run.DefaultPriority), Min: num(1), Max: num(100),
		Help: "1 to 100; higher starts sooner.", Keywords: "urgent queue"},
	{Path: "max_duration", Section: "placement", Label: "Time limit", Type: Duration, Placeholder: "12h", Min: num(MinDuration), Max: num(MaxDuration),
		Help: "Stops the run this long after its first start; empty for no limit.", Keywords: "timeout time limit deadline"},
	{Path: "retries", Section: "retries", Label: "Retries", Unit: "attempts", Type: Int, Default: "0", Min: num(0), Max: num(MaxRetries), Basic: true,
		Help: "Further attempts after failures; counted anew once an attempt gets further than all before it.", Keywords: "restart again attempts failure"},
	{Path: FieldRetry, Section: "retries", Label: "Retries by cause", Type: StringList, Placeholder: "cuda_oom=1,network_dns=10", MaxChars: 64, MaxItems: maxRetryItems,
		Help:     "Of the default and Retries the lower counts; a number that is set counts by itself.",
		Keywords: "restart again attempts failure hardware node backoff wait oom nccl"},

	{Path: "on_hang", Section: "watch", Label: "On a hang", Type: Choice, Default: run.PolicyAlert, Choices: run.HangPolicies(),
		Help: "Alert, ask for the stacks too, or then restart as a failed attempt that is retried.", Keywords: "stuck deadlock stall freeze timeout watchdog stack trace dump"},
	{Path: "on_nan", Section: "watch", Label: "On a loss of NaN", Type: Choice, Default: run.PolicyAlert, Choices: run.LossPolicies(),
		Help: "Alert, stop, or go back to a checkpoint before it.", Keywords: "infinite not finite overflow"},
	{Path: "on_divergence", Section: "watch", Label: "On divergence", Type: Choice, Default: run.PolicyAlert, Choices: run.LossPolicies(),
		Help: "The same for a loss that rises far above what is usual and stays there.", Keywords: "loss spike diverge explode"},
	{Path: "on_plateau", Section: "watch", Label: "On a plateau", Type: Choice, Default: run.PolicyAlert, Choices: run.LossPolicies(),
		Help: "The same for a loss that hardly falls any more.", Keywords: "early stopping stagnate flat"},
	{Path: "rollback_lr", Section: "watch", Label: "Learning rate after going back", Unit: "×", Type: Float, Default: "1", Min: num(MinRollbackLR), Max: num(1),
		Help: "What the learning rate is multiplied by each time.", Keywords: "lower learning rate factor rollback"},

	{Path: "description", Section: "run", Label: "Description", Type: Text, Placeholder: "Why this run", MaxChars: MaxDescription,
		Help: "Shown with the run.", Keywords: "notes comment"},
	{Path: "tags", Section: "run", Label: "Tags", Type: StringList, Placeholder: "baseline,paper", MaxChars: run.MaxTag, MaxItems: run.MaxTags,
		Help: "Words to find it by, separated by commas.", Keywords: "labels"},
	{Path: "env", Section: "run", Label: "Environment", Type: Lines, Placeholder: "NCCL_DEBUG=INFO", MaxItems: MaxEnv,
		Help:     "Extra variables for the trainer, NAME=VALUE, one per line. Stored and shown: not for secrets.",
		Keywords: "variables environ export"},
	{Path: "args", Section: "run", Label: "Arguments", Type: Lines, Placeholder: "--train.torch_compile=false", MaxItems: MaxArgs,
		Help:     "Extra arguments for the trainer, one per line. They override the configuration; the environment overrides them.",
		Keywords: "flags command line"},
	{Path: run.SecretsField, Section: "run", Label: "Secrets", Type: StringList, Placeholder: "HF_TOKEN", MaxChars: 64, MaxItems: run.MaxSecrets,
		Help:     "Registered secrets that become environment of the trainer on its node. CoTrain never reads the values.",
		Keywords: "token password credentials vault nomad variable key"},
	{Path: "mirror_logs", Section: "run", Label: "Log in shared storage", Type: Choice, Default: run.MirrorDefault, Choices: run.Mirrors(),
		Help: "Also writes each worker's log into logs/training/RUN there; by default as the console is set.", Keywords: "mirror copy file nfs stdout stderr"},
}

// PlacementFields returns every setting of a run that is not CotrainCore's, but its name: what of the cluster it asks
// for (section "placement"), what follows its failures (section "retries"), and the rest (section "run").
func PlacementFields() []Field { return slices.Clone(placement[:]) }

// placementIndex finds a field of placement; there are few.
func placementIndex(path string) int {
	for i := range placement {
		if placement[i].Path == path {
			return i
		}
	}
	return -1
}

// placementRule is the rule of a field that its type alone does not say.
func placementRule(path string) string {
	switch path {
	case FieldName:
		return fmt.Sprintf("text of 1 to %d characters on one line", MaxName)
	case "gpu_model":
		return fmt.Sprintf("at most %d letters A-Z and a-z, digits, spaces and . _ / -", MaxGPUModel)
	case "memory":
		return fmt.Sprintf("0, or a whole number from %d to %d", MinMemory, MaxMemory)
	case "site":
		return fmt.Sprintf("at most %d letters A-Z and a-z, digits and . _ -", MaxSite)
	case "tags":
		return fmt.Sprintf("at most %d words of at most %d characters, separated by commas", run.MaxTags, run.MaxTag)
	case "env":
		return fmt.Sprintf("at most %d lines of the form NAME=VALUE, with at most %d bytes in all", MaxEnv, MaxEnvBytes)
	case "args":
		return fmt.Sprintf("at most %d arguments, one a line, with at most %d bytes in all", MaxArgs, MaxArgsBytes)
	case FieldRetry:
		return fmt.Sprintf("causes of docs/troubleshooting.md with 0 to %d retries, separated by commas", MaxRetries)
	case run.SecretsField:
		return fmt.Sprintf("at most %d names of registered secrets, separated by commas", run.MaxSecrets)
	}
	return ""
}

// oneLine checks the text fields that have a rule of their own.
func (f Field) oneLine(text string) *problem {
	switch f.Path {
	case FieldName:
		if bad := ValidateName(text); bad != nil {
			return &problem{bad.Rule, bad.Fix}
		}
	case "gpu_model":
		if bad := gpuModelFault(text); bad != nil {
			return &problem{bad.Rule, bad.Fix}
		}
	case "site":
		return siteProblem(text)
	}
	return nil
}

var datacenter = regexp.MustCompile(`^[A-Za-z0-9._-]*$`)

func siteProblem(site string) *problem {
	if len(site) > MaxSite || !datacenter.MatchString(site) {
		return &problem{"must be " + placementRule("site"), "use the name of a datacenter, as the page of nodes shows it, or none"}
	}
	return nil
}

// canonicalNames sorts names of secrets and drops repeats.
func canonicalNames(names run.SecretNames) (string, *problem) {
	slices.Sort(names)
	names = slices.Compact(names)
	return strings.Join(names, ","), secretsProblem(names)
}

func secretsProblem(names run.SecretNames) *problem {
	if len(names) > run.MaxSecrets {
		return &problem{fmt.Sprintf("has %d names, and must have at most %d", len(names), run.MaxSecrets), "remove some"}
	}
	for _, name := range names {
		if rule, fix := run.SecretNameProblem(name); rule != "" {
			return &problem{rule, fix}
		}
	}
	return nil
}

// canonicalTags sorts the tags and drops repeats.
func canonicalTags(tags []string) (string, *problem) {
	slices.Sort(tags)
	tags = slices.Compact(tags)
	if p := tagsProblem(tags); p != nil {
		return "", p
	}
	return strings.Join(tags, ","), nil
}

func tagsProblem(tags []string) *problem {
	if rule, fix := run.TagsProblem(tags); rule != "" {
		return &problem{rule, fix}
	}
	return nil
}

// canonicalLines is the canonical form of the types that may have several lines.
func (f Field) canonicalLines(text string) (string, *problem) {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	switch f.Path {
	case "env":
		env, p := parseEnvLines(text)
		if p != nil {
			return "", p
		}
		if errs := ValidateEnv(env); len(errs) > 0 {
			return "", &problem{errs[0].Rule, errs[0].Fix}
		}
		return envLines(env), nil
	case "args":
		args := splitLines(text)
		if errs := ValidateArgs(args); len(errs) > 0 {
			return "", &problem{errs[0].Rule, errs[0].Fix}
		}
		return strings.Join(args, "\n"), nil
	}
	if p := f.textProblem(text); p != nil {
		return "", p
	}
	return text, nil
}

// textProblem checks text of several lines.
func (f Field) textProblem(text string) *problem {
	n := utf8.RuneCountInString(text)
	switch {
	case n > f.MaxChars:
		return &problem{fmt.Sprintf("has %d characters, and must have at most %d", n, f.MaxChars), "shorten it"}
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return fault.Unseen(r) && r != '\n' && r != '\t' }):
		return &problem{"must not hold control characters, or characters that override the direction of text", "remove them"}
	}
	return nil
}

// splitLines returns the lines that are not blank, without white space around them.
func splitLines(text string) []string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// ValidateOptions checks what a run is told beside its configuration and its shape, field by field. Whether environment
// and arguments agree with the configuration is [Request.Check]'s.
func ValidateOptions(o run.Options) run.FieldErrors {
	var errs run.FieldErrors
	add := func(field, value string, p *problem) {
		if p != nil {
			errs = append(errs, fieldError(field, value, p.rule, p.fix))
		}
	}
	for _, n := range []struct {
		field string
		value int64
		zero  bool // zero stands for the default
	}{{"priority", int64(o.Priority), true}, {"max_duration", o.MaxDuration, true}, {"retries", int64(o.Retries), false}} {
		f := placement[placementIndex(n.field)]
		if n.zero && n.value == 0 || f.inBounds(float64(n.value)) {
			continue
		}
		value, near := strconv.FormatInt(n.value, 10), f.nearestBound(float64(n.value))
		if f.Type == Duration {
			value, near = value+" seconds", FormatDuration(min(max(n.value, MinDuration), MaxDuration))
		}
		add(n.field, value, f.broken(near))
	}
	add(FieldRetry, o.Retry.String(), retryProblem(o.Retry))
	for _, c := range [...]struct{ field, value string }{{"on_hang", o.OnHang}, {"on_nan", o.OnNaN}, {"on_divergence", o.OnDivergence}, {"on_plateau", o.OnPlateau}, {"mirror_logs", o.MirrorLogs}} {
		if f := placement[placementIndex(c.field)]; c.value != "" && !slices.Contains(f.Choices, c.value) {
			_, err := f.Check(c.value)
			errs = append(errs, AsFieldErrors(err)...)
		}
	}
	if f := placement[placementIndex("rollback_lr")]; o.RollbackLR != 0 && !f.inBounds(o.RollbackLR) {
		add("rollback_lr", strconv.FormatFloat(o.RollbackLR, 'g', -1, 64), f.broken(f.nearestBound(o.RollbackLR)))
	}
	if o.RollbackLR != 0 && !slices.Contains([]string{o.OnNaN, o.OnDivergence, o.OnPlateau}, run.PolicyRollback) {
		add("rollback_lr", strconv.FormatFloat(o.RollbackLR, 'g', -1, 64), &problem{"is for a run that goes back, and no policy says so", "set on_nan, on_divergence or on_plateau to rollback, or leave it out"})
	}
	if o.OnHang == run.PolicyRestart && o.Retries == 0 && o.Retry["hang"] == 0 {
		add("on_hang", o.OnHang, &problem{"needs retries: a restart is a failed attempt that is tried again", "set retries to 1 or more, or on_hang to alert"})
	}
	add("description", o.Description, placement[placementIndex("description")].textProblem(o.Description))
	add("tags", strings.Join(o.Tags, ","), tagsProblem(o.Tags))
	errs = append(errs, ValidateEnv(o.Env)...)
	errs = append(errs, ValidateArgs(o.Args)...)
	add(run.SecretsField, strings.Join(o.Secrets, ","), secretsProblem(o.Secrets))
	return errs
}
