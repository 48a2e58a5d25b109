package trainconf

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Limits of what a run may ask for. They catch typing errors; whether the cluster has it is another question.
const (
	MaxName      = 100      // characters of a run's name
	MaxNodes     = 1024     // workers of a run
	MaxGPUs      = 64       // GPUs of a worker
	MaxGPUModel  = 100      // characters of a GPU's model
	MaxGPUMemory = 1048576  // MiB of one GPU: 1 TiB
	MaxCPU       = 10000000 // MHz of a worker: 2500 cores of 4 GHz
	MaxMemory    = 67108864 // MiB of a worker: 64 TiB
	MinMemory    = 10       // MiB: Nomad refuses less
)

// ValidateName checks a run's name: 1 to 100 characters after trimming, in any script, with nothing in it that breaks
// a line or changes the direction of text around it. It returns nil for a good name.
func ValidateName(name string) *run.FieldError {
	trimmed := strings.TrimSpace(name)
	var f run.FieldError
	switch n := utf8.RuneCountInString(trimmed); {
	case !utf8.ValidString(name):
		f = NotText("name", name)
	case !strings.ContainsFunc(trimmed, visible):
		f = fieldError("name", name, "must not be empty", "give the run a name, such as "+strconv.Quote("first try"))
	case n > MaxName:
		f = fieldError("name", name, fmt.Sprintf("has %d characters, and must have at most %d", n, MaxName), "shorten it")
	case strings.ContainsFunc(trimmed, fault.Unseen):
		f = fieldError("name", name, "must not hold line breaks, control characters, or characters that override the direction of text", "remove them")
	default:
		return nil
	}
	return &f
}

// NotText says that a field's value is not UTF-8, and what is left of it without the bytes that are not, or with a replacement
// character in their place.
func NotText(field, value string) run.FieldError {
	rest := strings.Map(func(r rune) rune {
		if r == utf8.RuneError {
			return -1
		}
		return r
	}, value)
	fix := "type it again"
	if strings.TrimSpace(rest) != "" {
		fix = "use " + strconv.Quote(fault.Quote(rest))
	}
	return fieldError(field, value, "must be valid UTF-8 text", fix)
}

// visible reports characters that leave a mark, so that a name is never blank.
func visible(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.IsSpace(r) && r != 0x3164 && r != 0x115F
}

// ValidateShape checks what a run asks for of each worker, field by field.
func ValidateShape(s run.Shape) run.FieldErrors {
	var errs run.FieldErrors
	between := func(field string, value, low, high int, unit string) {
		if value < low || value > high {
			errs = append(errs, fieldError(field, strconv.Itoa(value), fmt.Sprintf("must be a whole number from %d to %d%s", low, high, unit), "use "+strconv.Itoa(min(max(value, low), high))))
		}
	}
	between("nodes", s.Nodes, 1, MaxNodes, "")
	between("gpus", s.GPUs, 0, MaxGPUs, " (GPUs per node)")
	if f := gpuModelFault(s.GPUModel); f != nil {
		errs = append(errs, *f)
	}
	between("gpu_min_memory", s.GPUMinMemory, 0, MaxGPUMemory, " MiB")
	if s.GPUs == 0 && s.GPUModel != "" {
		errs = append(errs, fieldError("gpu_model", s.GPUModel, "must be empty when no GPUs are asked for", "remove it, or set gpus to 1 or more"))
	}
	if s.GPUs == 0 && s.GPUMinMemory > 0 && s.GPUMinMemory <= MaxGPUMemory {
		errs = append(errs, fieldError("gpu_min_memory", strconv.Itoa(s.GPUMinMemory), "must be 0 when no GPUs are asked for", "use 0, or set gpus to 1 or more"))
	}
	between("cpu", s.CPU, 0, MaxCPU, " MHz (0 for the default)")
	if s.Memory > 0 && s.Memory < MinMemory {
		errs = append(errs, fieldError("memory", strconv.Itoa(s.Memory), fmt.Sprintf("must be at least %d MiB, which is what Nomad takes, or 0 for the default", MinMemory), "use "+strconv.Itoa(run.DefaultWorkerMemory)))
	} else {
		between("memory", s.Memory, 0, MaxMemory, " MiB (0 for the default)")
	}
	if p := siteProblem(s.Site); p != nil {
		errs = append(errs, fieldError("site", s.Site, p.rule, p.fix))
	}
	return errs
}

// gpuModelFault checks a GPU's model as a device plugin reports it, such as "NVIDIA H100 80GB HBM3".
func gpuModelFault(model string) *run.FieldError {
	var f run.FieldError
	switch {
	case len(model) > MaxGPUModel:
		f = fieldError("gpu_model", model, fmt.Sprintf("must have at most %d characters", MaxGPUModel), "use the name that the page of nodes shows")
	case strings.ContainsFunc(model, func(r rune) bool { return !modelRune(r) }):
		f = fieldError("gpu_model", model, "must hold only letters A-Z and a-z, digits, space and . _ / -", "use the name that the page of nodes shows")
	case strings.TrimSpace(model) != model:
		f = fieldError("gpu_model", model, "must not begin or end with white space", "use "+strconv.Quote(strings.TrimSpace(model)))
	default:
		return nil
	}
	return &f
}

func modelRune(r rune) bool {
	return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune(" ._/-", r)
}
