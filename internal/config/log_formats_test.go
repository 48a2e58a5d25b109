package config

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

func TestBrokenLogFormatsAreNamedWithTheirRuleAndFix(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"acme":                                             "names no metric",
		"Acme: it={step} loss={loss}":                      "needs a name of 1 to 32 lower-case letters",
		"acme: it={step}":                                  "names no metric",
		"acme: it={step} loss={loss":                       "has a { without its }",
		"acme: loss={a b}":                                 "whose name is no metric's",
		"acme: it={step} l={loss} m={loss}":                "has {loss} twice",
		"acme: it={step}{loss}":                            "has nothing between {step} and the next place",
		"acme: {loss}":                                     "has no text before or after its first place",
		"acme: x={loss} " + strings.Repeat("x", 1100):      "at most 1024 bytes",
		"acme: x={loss}\nacme: y={loss}":                   "has the name acme twice",
		strings.Repeat("acme: loss={loss}\n", 33):          "has more than 32 formats",
		"acme: " + strings.Repeat("{_} x ", 40) + "{loss}": "has more than 32 places",
	} {
		_, err := world{env: map[string]string{"COTRAIN_LOG_FORMATS": text}}.load()
		var errs run.FieldErrors
		if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Field != "COTRAIN_LOG_FORMATS" || !strings.Contains(errs[0].Rule, want) || errs[0].Fix == "" {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

func TestLogFormatsAreReadFromAFileWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	read := func(name string) ([]byte, error) {
		if name != "c.toml" {
			return nil, fs.ErrNotExist
		}
		return []byte("log_formats = ['acme: it={step} loss={loss}']\n[nomad]\ntoken_file = '/elsewhere'\n"), nil
	}
	formats, err := LogFormats("c.toml", read)
	if err != nil || len(formats) != 1 || formats[0].Name != "acme" {
		t.Errorf("%v, %v", formats, err)
	}
	if _, err := LogFormats("none.toml", read); err == nil {
		t.Error("a file that is missing is no error")
	}
}
